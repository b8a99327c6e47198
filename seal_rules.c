/*
 * seal_rules.c - the filters that libseccomp made when shim was built, and the names of system
 * calls. Called by seal.c.
 */
#include "seal.h"

#include "build/seal_rules.h"
#include "format.h"

_Static_assert(sizeof seal_begin / sizeof *seal_begin == SEAL_ROLES + 1, "every role has a filter");

bool seal_filter(enum seal_role role, struct sock_fprog *filter)
{
	filter->len = (unsigned short)(seal_begin[role + 1] - seal_begin[role]);
	/* The kernel only reads it. */
	filter->filter = (struct sock_filter *)(uintptr_t)&seal_code[seal_begin[role]];
	return true;
}

/* Codes from FIRST_PAIR on stand for two others. */
enum { FIRST_PAIR = 128 };

static size_t unpack(unsigned char code, char *buf, size_t length)
{
	if (code >= FIRST_PAIR) {
		const unsigned char *pair = &seal_pairs[(size_t)2 * (code - FIRST_PAIR)];
		return unpack(pair[1], buf, unpack(pair[0], buf, length));
	}
	if (length + 1 < SEAL_NAME_SIZE)
		buf[length++] = (char)code;
	return length;
}

const char *seal_call_name(int call, char buf[SEAL_NAME_SIZE])
{
	const unsigned char *at = seal_names;
	int skip = call < SEAL_GAP_END ? call : call - (SEAL_GAP_END - SEAL_GAP_BEGIN);
	bool has_name =
		call >= 0 && call <= SEAL_LAST && (call < SEAL_GAP_BEGIN || call >= SEAL_GAP_END);
	size_t length = 0;

	for (; has_name && skip > 0; at++)
		skip -= !*at;
	for (; has_name && *at; at++)
		length = unpack(*at, buf, length);
	buf[length] = '\0';
	if (!length)
		(void)format_text(buf, SEAL_NAME_SIZE, "%d", call);
	return buf;
}
