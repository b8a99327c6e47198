/*
 * logs.h - the child between the app's output and the container's: reads pipes, writes records.
 *
 * Runs in a fork of shim; PID 1's side is logging.c. Its system calls: read, write, pwritev2,
 * ppoll, clock_gettime, and exit_group.
 */
#ifndef LOGS_H
#define LOGS_H

#include "shim.h"

enum { LOGS_OUT, LOGS_ERR, LOGS_HOOK, LOGS_STREAMS };

/* The last bytes of the app's stderr, in memory that PID 1 reads. */
enum { LOGS_TAIL = 4096 };
struct logs_tail {
	uint64_t total; /* bytes so far; the last is at (total - 1) % LOGS_TAIL */
	char ring[LOGS_TAIL];
};

struct logs_plan {
	int sources[LOGS_STREAMS]; /* to read from; 0: there is none */
	int control;               /* its end of file means: no more is to come */
	bool is_json;              /* else bytes are passed through */
	const char *nest;
	bool may_block[2];      /* descriptors 1 and 2: pipes and sockets do */
	bool is_same;           /* they are the same file */
	struct logs_tail *tail; /* or NULL */
};

/* Exit statuses: 0, all is written; this and the bits of the streams that nobody reads any more. */
enum { LOGS_GONE = 64 };

int logs_run(void *context, char *reason, size_t size);

#endif
