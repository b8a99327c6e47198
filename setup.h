/*
 * setup.h - from argv to options, and what shim makes of itself before it starts anything.
 */
#ifndef SETUP_H
#define SETUP_H

#include "shim.h"

/*
 * Reads the command line, and SHIM_OPTS, as the name that shim was called by asks for. -1 to go on,
 * or the status to exit with: help was printed, an error said, a target checked, shim installed.
 */
int setup_command_line(struct options *o, int argc, char **argv);

/* Orphans, the parent's death, and how children are reaped. */
void setup_process(const struct options *o);

#endif
