/*
 * messages.h - words between two processes that are both shim: a queued signal that nobody else
 * sends.
 *
 * PID 1 waits for signals and for nothing else, so that is how it is spoken to. The kernel lets a
 * process of the same user, or root, send one; whoever may do that may send SIGTERM as well. A
 * program's own sigqueue(3) cannot be mistaken for one: si_code says SI_QUEUE then.
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "shim.h"

enum {
	MESSAGE_SIGNAL = SIGNAL_LAST,
	MESSAGE_CODE =
		-0x7368696d, /* si_code; below 0 a sender may choose it (rt_sigqueueinfo(2)) */
};

enum message {
	MESSAGE_DRAIN = 1,   /* to PID 1: drain now; each one is answered */
	MESSAGE_IS_DRAINING, /* the answers */
	MESSAGE_IS_DRAINED,  /* or there is nothing to drain (any more) */
};

/* 0, or -1 and errno. */
int messages_send(pid_t pid, enum message message);

/* For processes other than PID 1, which have the signal blocked: waits at most until deadline_ns
 * (CLOCK_MONOTONIC) for one from that process. -1: none came. */
int messages_wait(pid_t from, int64_t deadline_ns);

#endif
