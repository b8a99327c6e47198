/*
 * test_util.c - parse.h, names.h, format.h, util.h: every parser good, bad and at its edges; the formatter beside printf; words
 * beside the shell's.
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shim.h"
#include "format.h"
#include "names.h"
#include "parse.h"
#include "util.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct {
	const char *text;
	long min, max, value;
} good_numbers[] = {{"0", 0, 9, 0}, {"007", 0, 9, 7}, {"-5", -5, 5, -5}, {"9", 0, 9, 9},
	{"-0", -1, 1, 0}, {"9223372036854775807", LONG_MIN, LONG_MAX, LONG_MAX},
	{"-9223372036854775807", LONG_MIN, LONG_MAX, -LONG_MAX}};

START_TEST(number_good)
{
	long value = -99;

	ck_assert_int_eq(parse_number(good_numbers[_i].text, good_numbers[_i].min,
				 good_numbers[_i].max, &value),
		0);
	ck_assert_int_eq(value, good_numbers[_i].value);
}
END_TEST

static const char *const bad_numbers[] = {"", "-", "+1", " 1", "1 ", "1x", "x", "--1", "0x10",
	"1.0", "101", "-101", "9223372036854775808", "18446744073709551616", "18446744073709551617",
	"99999999999999999999999999"};

START_TEST(number_bad)
{
	long value = -99;

	ck_assert_int_eq(parse_number(bad_numbers[_i], -100, 100, &value), -1);
	ck_assert_int_eq(value, -99);
}
END_TEST

START_TEST(number_beyond_long)
{
	long value;

	ck_assert_int_eq(parse_number("9223372036854775808", LONG_MIN, LONG_MAX, &value), -1);
	ck_assert_int_eq(parse_number("18446744073709551617", LONG_MIN, LONG_MAX, &value), -1);
}
END_TEST

static const struct {
	const char *text;
	int64_t ns;
} good_durations[] = {{"0", 0}, {"0ms", 0}, {"250ms", 250 * NS_PER_MS}, {"5s", 5 * NS_PER_S},
	{"2m", 120 * NS_PER_S}, {"1h", 3600 * NS_PER_S}, {"30", 30 * NS_PER_S},
	{"0005s", 5 * NS_PER_S}, {"87600h", 315360000 * NS_PER_S},
	{"315360000", 315360000 * NS_PER_S}, {"315360000000ms", 315360000 * NS_PER_S}};

START_TEST(duration_good)
{
	int64_t ns = -99;

	ck_assert_int_eq(parse_duration(good_durations[_i].text, &ns), 0);
	ck_assert_int_eq(ns, good_durations[_i].ns);
}
END_TEST

static const char *const bad_durations[] = {"", "s", "ms", "-1s", "+1s", " 1s", "1s ", "1 s",
	"1.5s", "5x", "5S", "5sec", "5mss", "1h30m", "1d", "1us", "0x5", "87601h", "315360001",
	"315360000001ms", "9223372036854775807h", "9223372036854775808", "18446744073709551617s",
	"99999999999999999999999"};

START_TEST(duration_bad)
{
	int64_t ns = -99;

	ck_assert_int_eq(parse_duration(bad_durations[_i], &ns), -1);
	ck_assert_int_eq(ns, -99);
}
END_TEST

/* glibc's own table is the other opinion. */
START_TEST(signal_names)
{
	for (int signo = 1; signo < 32; signo++) {
		const char *abbreviation = sigabbrev_np(signo);
		char text[32], buf[SIGNAL_NAME_SIZE];

		ck_assert_ptr_nonnull(abbreviation);
		ck_assert_int_eq(parse_signal(abbreviation), signo);
		snprintf(text, sizeof text, "SIG%s", abbreviation);
		ck_assert_int_eq(parse_signal(text), signo);
		ck_assert_str_eq(signal_name(signo, buf), text);
		for (char *c = text; *c; c++)
			*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
		ck_assert_int_eq(parse_signal(text), signo);
		ck_assert_int_eq(parse_signal(text + 3), signo);
	}
}
END_TEST

START_TEST(signal_numbers)
{
	for (int signo = 1; signo <= 64; signo++) {
		char text[32];

		snprintf(text, sizeof text, "%d", signo);
		ck_assert_int_eq(parse_signal(text), signo);
	}
}
END_TEST

