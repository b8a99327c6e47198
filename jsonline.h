/*
 * jsonline.h - is a line one JSON object (RFC 8259), so that it may stand in a log as it is?
 */
#ifndef JSONLINE_H
#define JSONLINE_H

#include <stdbool.h>

/* The line ends with a line break, which must be there; 15 bytes behind it may be read, too. Pure.
 */
bool jsonline_is_object(const char *line);

#endif
