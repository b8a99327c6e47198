/*
 * scan.h - options and numbers as glibc reads them, with glibc's words for what is wrong.
 *
 * getopt's messages and the place where it stops differ from libc to libc, and the peers' own are
 * compared. Here it stops at the first word that is no option, always: what follows belongs to the
 * program. Called by compat.c.
 */
#ifndef SCAN_H
#define SCAN_H

#include <stdbool.h>
#include <stdint.h>

struct scan_long {
	char name[15];
	char letter; /* of the short option that is the same; shorts says whether it takes an
			argument */
};

/* Begin with the first three (longs may be NULL: then "--x" is the short option "-") and next = 1.
 */
struct scan {
	char **argv;
	const char *shorts;            /* as for getopt() */
	const struct scan_long *longs; /* ends with an empty name */
	int next;       /* the word to look at next; at the end, the program's name */
	char *cluster;  /* the rest of "-abc", or NULL */
	char *argument; /* of the option just returned */
};

enum { SCAN_END = 0, SCAN_BAD = '?' };

/* The next option's letter; SCAN_BAD when it was bad, which has been said on stderr; SCAN_END at
 * the program's name. */
int scan_next(struct scan *s);

/* What strtol() and scanf's %d make of the start of *text: blanks, a sign, digits. Moves *text past
 * it; false when no digit is there. What does not fit is INT64_MAX or
 * INT64_MIN. */
bool scan_number(const char **text, int64_t *value);

/* Formats (format.h) and writes at once; cut at PIPE_BUF. */
void scan_say(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
