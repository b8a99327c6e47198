/*
 * fuzz_drain.c - what the kernel (or whoever plays it) answers about its sockets, any bytes. The
 * first byte chooses: netlink datagrams, lines of /proc/net/tcp, or two texts of /proc/PID/cgroup.
 * libFuzzer: clang -std=c11 -D_GNU_SOURCE -I. -g -fsanitize=fuzzer,address,undefined
 * fuzz/fuzz_drain.c sockets_parse.c dialogue.c drain.c owners.c sockets.c log.c util.c
 */
#include "sockets.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>

#include "dialogue.h"
#include "drain.h"
#include "owners.h"

enum { SEQUENCE = 1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dialogues dialogues;

static void require(bool fact)
{
	if (!fact)
		abort();
}

static void check_socket(const struct tcp_socket *s)
{
	int64_t quiet;

	require(s->state < 32 && (SOCKETS_STATES >> s->state & 1) != 0);
	quiet = drain_quiet_ns(s, s->timed && dialogue_owes(&dialogues, s));
	require(quiet >= -1 && quiet <= (int64_t)UINT32_MAX * 1000000);
	require(s->timed || quiet <= 0);
	if (s->state == STATE_LISTEN)
		require(quiet == -1);
}

static void fuzz_diag(const uint8_t *data, size_t size)
{
	size_t offset = 0;
	enum diag_part part;

	do {
		struct tcp_socket s;
		size_t before = offset;
		int error = 0;

		part = sockets_parse_diag(data, size, &offset, SEQUENCE, &s, &error);
		if (part == DIAG_SOCKET)
			check_socket(&s);
		if (part == DIAG_FAILED)
			require(error > 0 && error < 4096);
		if (part == DIAG_SOCKET || part == DIAG_SKIPPED)
			require(offset > before); /* else it would never end */
	} while (part == DIAG_SOCKET || part == DIAG_SKIPPED);
}

static void fuzz_proc(const char *text, size_t size)
{
	const char *end = text + size;

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((stop != NULL ? stop : end) - text);
		struct tcp_socket s;

		if (sockets_parse_proc(text, length, &s)) {
			check_socket(&s);
			require(!s.timed);
		}
		text += length + 1;
		if (stop == NULL)
			break;
	}
}

static void fuzz_cgroup(const char *text, size_t size)
{
	size_t first = size / 2;
	char *ours = calloc(1, first + 1);
	char *theirs = calloc(1, size - first + 1);

	require(ours != NULL && theirs != NULL);
	memcpy(ours, text, first);
	memcpy(theirs, text + first, size - first);
	(void)owners_same_cgroup(ours, theirs);
	/* A process is always in its own container, but for the siblings' "/..". */
	require(strstr(ours, "..") != NULL || owners_same_cgroup(ours, ours));
	free(ours);
	free(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	/* A copy of the exact size at an odd address: reads behind it and aligned ones are seen. */
	char *copy = malloc(size);

	require(copy != NULL);
	memcpy(copy, data, size);
	if (data[0] % 3 == 0)
		fuzz_diag((const uint8_t *)copy + 1, size - 1);
	else if (data[0] % 3 == 1)
		fuzz_proc(copy + 1, size - 1);
	else
		fuzz_cgroup(copy + 1, size - 1);
	free(copy);
	return 0;
}
