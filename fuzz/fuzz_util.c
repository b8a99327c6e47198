/*
 * fuzz_util.c - the parsers of parse.h and names.h on any bytes, beside libc's where it has the same. libFuzzer:
 * clang -std=c11 -D_GNU_SOURCE -I. -g -fsanitize=fuzzer,address,undefined fuzz/fuzz_util.c parse.c names.c format.c util.c
 */
#include "format.h"
#include "names.h"
#include "parse.h"
#include "util.h"
#include "fuzz.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

enum { WORDS_MAX = 32 };

static void check_number(const char *text)
{
	long value = 77;
	int result = parse_number(text, -1000, LONG_MAX, &value);
	char *end;
	long expected;

	errno = 0;
	expected = strtol(text, &end, 10);
	if (end == text || *end || errno || expected < -1000 || isspace((unsigned char)*text) ||
		*text == '+')
		require(result == -1 && value == 77);
	else
		require(result == 0 && value == expected);
}

static void check_duration(const char *text)
{
	int64_t ns = -1;

	if (parse_duration(text, &ns))
		require(ns == -1);
	else
		require(ns >= 0 && ns <= 10LL * 365 * 24 * 3600 * NS_PER_S &&
			isdigit((unsigned char)*text));
}

/* Every unit gives back what was written in it. */
static void check_round_trip(uint32_t count)
{
	const int64_t longest = 10LL * 365 * 24 * 3600 * NS_PER_S;
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {{"ms", NS_PER_MS}, {"s", NS_PER_S}, {"", NS_PER_S}, {"m", 60 * NS_PER_S},
		{"h", 3600 * NS_PER_S}};

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		bool fits = count <= longest / units[i].ns;
		int64_t ns = -1;
		char text[32];

		snprintf(text, sizeof text, "%u%s", count, units[i].name);
		require((parse_duration(text, &ns) == 0) == fits);
		require(ns == (fits ? (int64_t)count * units[i].ns : -1));
	}
}

static void check_signal(const char *text)
{
	char name[SIGNAL_NAME_SIZE];
	int signo = parse_signal(text);

	require(signo == -1 || (signo >= 1 && signo <= SIGNAL_LAST));
	if (signo > 0 && signo != 32 && signo != 33)
		require(parse_signal(signal_name(signo, name)) == signo);
}

/* Each word between single quotes again, and split again, must be the same words. */
static void check_requoted(char **words, int count, size_t size)
{
	char *quoted = malloc(size * 4 + (size_t)count * 3 + 1);
	char *again[WORDS_MAX];
	char *to = quoted;

	for (int i = 0; i < count; i++) {
		*to++ = '\'';
		for (const char *from = words[i]; *from; from++) {
			if (*from == '\'') {
				memcpy(to, "'\\''", 4);
				to += 4;
			} else {
				*to++ = *from;
			}
		}
		*to++ = '\'';
		*to++ = ' ';
	}
	*to = '\0';
	require(split_words(quoted, again, WORDS_MAX) == count);
	for (int i = 0; i < count; i++)
		require(strcmp(words[i], again[i]) == 0);
	free(quoted);
}

static void check_words(const char *text, size_t size)
{
	char *copy = strdup(text);
	char *words[WORDS_MAX];
	int count = split_words(copy, words, WORDS_MAX);
	const char *after = copy;

	for (int i = 0; i < count; i++) {
		require(words[i] >= after && words[i] <= copy + strlen(text));
		after = words[i] + strlen(words[i]) + 1;
	}
	if (count >= 0)
		check_requoted(words, count, size);
	free(copy);
}

static void check_cut(const char *text, size_t size, size_t max)
{
	size_t cut = utf8_cut(text, size, max);

	require(cut <= size && cut <= max && (size > max || cut == size) &&
		(size <= max || cut + 3 >= max));
}

static void check_format(const char *text, size_t size, size_t buf_size)
{
	char *actual = malloc(buf_size);
	char *expected = malloc(buf_size);
	long number = 0;
	size_t length;

	memcpy(&number, text, size < sizeof number ? size : sizeof number);
	length = format_text(actual, buf_size, "%-9s|%012ld|%x|%5d|%llu", text, number,
		(unsigned)number, (int)number, (unsigned long long)number);
	snprintf(expected, buf_size, "%-9s|%012ld|%x|%5d|%llu", text, number, (unsigned)number,
		(int)number, (unsigned long long)number);
	require(length == strlen(expected) && strcmp(actual, expected) == 0);
	free(actual);
	free(expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char duration[DURATION_SIZE];
	int64_t ns = 0;
	char *text;
	size_t first;

	if (size == 0)
		return 0;
	first = *data++;
	size--;
	text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	check_number(text);
	check_duration(text);
	check_signal(text);
	check_words(text, size);
	check_cut(text, size, first);
	check_format(text, size, first + 1);
	memcpy(&ns, text, size < sizeof ns ? size : sizeof ns);
	require(strlen(format_duration(ns, duration)) < DURATION_SIZE);
	check_round_trip((uint32_t)ns);
	free(text);
	return 0;
}