START_TEST(signal_realtime)
{
	for (int signo = 34; signo <= 64; signo++) {
		char text[32], buf[SIGNAL_NAME_SIZE];

		snprintf(text, sizeof text, "SIGRTMIN+%d", signo - 34);
		ck_assert_int_eq(parse_signal(text), signo);
		ck_assert_int_eq(parse_signal(text + 3), signo);
		ck_assert_str_eq(signal_name(signo, buf), signo == 34 ? "SIGRTMIN" : text);
		snprintf(text, sizeof text, "rtmax-%d", 64 - signo);
		ck_assert_int_eq(parse_signal(text), signo);
	}
	ck_assert_int_eq(parse_signal("RTMIN"), 34);
	ck_assert_int_eq(parse_signal("SIGRTMAX"), 64);
}
END_TEST

START_TEST(signal_aliases)
{
	ck_assert_int_eq(parse_signal("IOT"), SIGABRT);
	ck_assert_int_eq(parse_signal("SIGIO"), SIGPOLL);
	ck_assert_int_eq(parse_signal("cld"), SIGCHLD);
}
END_TEST

static const char *const bad_signals[] = {"", "0", "65", "-1", "SIG", "SIG15", "SIGSIGTERM",
	"TERMX", "TER", " TERM", "TERM ", "15x", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMAX-31",
	"RTMIN+", "RTMIN+-1", "RTMIN+-0", "RTMIN+x", "RTMIN3", "RTMAX-", "RT",
	"18446744073709551631", "EXIT", "SIGNAL 9"};

START_TEST(signal_bad)
{
	ck_assert_int_eq(parse_signal(bad_signals[_i]), -1);
}
END_TEST

START_TEST(signal_no_name)
{
	static const int none[] = {INT_MIN, -1, 0, 32, 33, 65, 99, 100000};

	for (size_t i = 0; i < COUNT(none); i++) {
		char text[32], buf[SIGNAL_NAME_SIZE];

		snprintf(text, SIGNAL_NAME_SIZE, "signal %d", none[i]);
		ck_assert_str_eq(signal_name(none[i], buf), text);
	}
}
END_TEST

START_TEST(signal_descriptions)
{
	for (int signo = -1; signo <= 66; signo++) {
		char buf[32];

		ck_assert_str_eq(signal_description(signo, buf), strsignal(signo));
	}
}
END_TEST

/* strerror is glibc's here. */
START_TEST(error_words)
{
	for (int error = 0; error < 134; error++)
		if (!strstr(strerror(error), "Unknown"))
			ck_assert_str_eq(error_text(error), strerror(error));
		else
			ck_assert_str_eq(error_text(error), "Unknown error");
	ck_assert_str_eq(error_text(-1), "Unknown error");
	ck_assert_str_eq(error_text(134), "Unknown error");
	ck_assert_str_eq(error_text(INT_MAX), "Unknown error");
}
END_TEST

static const struct {
	const char *text;
	int count; /* -1: refused */
	const char *words[5];
} word_cases[] = {
	{"", 0, {NULL}},
	{" \t\n ", 0, {NULL}},
	{"a", 1, {"a"}},
	{"  a  bc\td\n", 3, {"a", "bc", "d"}},
	{"'a b' \"c d\"", 2, {"a b", "c d"}},
	{"a'b'\"c\"d", 1, {"abcd"}},
	{"'' \"\"", 2, {"", ""}},
	{"a ''", 2, {"a", ""}},
	{"a\\ b", 1, {"a b"}},
	{"\\a \\\\ \\' \\\"", 4, {"a", "\\", "'", "\""}},
	{"'a\\b' \"a\\b\"", 2, {"a\\b", "a\\b"}},
	{"\"a\\\"b\" \"\\\\\" \"\\$x\" \"\\`\"", 4, {"a\"b", "\\", "$x", "`"}},
	{"'a\"b' \"a'b\"", 2, {"a\"b", "a'b"}},
	{"$HOME * ~ #x `y`", 5, {"$HOME", "*", "~", "#x", "`y`"}},
	{"a\\\nb", 1, {"ab"}},
	{"a \\\n b", 2, {"a", "b"}},
	{"\"a\\\nb\"", 1, {"ab"}},
	{"'a\nb'", 1, {"a\nb"}},
	{"\xc3\xa4 'x \xe2\x82\xac'", 2, {"\xc3\xa4", "x \xe2\x82\xac"}},
	{"1 2 3 4 5", 5, {"1", "2", "3", "4", "5"}},
	{"1 2 3 4 5  ", 5, {"1", "2", "3", "4", "5"}},
	{"1 2 3 4 5 6", -1, {NULL}},
	{"'a", -1, {NULL}},
	{"a \"b", -1, {NULL}},
	{"'a\\'", 1, {"a\\"}},
	{"\"a\\\"", -1, {NULL}},
	{"a\\", -1, {NULL}},
	{"\\", -1, {NULL}},
	{"\"\\", -1, {NULL}},
};

