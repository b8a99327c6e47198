/*
 * forward.h - who gets a signal, and as which: --scope and --rewrite.
 *
 * Knows the app and what is left of it. A signal that cannot be sent is said once and never fatal.
 * Called by shim.c.
 */
#ifndef FORWARD_H
#define FORWARD_H

#include "shim.h"

/* The app runs as pid. placed: what it was given in the end (its own group or not). */
void forward_start(pid_t pid, enum placement placed);

/* The app itself has ended: from now on the scope is whatever is left. */
void forward_app_ended(void);

/* What signo is rewritten to; 0: it is dropped. Says so. */
int forward_rewrite(const struct options *o, int signo);

/* Sends signo, which has been rewritten, to the scope. 0, or -1 and errno when nobody was reached.
 */
int forward_send(const struct options *o, int signo);

/* The same for the stop signal: an app that is stopped (SIGSTOP, Ctrl-Z) is continued, so that it
 * can act on it. */
void forward_stop(const struct options *o, int signo);

/* Continues those in the scope that are stopped. Reads all of /proc, so only when there is time. */
void forward_continue(const struct options *o);

/* Why a signal could not be passed on, for the termination message; NULL: none was refused. */
const char *forward_refused(void);

/* signo for what the app left behind, but not for those that have had the stop signal already. */
void forward_rest(int signo);

/* Continues those of them that are stopped. Reads all of /proc. */
void forward_continue_rest(void);

/* The same when the app was a wrapper: its children take its place in the scope. */
void forward_unwrapped(const struct options *o, int signo);

/* The last signal of dumb-init: to the app's group alone, when the app itself has ended. */
void forward_last(int signo);

/* SIGKILL for all that shim is responsible for: the namespace as PID 1, else the app's group and
 * what is below shim. */
void forward_kill(void);

#endif
