/*
 * waits.h - --wait-for: all targets at once, each tried by a worker until it is up.
 */
#ifndef WAITS_H
#define WAITS_H

#include <stddef.h>

#include "shim.h"

/* Parses the targets; once, before anything starts. 0, or -1 with one line in error. */
int waits_init(const struct options *o, char *error, size_t size);

/* Starts a worker for each target. How many there are, or -1 with one line in error. */
int waits_start(char *error, size_t size);

enum waits_progress {
	WAITS_IDLE,   /* that child was none of these */
	WAITS_BUSY,   /* others are still down */
	WAITS_UP,     /* that was the last one */
	WAITS_FAILED, /* a worker crashed, and cannot be started again */
};
enum waits_progress waits_child_ended(pid_t pid, int status);

/* The first target that is still down, for a person: "waiting for tcp://db:5432". Returns buf. */
const char *waits_describe(char *buf, size_t size);

/* Ends all workers, and tells which targets were still down and why: "tcp://db:5432: connection
 * refused, …". */
void waits_end(char *still_down, size_t size);

#endif
