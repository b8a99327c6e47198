/*
 * fuzz_logs.c - what an app may write, in pieces of any size and at any time: every line that comes
 * out is one JSON object, and all that was ASCII is in it, in its order.
 *
 * The first byte says how often time goes by. The pieces' sizes are taken from the data itself.
 */
#include "fuzz.h"

#include "jsonline.h"
#include "records.h"

enum { TEXT_MAX = 1 << 20 };
static struct records r;
static char got[TEXT_MAX], want[TEXT_MAX], decoded[TEXT_MAX];
static size_t got_length, want_length;

static bool counts(char c)
{
	return (signed char)c >= 0 && c != '\n' && c != '\r';
}

/* What the string from behind its quote on stands for; returns where it ends. */
static const char *decode(const char *p, size_t *length)
{
	static const char names[] = "btnfr\"\\/", values[] = "\b\t\n\f\r\"\\/";

	for (*length = 0; *p != '"'; p++) {
		char c = *p;
		if (c == '\\' && *++p == 'u') {
			char digits[5] = {p[1], p[2], p[3], p[4], '\0'};
			c = (char)strtol(digits, NULL, 16);
			p += 4;
		} else if (c == '\\')
			c = values[strchr(names, *p) - names];
		decoded[(*length)++] = c;
	}
	return p;
}

/* One line of output. */
static void take(const char *line)
{
	static const char message[] = "\"message\":\"", nested[] = "\"k\":";
	const char *p = strstr(line, ",\"stream\":\"s\",");
	size_t length = 0, breaks = 1;

	require(jsonline_is_object(line) && strncmp(line, "{\"time\":\"", 9) == 0 && p);
	p += strlen(",\"stream\":\"s\",");
	if (strncmp(p, nested, sizeof nested - 1) == 0) {
		p += sizeof nested - 1;
		length = (size_t)(strchr(p, '\n') - p) - 1;
		memcpy(decoded, p, length);
	} else {
		require(strncmp(p, message, sizeof message - 1) == 0);
		p = decode(p + sizeof message - 1, &length);
		for (size_t i = 0; i < length; i++)
			breaks += decoded[i] == '\n';
		const char *lines = strstr(p, "\"lines\":");
		const char *end = strchr(p, '\n');
		require((lines && lines < end ? (size_t)atol(lines + 8) : 1) == breaks);
	}
	for (size_t i = 0; i < length; i++)
		if (counts(decoded[i]))
			got[got_length++] = decoded[i];
}

static void drain(void)
{
	for (const char *p = r.out + r.done; p < r.out + r.ready; p = strchr(p, '\n') + 1)
		take(p);
	records_wrote(&r, r.ready - r.done);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t now_ns = 0;
	uint8_t pace = size ? *data++ : 0;

	if (size < 2 || size > TEXT_MAX / 8)
		return 0;
	size--;
	memset(&r, 0, sizeof r);
	r.stream = "s";
	r.nest = "k";
	got_length = want_length = 0;
	while (size) {
		char *at;
		size_t n = 1 + *data * (size_t)(pace & 15) * 16, room = records_space(&r, &at);

		require(room > 0);
		n = n < size ? n : size;
		n = n < room ? n : room;
		memcpy(at, data, n);
		for (size_t i = 0; i < n; i++)
			if (counts((char)data[i]))
				want[want_length++] = (char)data[i];
		records_take(&r, n, 1 + now_ns, now_ns);
		while (!records_work(&r)) {
			require(r.ready > r.done);
			drain();
		}
		now_ns += (pace >> 4) * (RECORDS_HOLD_NS / 8);
		records_check_time(&r, now_ns);
		records_check_time(
			&r, now_ns); /* the rest of a character that was not waited for */
		int64_t deadline_ns = records_deadline_ns(&r);
		require(deadline_ns < 0 || deadline_ns > now_ns);
		if (pace & 1)
			drain();
		data += n;
		size -= n;
	}
	while (!records_work(&r))
		drain();
	records_end(&r);
	drain();
	require(r.length == 0 && r.in_at == r.in_length);
	require(got_length == want_length && memcmp(got, want, got_length) == 0);
	return 0;
}
