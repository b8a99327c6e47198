/*
 * hook_output.h - what the command of a hook prints, on its way to the container's log.
 *
 * A child passes it on from a pipe, each line with the kind of the hook before it ("pre-stop: "),
 * and keeps the last one: why the hook failed, most likely. JSON stays as it is. It ends with the
 * hook, or with what that left behind and has the pipe still. A terminal is not taken from a hook.
 * Called by hooks.c.
 */
#ifndef HOOK_OUTPUT_H
#define HOOK_OUTPUT_H

#include <stddef.h>

#include "shim.h"

/* Starts such a child. *end is what becomes the hook's stdout and stderr, to be closed after its
 * start; where there is no child (returns 0) it is not to be closed, or 0: what shim has. */
pid_t hook_output_start(const char *kind, int *end);

/* The last line so far, or "". */
void hook_output_last(pid_t reader, char *buf, size_t size);

/* A child has ended: if it was one of these, true, and the last line that it read is in buf. */
bool hook_output_ended(pid_t pid, char *buf, size_t size);

/* Is any still reading? */
bool hook_output_is_busy(void);

#endif
