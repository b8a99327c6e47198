/*
 * terminal.h - handing the terminal to the app's process group, and taking it back.
 *
 * Only what shim's own process group holds the foreground of is ever handed on. Called by shim.c;
 * the two calls for the child are async-signal-safe.
 */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A descriptor (0 or 2) of shim's controlling terminal, or -1. *in_foreground: shim's group has it.
 */
int terminal_find(bool *in_foreground);

/* Puts group into the foreground. 0, or -1 and errno. */
int terminal_give(int fd, pid_t group);

/* Puts shim's own group back into the foreground, if that group still has it. */
void terminal_take_back(int fd, pid_t group);

/* Was shim started by a shell with job control, which continues what it sees stopped? */
bool terminal_has_job_control(void);

/* Gives up the controlling terminal on descriptor 0, so that a child with a session of its own can
 * have it. The hang-up and continue that the kernel sends for it are taken back; returns them as a
 * set. */
uint64_t terminal_detach(void);

/* In a child that has made its session: takes the terminal on descriptor 0. 0, or -1 and errno. */
int terminal_attach(void);

#endif
