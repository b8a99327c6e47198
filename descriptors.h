/*
 * descriptors.h - closing what shim inherited and the app now has.
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stddef.h>

/* Closes every descriptor from 3 on but those in keep (any order; -1 is skipped). */
void descriptors_close(int *keep, size_t count);

#endif
