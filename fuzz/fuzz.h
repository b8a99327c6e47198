/*
 * fuzz.h - what the fuzzers share.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* abort() and not assert(): it must not depend on NDEBUG, and the fuzzer shows where. */
static inline void require(bool fact)
{
	if (!fact)
		abort();
}

/* A copy of the exact size with a NUL behind it, so that the sanitizer sees every read beyond. */
static inline char *copy_text(const void *data, size_t size)
{
	char *copy = malloc(size + 1);

	require(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	return copy;
}

/* The same without the NUL; at an odd address, so that reads which expect an aligned one are seen.
 */
static inline char *copy_bytes(const void *data, size_t size, char **to_free)
{
	*to_free = malloc(size + 1);
	require(*to_free != NULL);
	if (size > 0)
		memcpy(*to_free + 1, data, size);
	return *to_free + 1;
}

/* A script of numbers taken off the front of the input; 0 when there are no more. */
struct script {
	const uint8_t *at;
	size_t left;
};

static inline unsigned script_byte(struct script *s)
{
	if (s->left == 0)
		return 0;
	s->left--;
	return *s->at++;
}

/* At most max bytes of it. */
static inline const uint8_t *script_bytes(struct script *s, size_t max, size_t *length)
{
	const uint8_t *at = s->at;

	*length = s->left < max ? s->left : max;
	s->at += *length;
	s->left -= *length;
	return at;
}

#endif
