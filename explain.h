/*
 * explain.h - shim --explain: the plan in plain words, with times and warnings.
 */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "shim.h"

/* Prints it to stdout; hooks_init() has been called. Returns the exit status: 0. */
int explain_plan(const struct options *o);

#endif
