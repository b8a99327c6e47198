/*
 * watcher.h - the drain watcher as a child of PID 1: starts it, knows its end, ends it.
 */
#ifndef WATCHER_H
#define WATCHER_H

#include "shim.h"

/* Starts watching, if the options ask for a drain: from stop_ns on, until end_ns (< 0: no limit) at
 * most. True when there is something to wait for: the end of the child, or a time. */
bool watcher_start(const struct options *o, int64_t stop_ns, int64_t end_ns);

enum watcher_progress {
	WATCHER_IDLE, /* that child was not the watcher; there is nothing to do at this time */
	WATCHER_BUSY, /* it failed; the least time is waited for instead */
	WATCHER_DONE,
};
enum watcher_progress watcher_child_ended(pid_t pid, int status);

/* When watcher_check_time() has something to do; < 0: never. */
int64_t watcher_deadline_ns(void);
enum watcher_progress watcher_check_time(int64_t now_ns);

bool watcher_is_busy(void);

/* Ends it, if it runs. */
void watcher_end(void);

#endif
