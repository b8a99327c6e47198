/*
 * logging.h - the app's output on its way to the log, as PID 1 sees it: the pipes, and the child
 * that reads them (logs.c).
 *
 * PID 1 holds the pipes' read ends and never reads: so the app can lose its reader without getting
 * a SIGPIPE, and the next one finds what was in the pipe. Called by setup.c, app.c, hook_output.c
 * and shim.c.
 */
#ifndef LOGGING_H
#define LOGGING_H

#include <stddef.h>

#include "shim.h"

/* Makes the pipes, when the options ask for any of it; once, before anything starts. 0, or -1 with
 * one line in error. */
int logging_init(const struct options *o, char *error, size_t size);

/* Starts the child, if there is to be one. */
void logging_start(void);

/* What the app gets as descriptors 1 and 2, and hooks as both; 0: what shim has. */
int logging_app_output(void);
int logging_app_errors(void);
int logging_hook_errors(void);

/* The app has them: its end is to be the end of file. */
void logging_app_started(void);

/* Descriptors to keep open, at most max; returns how many. */
enum { LOGGING_DESCRIPTORS = 6 };
size_t logging_descriptors(int *fds, size_t max);

/* A child has ended: was it the one? Then it is started again, at most once a second. */
bool logging_child_ended(pid_t pid, int status);

/* When logging_check_time() has something to do; < 0: never. */
int64_t logging_deadline_ns(void);
void logging_check_time(int64_t now_ns);

/* Everybody has ended: what is in the pipes is still to be written, until end_ns at the latest. */
void logging_end(int64_t end_ns);
bool logging_is_busy(void);

/* The last lines of the app's stderr, as many as were asked for, as a text; NULL: there are none.
 * It comes from a child and from the app: nothing is known of what is in it but that it ends. */
const char *logging_tail(void);

#endif
