/*
 * out.h - a text of bounded length, built of pieces; strings from outside made harmless.
 */
#ifndef OUT_H
#define OUT_H

#include <stdbool.h>
#include <stddef.h>

/* A piece goes in whole or not at all; after the first that does not fit nothing does, until full
 * is reset. */
struct out {
	char *buf;
	size_t limit; /* without the NUL, which the owner puts */
	size_t length;
	size_t closers; /* JSON's open brackets, for which room is kept */
	bool full;
	bool dropped; /* a field of JSON was taken back */
};

void out_put(struct out *o, const char *bytes, size_t n);

/* For short ASCII only (127 bytes). */
void out_format(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A string from outside, at most max bytes of it as written, then "...". What is no UTF-8 becomes
 * U+FFFD; control characters are escaped in JSON, else blanks and question marks. Cut only between
 * characters. */
void out_part(struct out *o, const char *text, bool json, size_t max);

/* How many bytes the UTF-8 sequence at text has; 0 when it is not a valid one. Reads no further
 * than the first byte that cannot belong to it. */
size_t out_sequence(const char *text);

#endif