START_TEST(words_split)
{
	/* On the heap, to the byte: the sanitizer sees a step beyond either end. */
	char *text = strdup(word_cases[_i].text);
	char *words[5];
	int count = split_words(text, words, COUNT(words));

	ck_assert_int_eq(count, word_cases[_i].count);
	for (int i = 0; i < count; i++)
		ck_assert_str_eq(words[i], word_cases[_i].words[i]);
	free(text);
}
END_TEST

START_TEST(words_none_allowed)
{
	char text[] = "a";
	char *words[1];

	ck_assert_int_eq(split_words(text, words, 0), -1);
	text[0] = ' ';
	ck_assert_int_eq(split_words(text, words, 0), 0);
}
END_TEST

#define SAME(...)                                                                                  \
	do {                                                                                       \
		char expected[128];                                                                \
		char actual[128];                                                                  \
		int length = snprintf(expected, sizeof expected, __VA_ARGS__);                     \
		ck_assert_uint_eq(                                                                 \
			format_text(actual, sizeof actual, __VA_ARGS__), (size_t)length);          \
		ck_assert_str_eq(actual, expected);                                                \
	} while (0)

START_TEST(format_as_printf)
{
	SAME("plain");
	SAME("%s|%5s|%-5s|%-1s|", "abc", "abc", "abc", "abc");
	SAME("%c%c%%", 'x', '%');
	SAME("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
	SAME("%u %u", 0u, UINT_MAX);
	SAME("%ld %ld %lu", LONG_MAX, LONG_MIN, ULONG_MAX);
	SAME("%lld %lld %llu", LLONG_MAX, LLONG_MIN, ULLONG_MAX);
	SAME("%x %x %lx %llx", 0u, 0xdeadbeefu, ULONG_MAX, 0x123456789abcdefULL);
	SAME("%3d|%-3d|%03d|%03d|%3d|%1d", 7, 7, 7, -7, -7, 12345);
	SAME("%02lld:%02u %08x", 5LL, 61u, 0xabcu);
	SAME("%20lld|%020lld", LLONG_MIN, -1LL);
	SAME("%s%s%d%s", "", "a", 1, "");
}
END_TEST

START_TEST(format_truncates)
{
	for (size_t size = 1; size < 12; size++) {
		char *buf = malloc(size);
		size_t length = format_text(buf, size, "%s-%04d!", "abc", 7);
		size_t expected = size - 1 < 9 ? size - 1 : 9;

		ck_assert_uint_eq(length, expected);
		ck_assert_uint_eq(strlen(buf), expected);
		ck_assert_mem_eq(buf, "abc-0007!", expected);
		free(buf);
	}
}
END_TEST

START_TEST(format_null_and_open_end)
{
	const char *null = NULL;
	char buf[32];

	format_text(buf, sizeof buf, "<%s>", null);
	ck_assert_str_eq(buf, "<(null)>");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat"
	ck_assert_uint_eq(format_text(buf, sizeof buf, "ab%"), 2);
	ck_assert_str_eq(buf, "ab");
#pragma GCC diagnostic pop
}
END_TEST

static const struct {
	int64_t ns;
	const char *text;
} duration_texts[] = {{INT64_MIN, "0.0s"}, {-1, "0.0s"}, {0, "0.0s"}, {49999999, "0.0s"},
	{50000000, "0.1s"}, {300000000, "0.3s"}, {25 * NS_PER_S, "25.0s"}, {59940000000, "59.9s"},
	{59960000000, "1m00s"}, {192 * NS_PER_S, "3m12s"}, {3599 * NS_PER_S, "59m59s"},
	{3599970000000, "1h00m"}, {7500 * NS_PER_S, "2h05m"}, {86399 * NS_PER_S, "23h59m"},
	{86400 * NS_PER_S, "1d00h"}, {356400 * NS_PER_S, "4d03h"}, {INT64_MAX, "106751d23h"}};

START_TEST(duration_text)
{
	char buf[DURATION_SIZE];

	ck_assert_str_eq(format_duration(duration_texts[_i].ns, buf), duration_texts[_i].text);
}
END_TEST

static const struct {
	const char *text;
	size_t max, cut;
} cuts[] = {{"abc", 3, 3}, {"abc", 9, 3}, {"abc", 2, 2}, {"abc", 0, 0}, {"", 0, 0},
	{"a\xc3\xa4", 3, 3}, {"a\xc3\xa4", 2, 1}, {"\xe2\x82\xac", 2, 0}, {"\xe2\x82\xac", 1, 0},
	{"x\xf0\x9f\x90\xb3y", 5, 5}, {"x\xf0\x9f\x90\xb3y", 4, 1}, {"x\xf0\x9f\x90\xb3y", 3, 1},
	{"x\xf0\x9f\x90\xb3y", 2, 1}, {"x\xf0\x9f\x90\xb3y", 1, 1},
	{"\x80\x80\x80\x80\x80\x80", 5, 5}, {"ab\x80", 2, 2}};

START_TEST(utf8)
{
	size_t length = strlen(cuts[_i].text);
	char *text = malloc(length + 1);

	memcpy(text, cuts[_i].text, length + 1);
	ck_assert_uint_eq(utf8_cut(text, length, cuts[_i].max), cuts[_i].cut);
	free(text);
}
END_TEST

START_TEST(base_names)
{
	ck_assert_str_eq(base_name("sh"), "sh");
	ck_assert_str_eq(base_name("/bin/sh"), "sh");
	ck_assert_str_eq(base_name("a/b/c"), "c");
	ck_assert_str_eq(base_name("a/"), "");
	ck_assert_str_eq(base_name(""), "");
}
END_TEST

START_TEST(clocks)
{
	int64_t first = clock_now_ns();
	struct timespec wall;

	ck_assert_int_gt(first, 0);
	ck_assert_int_ge(clock_now_ns(), first);
	clock_gettime(CLOCK_REALTIME, &wall);
	ck_assert_int_ge(clock_wall_ns(), wall.tv_sec * NS_PER_S + wall.tv_nsec);
	ck_assert_int_lt(clock_wall_ns(), (wall.tv_sec + 60) * NS_PER_S);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	suite_add_tcase(suite, tcase);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("util");
	TCase *tcase = add_case(suite, "numbers");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, number_good, 0, (int)COUNT(good_numbers));
	tcase_add_loop_test(tcase, number_bad, 0, (int)COUNT(bad_numbers));
	tcase_add_test(tcase, number_beyond_long);
	tcase_add_loop_test(tcase, duration_good, 0, (int)COUNT(good_durations));
	tcase_add_loop_test(tcase, duration_bad, 0, (int)COUNT(bad_durations));
	tcase_add_loop_test(tcase, duration_text, 0, (int)COUNT(duration_texts));
	tcase_add_test(tcase, clocks);
	tcase = add_case(suite, "signals");
	tcase_add_test(tcase, signal_names);
	tcase_add_test(tcase, signal_numbers);
	tcase_add_test(tcase, signal_realtime);
	tcase_add_test(tcase, signal_aliases);
	tcase_add_loop_test(tcase, signal_bad, 0, (int)COUNT(bad_signals));
	tcase_add_test(tcase, signal_no_name);
	tcase_add_test(tcase, signal_descriptions);
	tcase_add_test(tcase, error_words);
	tcase = add_case(suite, "text");
	tcase_add_loop_test(tcase, words_split, 0, (int)COUNT(word_cases));
	tcase_add_test(tcase, words_none_allowed);
	tcase_add_test(tcase, format_as_printf);
	tcase_add_test(tcase, format_truncates);
	tcase_add_test(tcase, format_null_and_open_end);
	tcase_add_loop_test(tcase, utf8, 0, (int)COUNT(cuts));
	tcase_add_test(tcase, base_names);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
