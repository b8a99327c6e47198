/*
 * ready.h - the truth about readiness: for the health server, for the ready file, and that the
 * server runs.
 *
 * Owns the status page, the listening socket and the health child. shim.c says how things stand;
 * nobody else knows the phase.
 */
#ifndef READY_H
#define READY_H

#include <stdatomic.h>
#include <stddef.h>

#include "shim.h"
#include "status.h"
#include "termlog.h"

/* Parses, binds and makes the page, when the options ask for any of it; once, before anything
 * starts. 0, or -1 with one line in error. */
int ready_init(const struct options *o, char *error, size_t size);

/* Starts the health server, if there is to be one. */
void ready_start(void);

/* This is how it is now. reason: why it is not ready; NULL: it is. Also makes or removes the ready
 * file. */
void ready_publish(
	const struct termlog_facts *facts, pid_t app, const char *reason, const char *hook);

/* A child has ended: was it the health server? Then it is said, and started again, at most once a
 * second. */
bool ready_child_ended(pid_t pid, int status);

/* When ready_check_time() has something to do; < 0: never. */
int64_t ready_deadline_ns(void);
void ready_check_time(int64_t now_ns);

/* Descriptors to keep open, at most max; returns how many. */
size_t ready_descriptors(int *fds, size_t max);

/* The page, for children that write to it; NULL: there is none. */
struct status_page *ready_page(void);

/* Where the drain watcher counts, or NULL; and the port that it must not count, 0 for none. */
_Atomic uint32_t *ready_active(void);
uint16_t ready_health_port(void);

/* The container ends: the ready file goes. */
void ready_end(void);

#endif
