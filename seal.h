/*
 * seal.h - a child of shim's own gives up all that its job does not need, for good.
 *
 * What each role may still ask of the kernel stands in scripts/seccomp_gen.c, and SECURITY.md says
 * why. Called by workers.c for PID 1's children, and by setup.c for --check.
 */
#ifndef SEAL_H
#define SEAL_H

#include <stdbool.h>
#include <stddef.h>

struct sock_fprog;

enum seal_role {
	SEAL_CLIENT, /* one request: hook, wait, check, readiness probe */
	SEAL_SERVER, /* the health server */
	SEAL_DRAIN,  /* the drain watcher */
	SEAL_LOGS,   /* the log writer */
	SEAL_NOTIFY, /* the reader of --notify */
	SEAL_ROLES
};

/*
 * No capability, no way to a new one (no_new_privs), no change of what the linker has fixed, and no
 * system call but the role's. Another one kills the process, says so with the call's name on
 * stderr, and in reason (NULL: nowhere). Children inherit all of it.
 *
 * NULL, or what the kernel would not do, with errno: then the rest is done all the same.
 */
const char *seal_enter(enum seal_role role, char *reason, size_t size);

/*
 * For seal.c and its tests (seal_rules.c; seal_none.c where there are no filters).
 */
/* The role's filter; false: this build has none. */
bool seal_filter(enum seal_role role, struct sock_fprog *filter);

/* "ptrace"; a number where it has no name. Returns buf. */
enum { SEAL_NAME_SIZE = 32 };
const char *seal_call_name(int call, char buf[SEAL_NAME_SIZE]);

#endif
