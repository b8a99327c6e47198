/*
 * autoreap.h - the kernel reaps: the way to wait that costs nothing for orphans (Linux 6.15).
 *
 * While SIGCHLD is ignored the kernel reaps whoever ends without waking anybody, and our own
 * children are held by pidfd, which still tells their status then (PIDFD_GET_INFO). Owns the
 * signalfd that stands for the signals in the meantime, and SIGCHLD's disposition while it is on.
 * Called by signals.c only, which has the plain way, and goes back to it for good when this module
 * gives up: whatever the kernel refuses here, autoreap_is_on() says false from then on.
 */
#ifndef AUTOREAP_H
#define AUTOREAP_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "event.h"

/* May it come to that? Not at first. */
void autoreap_allow(bool is_allowed);

/* An orphan has shown up. If it is allowed, and this kernel can (it is asked once), the kernel
 * reaps from now on, and these signals are waited for. What ended before is still for wait4(2). */
void autoreap_begin(uint64_t signals);
bool autoreap_is_on(void);

/* Back to the plain way, and not again. Who ended just before is for wait4(2), or for
 * autoreap_find_unseen(). Also for a fork of shim, which has children of its own to hear of. */
void autoreap_end(void);

/*
 * A child could be gone before there is a pidfd for it. So for the moment of a fork the kernel does
 * not reap: what becomes a zombie in it is for wait4(2). autoreap_pause() is true if it did.
 */
bool autoreap_pause(void);
void autoreap_go_on(void);

/* Is a new child to have a pidfd? One that has none would keep the kernel from reaping. */
bool autoreap_needs_pidfds(void);

enum autoreap_news {
	AUTOREAP_NOTHING, /* interrupted, or it is off now */
	AUTOREAP_SIGNAL,  /* one of the signals is pending */
	AUTOREAP_EVENT,   /* a watched child's end, or the time is over */
};
/* While it is on: waits, at most as long as left says (NULL: for ever). */
enum autoreap_news autoreap_wait(const struct timespec *left, struct event *event);

/* After autoreap_end(), until false: a watched child that the kernel may have reaped. */
bool autoreap_find_unseen(struct event *event);

/* The signalfd; -1: none. */
int autoreap_descriptor(void);

#endif
