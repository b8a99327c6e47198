/*
 * drain_now.h - shim --drain-now: another process of the container asks PID 1 to drain, and waits
 * until it has.
 */
#ifndef DRAIN_NOW_H
#define DRAIN_NOW_H

#include <stdint.h>

/* timeout_ns < 0: PID 1's own limits are enough. The exit status: 0 when it has drained, 1 when it
 * has not in that time, or cannot be asked, which is said. */
int drain_now_main(int64_t timeout_ns);

#endif
