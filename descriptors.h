/*
 * descriptors.h - closing what shim inherited and the app now has.
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stddef.h>

/* Closes every descriptor from 3 on but those in keep (any order; -1 is skipped). */
void descriptors_close(int *keep, size_t count);

/* Started with 0, 1 or 2 closed, shim would be given these numbers for what it opens: its log would
 * go there, and hooks would get it for their output. /dev/null takes the place; the app finds it
 * closed. */
void descriptors_reserve(void);

#endif
