/*
 * plain.h - how much of a text can stand in a JSON string as it is.
 *
 * For what each byte of a log goes through (records.c, jsonline.c), and nothing else: whatever is
 * read or copied here may be up to STEP - 1 bytes longer than it says.
 */
#ifndef PLAIN_H
#define PLAIN_H

#include <stdint.h>
#include <string.h>

/* Sixteen bytes at a time: gcc and clang make of this what the machine has. */
typedef signed char bytes __attribute__((vector_size(16)));
typedef uint64_t two_words __attribute__((vector_size(16)));
enum { STEP = sizeof(bytes) };

/* Where the first of sixteen bytes is that is set; STEP: none is. */
static inline unsigned first_set(bytes found)
{
	two_words halves = (two_words)found;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	if (halves[0])
		return (unsigned)__builtin_ctzll(halves[0]) / 8;
	return halves[1] ? 8 + (unsigned)__builtin_ctzll(halves[1]) / 8 : STEP;
#else
	if (halves[0])
		return (unsigned)__builtin_clzll(halves[0]) / 8;
	return halves[1] ? 8 + (unsigned)__builtin_clzll(halves[1]) / 8 : STEP;
#endif
}

static inline bytes load(const char *at)
{
	bytes sixteen;

	memcpy(&sixteen, at, STEP);
	return sixteen;
}

/* How many are to be copied as they are: no control character, quote or backslash, and ASCII. */
static inline unsigned count_plain(const char *at)
{
	bytes sixteen = load(at);

	return first_set((sixteen < ' ') | (sixteen == '"') | (sixteen == '\\'));
}

#endif
