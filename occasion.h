/*
 * occasion.h - what an event means to the lifecycle: whose child has ended, whose time has come.
 *
 * For shim.c's loop. The modules that have children and deadlines of their own are asked in turn.
 */
#ifndef OCCASION_H
#define OCCASION_H

#include "life.h"

/* Waits for the next event. Returns what it means, and may change what the module that it was for
 * knows; ON_NOTHING when that is all. */
enum occasion occasion_next(struct life *life, struct event *event);

#endif
