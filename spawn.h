/*
 * spawn.h - starts a program as a child, and explains why it could not.
 *
 * The child shares shim's memory until it has executed (CLONE_VFORK | CLONE_VM), so the parent knows at once, without a
 * pipe, how far it came. Called by shim.c and hooks.c.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <stddef.h>

#include "shim.h"

enum spawn_stage {
	SPAWN_DONE, /* the program runs */
	SPAWN_FORK,
	SPAWN_SESSION,
	SPAWN_GROUP,
	SPAWN_TERMINAL,
	SPAWN_EXEC,
	SPAWN_STAGES
};

struct spawn {
	/* in */
	char **argv;
	enum placement placement;
	int terminal; /* descriptor of the terminal to hand over, or -1 */
	bool clean_signals; /* empty mask, default dispositions; else what shim inherited */

	/* out */
	pid_t pid;
	int pidfd; /* -1 where the kernel has none; the caller's */
	enum spawn_stage stage;
	int error; /* errno of that stage */
};

/* 0 when the program was executed; -1 with stage and error set, nothing left running (the child has been reaped). */
int spawn_run(struct spawn *s);

/* One line on why argv[0] could not be executed: missing interpreter, CR in the #! line, wrong architecture, size of the
 * arguments, pids limit. Reads the file, so it is for the way out only. Returns the length written to buf. */
size_t spawn_explain(const struct spawn *s, char *buf, size_t size);

#endif
