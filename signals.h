/*
 * signals.h - the only place where PID 1 waits: signals, the ends of its children, and deadlines.
 *
 * Owns the signal mask, the dispositions, and the list of the children that shim has started. One
 * thread, no handlers: signals stay blocked and are taken one by one. Called by shim.c and
 * forward.c, and by spawn.c between fork and exec.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include "shim.h"

enum event_kind {
	EVENT_SIGNAL,  /* signo came from sender (0: the kernel, or another PID namespace) */
	EVENT_MESSAGE, /* that signal is a word of another shim's (messages.h), in status */
	EVENT_EXIT,    /* pid, a child that is watched, ended with this wait status */
	EVENT_STOPPED, /* pid, a child that is watched, was stopped (after signals_watch_stops()) */
	EVENT_EMPTY,   /* no child at all is left (after signals_want_empty()) */
	EVENT_FEWER,   /* orphans ended, and some child is left (after signals_want_empty()) */
	EVENT_DEADLINE, /* the time is over */
	EVENT_LOST,     /* pid, a child that is watched, is gone: its status went to someone else */
};

struct event {
	enum event_kind kind;
	int signo;
	pid_t sender;
	pid_t pid;
	int status; /* as wait4(2) gives it */
};

/*
 * First thing in main: blocks every signal and sets SIGCHLD to its default, since a parent that
 * left it ignored would cost us every exit status. Keeps what was inherited. With take_faults,
 * SIGSEGV and the like are blocked too, so that a sent one is forwarded; a fault of shim's own
 * still ends it, since the kernel unblocks what it forces (signal(7)). -1 and errno: nothing can be
 * started, for its end would go unnoticed.
 */
int signals_init(bool take_faults);

/* May the kernel reap orphans (Linux 6.15)? Not when each is to be seen: is each one said (-w)? */
void signals_set_reaping(bool kernel_may, bool say_orphans);

/* In a child, before exec: the mask and dispositions as shim inherited them, or clean (an empty
 * mask, every signal at its default). Async-signal-safe. */
void signals_restore_inherited(void);
void signals_restore_clean(void);

/* From now on the end of pid is an event. pidfd (or -1) becomes this module's to close. -1 when the
 * list is full (SIGNALS_CHILDREN). */
enum { SIGNALS_CHILDREN = 64 };
int signals_watch(pid_t pid, int pidfd);

/* fork(2): the child is watched from the start, whoever reaps. In it (0) everything is as in shim,
 * but that it hears of children of its own. -1 and errno. */
pid_t signals_fork(void);

/* Has this watched child ended, as far as was told? */
bool signals_has_ended(pid_t pid);

/* The caller is done with an ended child and its process group. */
void signals_forget(pid_t pid);

/* Stops of watched children are wanted as events, too. */
void signals_watch_stops(void);

/* EVENT_EMPTY is wanted: once, when no child at all is left. */
void signals_want_empty(void);

/*
 * Blocks until something happens or the CLOCK_MONOTONIC time deadline_ns has come (< 0: none; 0:
 * only reap what has ended already). Ends of children come first, then signals, then the deadline;
 * but no flood of signals holds up the other two. Orphans are reaped on the way and are no event.
 * Never fails: what the kernel refuses is done a plainer way.
 */
void signals_next(int64_t deadline_ns, struct event *event);

/* Takes back the signals of set that are pending. Returns those there were. */
uint64_t signals_take_pending(uint64_t set);

/* Is this child stopped now? */
bool signals_is_stopped(pid_t pid);

/*
 * Sends signo to the process group that watched child pid leads. When the leader has been reaped
 * its number may belong to somebody else, so then only by pidfd (Linux 6.9). 0, or -1 and errno:
 * ESRCH, there is no such group any more; ENOSYS, the leader is gone and the kernel is too old.
 */
int signals_send_group(pid_t pid, int signo);

/* Descriptors that this module has open, at most max; returns how many. */
size_t signals_descriptors(int *fds, size_t max);

#endif
