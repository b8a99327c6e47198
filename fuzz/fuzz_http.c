/*
 * fuzz_http.c - hostile answers and requests. libFuzzer: clang -fsanitize=fuzzer,address,undefined.
 *
 * The first byte says where the rest is split; verdicts must not depend on it, and what is taken
 * must lie within the data.
 */
#include "http.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_answer(const char *text, size_t length, size_t split)
{
	struct http_answer whole = {.state = 0};
	struct http_answer parts = {.state = 0};
	enum http_verdict a = http_answer_feed(&whole, text, length);
	enum http_verdict b = http_answer_feed(&parts, text, split);

	if (b == HTTP_MORE)
		b = http_answer_feed(&parts, text + split, length - split);
	require(a == b && whole.status == parts.status && whole.count == parts.count);
	require(a == HTTP_STATUS ? whole.status >= 100 && whole.status <= 999 : whole.status == 0);
	require(whole.count <= HTTP_ANSWER_MAX);
}

static void check_request(const char *text, size_t length, size_t split)
{
	struct http_request request;
	struct http_request part;
	size_t used;
	size_t part_used;
	int status = http_request_parse(text, length, &request, &used);
	int part_status = http_request_parse(text, split, &part, &part_used);

	require(used <= length);
	/* More bytes never change what was decided. */
	require(part_status == 0 || part_status == status);
	if (status == 200) {
		bool is_root = span_is(request.path, "/");

		require(request.path.length > 0 && request.path.at[0] == '/');
		require(is_root || (request.path.at >= text &&
					   request.path.at + request.path.length <= text + used));
		require(used <= HTTP_HEAD_MAX);
		require(memchr(request.path.at, '\n', request.path.length) == NULL);
	} else {
		require(!request.keep_alive);
	}
}

static void check_header(const char *text, size_t length)
{
	char *header = strndup(text, length);
	const char *headers[] = {header};
	struct http_call call = {.headers = headers, .header_count = 1};
	char buf[HTTP_REQUEST_MAX];
	size_t built;

	if (http_header_problem(header) == NULL) {
		built = http_call_build(&call, buf, sizeof buf);
		require(built > 4 && memcmp(buf + built - 4, "\r\n\r\n", 4) == 0);
		/* One head, whatever is in the header: its end comes once. */
		require(memmem(buf, built - 1, "\r\n\r\n", 4) == NULL);
	}
	free(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text;
	size_t split;

	if (size < 1)
		return 0;
	text = (const char *)data + 1;
	size--;
	split = size > 0 ? data[0] % (size + 1) : 0;
	check_answer(text, size, split);
	check_request(text, size, split);
	check_header(text, size);
	return 0;
}
