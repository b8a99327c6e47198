/*
 * hooks.h - lists of steps (a command, an HTTP request, a pause), one after another, each with a
 * limit.
 *
 * Owns which step of which list runs. shim.c starts a list, hands on the ends of children and the
 * time, and is told how the list stands; results go into the facts for the termination message.
 */
#ifndef HOOKS_H
#define HOOKS_H

#include <stddef.h>

#include "shim.h"
#include "termlog.h"

enum hooks_progress {
	HOOKS_IDLE,   /* nothing runs; also: that child was not a hook */
	HOOKS_BUSY,   /* a step runs */
	HOOKS_DONE,   /* the list has just come to its end */
	HOOKS_FAILED, /* a start hook has just failed, and the list with it */
};

/*
 * Parses all hooks of the options; once, before anything starts. facts gets a line for each step
 * that ran. Uses the heap. 0, or -1 with one line in error.
 */
int hooks_init(const struct options *o, struct termlog_facts *facts, char *error, size_t size);

/* Starts a list. No step may run past end_ns (CLOCK_MONOTONIC; < 0: no limit but --hook-timeout).
 * BUSY, or DONE when there is nothing to do, or FAILED. */
enum hooks_progress hooks_start(enum hook_kind kind, int64_t end_ns);

/* A child has ended: IDLE if it was none of a hook's. */
enum hooks_progress hooks_child_ended(pid_t pid, int status);

/* When hooks_check_time() has something to do next; < 0: never. */
int64_t hooks_deadline_ns(void);

/* A limit has come: ends the step that overran it (TERM to its group, KILL a second later), or a
 * pause. Call until IDLE. */
enum hooks_progress hooks_check_time(int64_t now_ns);

/* The app has ended: the steps not begun are skipped, a pause is over; another one that runs may
 * finish. */
void hooks_skip_rest(enum hook_kind kind);

/* The step that runs is ended (TERM, KILL a second later), the rest skipped. why: for the message.
 */
void hooks_cancel(enum hook_kind kind, const char *why);

bool hooks_is_busy(enum hook_kind kind);

/* Everybody has ended: what hooks printed last is still to be passed on, until end_ns or a fifth of
 * a second from now at the latest. */
void hooks_end(int64_t end_ns);
bool hooks_are_reading(void);

/* Are there commands among those that run once the app has started? */
bool hooks_has_commands(void);

/* The step that runs, for a person: "pre-stop sleep:5s", or "". Returns buf. */
const char *hooks_running(char *buf, size_t size);

/* The status of the start hook that failed, as a shell tells it. */
int hooks_failed_status(void);

/* How long the list may take at most: for --explain. */
int64_t hooks_worst_case_ns(enum hook_kind kind);

#endif
