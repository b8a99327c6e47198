/*
 * setup.h - from argv to options, and what shim makes of itself before it starts anything.
 */
#ifndef SETUP_H
#define SETUP_H

#include "shim.h"
#include "termlog.h"

/*
 * Reads the command line, and SHIM_OPTS, as the name that shim was called by asks for. -1 to go on,
 * or the status to exit with: help was printed, an error said, a target checked, shim installed.
 */
int setup_command_line(struct options *o, int argc, char **argv);

/*
 * Everything before the first phase: orphans, the parent's death, how children are reaped, the
 * termination file; and all that can be wrong with what was asked for is found here (not with
 * --explain, which changes and opens nothing). 0, or -1 when shim cannot go on; why has been said.
 */
int setup_all(struct options *o, struct termlog_facts *facts);

#endif
