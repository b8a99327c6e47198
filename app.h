/*
 * app.h - the application as a process: its start, and its share of the terminal.
 *
 * Owns which terminal was handed to it. Called by shim.c, which decides what follows.
 */
#ifndef APP_H
#define APP_H

#include <stddef.h>

#include "event.h"
#include "shim.h"

/*
 * Starts it, watches it, and tells forward.c of it. Its pid; or -1, with the exit status that this
 * means in *status and one line on why in reason (which shim, under its own name, has said).
 */
pid_t app_start(const struct options *o, int *status, char *reason, size_t size);

/* It has been started, and has what was inherited: shim lets go of that, so as not to keep a socket
 * or a mount busy. */
void app_release_inherited(const struct options *o);

/* It was stopped (Ctrl-Z): stops shim, too, if a shell with job control waits for that. */
void app_suspended(const struct event *event);

/* shim itself was continued (fg): the app gets what the shell gave us. */
void app_continued(void);

/* Stops the app for the terminal and shim with it, as dumb-init does on TSTP, TTIN and TTOU. */
void app_suspend(const struct options *o, int signo);

/* The container ends: whoever started shim gets the terminal back. */
void app_give_back_terminal(void);

#endif
