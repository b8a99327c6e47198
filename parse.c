/*
 * parse.c - text to numbers, durations and words.
 */
#include "parse.h"

#include <stdbool.h>
#include <string.h>

#include "shim.h"

static const int64_t longest_duration_ns = 10LL * 365 * 24 * 3600 * NS_PER_S;

/* Digits up to limit; *end is the first byte that is none. -1 without a digit or beyond the limit.
 */
static int read_digits(const char *text, uint64_t limit, uint64_t *value, const char **end)
{
	uint64_t sum = 0;

	if (*text < '0' || *text > '9')
		return -1;
	for (; *text >= '0' && *text <= '9'; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (digit > limit || sum > (limit - digit) / 10)
			return -1;
		sum = sum * 10 + digit;
	}
	*value = sum;
	*end = text;
	return 0;
}

int parse_number(const char *text, long min, long max, long *value)
{
	bool is_negative = *text == '-';
	uint64_t magnitude;
	const char *end;
	long number;

	if (read_digits(text + is_negative, INT64_MAX, &magnitude, &end) || *end != '\0')
		return -1;
	if (magnitude > (uint64_t)INT64_MAX || (int64_t)magnitude > (int64_t)__LONG_MAX__)
		return -1;
	number = is_negative ? -(long)magnitude : (long)magnitude;
	if (number < min || number > max)
		return -1;
	*value = number;
	return 0;
}

int parse_duration(const char *text, int64_t *ns)
{
	static const struct {
		char suffix[3];
		int64_t ns;
	} units[] = {{"", NS_PER_S}, {"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S},
		{"h", 3600 * NS_PER_S}};
	uint64_t count;
	const char *end;

	if (read_digits(text, (uint64_t)INT64_MAX, &count, &end))
		return -1;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (count > (uint64_t)(longest_duration_ns / units[i].ns))
			return -1;
		*ns = (int64_t)count * units[i].ns;
		return 0;
	}
	return -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* In double quotes a backslash is an ordinary character before most others, as POSIX has it. */
static bool is_escape(const char *in, char quote)
{
	return *in == '\\' && quote != '\'' &&
	       (quote == '\0' || (in[1] != '\0' && strchr("\"\\$`\n", in[1])));
}

/* Reads one word from *in and writes it, ended, to *out, which never overtakes *in. -1: a quote is
 * open. */
static int take_word(char **in, char **out)
{
	char quote = '\0';
	char *from = *in;
	char *to = *out;
	bool is_last;

	for (; *from != '\0' && (quote != '\0' || !is_blank(*from)); from++) {
		if (is_escape(from, quote)) {
			from++;
			if (*from == '\0')
				return -1;
			if (*from != '\n') /* else a line goes on */
				*to++ = *from;
		} else if (quote == '\0' ? *from == '\'' || *from == '"' : *from == quote) {
			quote = (char)(quote == '\0' ? *from : '\0');
		} else {
			*to++ = *from;
		}
	}
	if (quote != '\0')
		return -1;
	is_last = *from == '\0'; /* asked first: the two may be the same byte */
	*to++ = '\0';
	*in = is_last ? from : from + 1;
	*out = to;
	return 0;
}

int split_words(char *text, char **words, size_t max)
{
	char *in = text;
	char *out = text;
	size_t count = 0;

	for (;;) {
		while (is_blank(*in) || (in[0] == '\\' && in[1] == '\n'))
			in += *in == '\\' ? 2 : 1;
		if (*in == '\0')
			return (int)count;
		if (count == max)
			return -1;
		words[count++] = out;
		if (take_word(&in, &out))
			return -1;
	}
}
