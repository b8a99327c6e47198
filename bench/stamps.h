/*
 * stamps.h - the page that bench/measure.c shares with the app it has started, and the clock both
 * read.
 */
#ifndef STAMPS_H
#define STAMPS_H

#include <stdint.h>
#include <time.h>

/* Where the app finds the page. High, so that it is out of the way of what an init opens itself. */
enum { STAMPS_FD = 9, STAMPS_SIZE = 4096 };

/* CLOCK_MONOTONIC, nanoseconds: one clock for all processes and namespaces. */
struct stamps {
	int64_t exec;    /* measure, just before it executes the init */
	int64_t started; /* the app's first statement */
	int64_t ended;   /* the app's last */
	int64_t sent;    /* measure, just before kill() */
	int64_t taken;   /* the app, the signal in hand */
};

static inline int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
