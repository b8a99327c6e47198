/*
 * parse.h - text to numbers, durations and words. Pure.
 */
#ifndef PARSE_H
#define PARSE_H

#include <stddef.h>
#include <stdint.h>

/* Each parse_ function takes the whole text or nothing: trailing junk is an error. 0, or -1. */
int parse_number(const char *text, long min, long max, long *value);
/* "250ms", "5s", "2m", "1h"; a plain number is seconds. No sign, no fraction; up to 10 years. */
int parse_duration(const char *text, int64_t *ns);

/* Splits text in place into words as a shell would: blanks separate, '…' "…" and \ quote, nothing
 * is expanded. At most max words; the array is not NULL-terminated. Returns how many, or -1 when a
 * quote is left open or there are too many. */
int split_words(char *text, char **words, size_t max);

#endif
