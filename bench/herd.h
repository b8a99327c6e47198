/*
 * herd.h - processes by the thousand, for an init to reap or to signal. Called by payload.c.
 *
 * Each function ends when all n have been reaped, and gives the nanoseconds from the moment that
 * counts until then. One that cannot go on says so on stdout and ends the process with 99.
 */
#ifndef HERD_H
#define HERD_H

#include <stddef.h>
#include <stdint.h>

enum { HERD_MOST = 20000 };

/* "failed WHAT: why" on stdout, and the end. */
_Noreturn void fail(const char *what);

/* Memory that is shared with what is forked (fd -1), or with whoever holds fd. */
void *shared_memory(size_t size, int fd);

/* Before the first herd, and between two. */
void herd_init(void);
void herd_reset(void);

/* Look for zombies too: takes time and a real-time priority, so not while timing. */
void herd_watch(int on);
int herd_peak(void);

/* Orphans, each one made when the one before is gone and the init asleep again. */
int64_t herd_paced(int n);
/* Orphans as fast as they can be made. */
int64_t herd_stream(int n);
/* Orphans that live, and then all end at once. */
int64_t herd_burst(int n);
/* Orphans in the app's process group, ended by a SIGTERM to the init. */
int64_t herd_term(int n);
/* Children in the app's process group, for whoever ends them. */
int64_t herd_group(int n);

#endif
