/*
 * workers.h - children that are forks of shim itself: requests, waits, the drain watcher, the
 * health server. Their exit status is their answer, and their last words stand in shared memory.
 *
 * Owns the shared page of reasons. Called by hooks.c, waits.c and shim.c.
 */
#ifndef WORKERS_H
#define WORKERS_H

#include <stddef.h>

#include "seal.h"
#include "shim.h"

enum { WORKERS_REASON = 160, WORKERS_SLOTS = 32 };

/* What a worker does, and where it may say why it failed. Its return value is its exit status. */
struct work {
	int (*run)(void *context, char *reason, size_t size);
	void *context;
	const int *keep; /* descriptors from 3 on that it needs */
	size_t keep_count;
	enum seal_role role;
	bool seals_itself; /* once it has got what it will not be allowed to ask for */
};

/* Makes the shared page; once, before the first worker. 0, or -1 and errno. */
int workers_init(void);

/*
 * Forks: the child leads its own process group, dies with shim, keeps every signal blocked, and no
 * descriptor but stderr (the log folder: stdout) and those it needs, and is sealed. It is watched
 * (signals.h) and spared from what goes to all processes (procs.h). Returns its pid, or -1 and
 * errno.
 */
pid_t workers_start(const struct work *work);

/* In a worker that seals itself, or a child of one: before it meets anything from outside. What the
 * kernel refuses is told once, at LEVEL_INFO. */
void workers_seal(enum seal_role role);

/* The worker has ended: its reason ("" if it gave none) in buf, and its slot is free again. */
void workers_take_reason(pid_t pid, char *buf, size_t size);

/* Its reason so far, while it runs. */
void workers_peek_reason(pid_t pid, char *buf, size_t size);

/* Ends it, now. Its end is still an event. */
void workers_kill(pid_t pid);

/*
 * A worker that is to run all the time: when it ends it is started again, at most once a second.
 */
struct service {
	const char *name; /* in what is said of it: "the health server" */
	pid_t pid;        /* 0: it does not run */
	int64_t started_ns;
	int64_t again_ns; /* when it is to be started again; < 0: not */
};
#define WORKERS_SERVICE(its_name)                                                                  \
	{                                                                                          \
		.name = (its_name), .again_ns = -1                                                 \
	}
#define WORKERS_PAUSE_NS NS_PER_S

/* Starts it. What fails is said, and tried again later. */
void workers_start_service(struct service *service, const struct work *work);

/* A child has ended: was it this one? Then its reason is taken. */
bool workers_service_ended(struct service *service, pid_t pid, char reason[WORKERS_REASON]);

/* Nobody wanted it to end: says so, with the reason, or if that is "" how it ended. pause_ns: how
 * long after its last start the next one is. */
void workers_start_later(struct service *service, int status, const char *reason, int64_t pause_ns);

/* Is it to be started now? */
bool workers_is_due(const struct service *service, int64_t now_ns);

#endif
