/*
 * signals.h - the only place where PID 1 waits: signals, the ends of its children, and deadlines.
 *
 * Owns the signal mask, the dispositions, and the list of children that shim has started. One thread, no handlers:
 * signals stay blocked and are taken one by one. Called by shim.c (and by spawn.c between fork and exec).
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include "shim.h"

enum event_kind {
	EVENT_SIGNAL,   /* signo came from sender (0: the kernel or another namespace) */
	EVENT_EXIT,     /* pid, a child that was watched, ended with wait status */
	EVENT_EMPTY,    /* asked for with signals_want_empty(): no child is left */
	EVENT_DEADLINE, /* the time is over */
	EVENT_LOST,     /* there are no children, though one is watched: its status was taken by someone else */
};

struct event {
	enum event_kind kind;
	int signo;
	pid_t sender;
	pid_t pid;
	int status; /* as wait4(2) gives it */
};

/* First thing in main: blocks every signal that can be (but not the faults, so that a crash of shim's own is seen: with
 * take_faults those too, for dumb-init forwards them) and sets SIGCHLD to its default, since a parent that ignores it would cost
 * us every exit status. Keeps what was inherited. -1 and errno. */
int signals_init(void);
void signals_take_faults(void);

/* May the kernel reap orphans (Linux 6.15)? Not when each of them must be seen (-w, debug output). */
void signals_allow_kernel_reaping(bool allowed);

/* In a child, before exec: the mask and dispositions exactly as shim inherited them, or clean (an empty mask,
 * nothing ignored). Async-signal-safe. */
void signals_restore_inherited(void);
void signals_restore_clean(void);

/* From now on the end of pid is an event. pidfd (or -1) becomes signals.c's to close. -1 when the list is full. */
int signals_watch(pid_t pid, int pidfd);

/* EVENT_EMPTY is wanted, once no child at all is left. */
void signals_want_empty(bool wanted);

/* Blocks until something happens or the CLOCK_MONOTONIC time deadline_ns (< 0: none) has come. In order: ends of
 * children, signals, the deadline. Orphans are reaped on the way and are no event. Never fails: what the kernel refuses
 * is replaced by a plainer way. */
void signals_next(int64_t deadline_ns, struct event *event);

/* How many orphans were seen and reaped so far (those that the kernel reaps itself are not counted). */
unsigned long signals_orphans(void);

/* Sends signo to the process group that watched child pid leads, also when the leader is gone (then only by its pidfd, never by a number
 * that may belong to somebody else by now). 0, or -1 and errno (ESRCH: there is no such group any more). */
int signals_send_group(pid_t pid, int signo);

#endif
