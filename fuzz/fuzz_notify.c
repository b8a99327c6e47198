/*
 * fuzz_notify.c - any datagram to $NOTIFY_SOCKET. What is taken lies within it.
 */
#include "notify.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct notify_words words;

	notify_parse(text, size, &words);
	if (words.extend_ns < 0)
		abort();
	if (words.text && (words.text < text || words.text + words.text_length > text + size))
		abort();
	return 0;
}
