/*
 * signals.h - the only place where PID 1 waits: signals, the ends of its children, and deadlines.
 *
 * Owns the signal mask and the dispositions. One thread, no handlers: signals stay blocked and are
 * taken one by one. Whose end is an event stands in children.h. Called by shim.c and forward.c, and
 * by spawn.c between fork and exec.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include "children.h"
#include "event.h"
#include "shim.h"

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

/* fork(2): the child is watched from the start, whoever reaps. In it (0) everything is as in shim,
 * but that it hears of children of its own. -1 and errno. */
pid_t signals_fork(void);

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

/* Descriptors that waiting takes, the pidfds among them, at most max; returns how many. */
enum { SIGNALS_DESCRIPTORS = CHILDREN_MAX + 1 };
size_t signals_descriptors(int *fds, size_t max);

#endif
