/*
 * privs.h - who the app runs as and what it may do (--user, --caps, --no-new-privs), what is left
 * to PID 1 then, and how a child gives up everything.
 *
 * Owns what was resolved from these options. Without one of them nothing here makes a system call,
 * and the app has exactly what shim was given.
 */
#ifndef PRIVS_H
#define PRIVS_H

#include <stddef.h>

#include "shim.h"

/*
 * Resolves the options, and tries in a child whether they can be had, so that nothing is started
 * when they cannot. Uses the heap. 0, or -1 with one line in error.
 */
int privs_init(const struct options *o, char *error, size_t size);

/* The app's environment: shim's own but for HOME; NULL when they are the same. */
char **privs_environment(void);

/*
 * Between fork or vfork and exec: become what the options ask for. Async-signal-safe. 0, or -1 and
 * errno with *call the name of what failed. The memory may be shared with PID 1, which becomes
 * undumpable by a change of user (see privs_settle).
 */
int privs_become(const char **call);

/* This process becomes that user, saved uid included. Async-signal-safe. 0, or -1 and errno. */
int privs_set_user(uid_t uid);

/* PID 1, once the app runs: keeps the capabilities that it needs itself, and only those. all:
 * commands are still to be run with what shim was given. */
void privs_settle(const struct options *o, bool all);

/* Gives up every capability, in all sets as far as the kernel lets it; for shim's own children. 0,
 * or -1 and errno when the process may still have some. */
int privs_renounce(void);

/* For --explain: one line, "" if there is nothing to tell. Returns buf. */
const char *privs_describe(const struct options *o, char *buf, size_t size);

#endif
