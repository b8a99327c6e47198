/*
 * spawn.h - starts a program as a child, and explains why it could not.
 *
 * The app shares shim's memory until it has executed the program (CLONE_VM | CLONE_VFORK), so how
 * far it came is known at once and without a pipe. A hook whose program cannot even be reached for
 * a tenth of a second counts as running. Called by shim.c and hooks.c.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <stddef.h>

#include "shim.h"

enum spawn_stage {
	SPAWN_DONE, /* the program runs */
	SPAWN_FORK,
	SPAWN_PRIVS,
	SPAWN_EXEC,
	SPAWN_STAGES
};

struct spawn {
	/* In. */
	char **argv;        /* argv[-1] is there to be overwritten; argv is intact afterwards */
	char **environment; /* NULL: shim's own */
	enum placement placement; /* out, too: PLACE_SAME when no group could be made */
	int terminal;             /* the terminal to hand to the new group, or -1 */
	bool attach_terminal;     /* PLACE_SESSION: take the terminal on descriptor 0 */
	bool clean_signals;    /* an empty mask and default dispositions, not what shim inherited */
	const char *directory; /* to run in; NULL, or one that is gone: shim's own */
	int directory_fd;      /* the same as a descriptor; 0: none */
	bool is_hook;          /* stdin is /dev/null, stdout is stderr, nothing else is inherited */
	bool drops_privileges; /* as --user, --caps and --no-new-privs say (privs.h) */
	int output, errors;    /* what becomes its descriptors 1 and 2; 0: shim's own */
	bool hand_on_sockets;  /* LISTEN_PID that names shim is made to name the child */

	int report[2]; /* spawn.c's own */

	/* Out. */
	pid_t pid;
	int pidfd;              /* -1 where the kernel has none; the caller's to close */
	enum spawn_stage stage; /* that failed */
	int error;              /* errno of that stage */
	const char *call;       /* SPAWN_PRIVS: what failed */
	int group_error;        /* errno of setpgid(2), which is not fatal */
	int terminal_error;     /* errno of handing over the terminal, which is not fatal */
};

/* 0 when the program was executed; -1 with stage and error set, and then no child is left. */
int spawn_run(struct spawn *s);

/* What the stage was about, for a message: "fork", "execute". */
const char *spawn_stage_name(enum spawn_stage stage);

/*
 * One line on why: "cannot execute ./app: its interpreter /bin/bsh does not exist". Reads the file
 * and the limits, so it is for the way out only (execerror.c). Returns the length written to buf.
 */
size_t spawn_explain(const struct spawn *s, char *buf, size_t size);

/* The next directory of a search path: copies it to dir ("." for an empty one) and returns where
 * the one after it starts, or NULL after the last. One that does not fit is returned as "". */
const char *spawn_next_directory(const char *path, char *dir, size_t size);

/* $PATH, or where glibc looks without one. */
const char *spawn_search_path(void);

#endif
