/*
 * test_notify.c - what is in a datagram to $NOTIFY_SOCKET.
 */
#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "notify.h"

static struct notify_words words;

/* From memory that ends where the datagram does. */
static const char *parse(const char *text, size_t length)
{
	static char *copy;

	free(copy);
	copy = malloc(length ? length : 1);
	memcpy(copy, text, length);
	notify_parse(copy, length, &words);
	return copy;
}

#define PARSE(text) parse(text, sizeof text - 1)

static bool is_nothing(void)
{
	return !words.is_ready && !words.is_stopping && !words.is_alive && !words.is_in_trouble &&
	       !words.extend_ns && !words.text;
}

START_TEST(one_word)
{
	PARSE("READY=1");
	ck_assert(words.is_ready && !words.is_stopping && !words.is_alive && !words.text);
	PARSE("READY=1\n");
	ck_assert(words.is_ready);
	PARSE("STOPPING=1");
	ck_assert(words.is_stopping && !words.is_ready);
	PARSE("WATCHDOG=1");
	ck_assert(words.is_alive && !words.is_in_trouble);
	PARSE("WATCHDOG=trigger");
	ck_assert(words.is_in_trouble && !words.is_alive);
	PARSE("EXTEND_TIMEOUT_USEC=1500000");
	ck_assert_int_eq(words.extend_ns, 1500 * NS_PER_MS);
	PARSE("STATUS=half way");
	ck_assert(words.text_length == 8 && memcmp(words.text, "half way", 8) == 0);
	PARSE("STATUS=");
	ck_assert(words.text && words.text_length == 0);
}
END_TEST

START_TEST(several_lines)
{
	PARSE("MAINPID=7\n\nREADY=1\nSTATUS=a=b\nFDSTORE=1\nWATCHDOG=1");
	ck_assert(words.is_ready && words.is_alive && !words.is_stopping);
	ck_assert(words.text_length == 3 && memcmp(words.text, "a=b", 3) == 0);
	PARSE("STATUS=first\nSTATUS=last\n");
	ck_assert(words.text_length == 4 && memcmp(words.text, "last", 4) == 0);
}
END_TEST

START_TEST(not_a_word)
{
	static const char *const texts[] = {"", "\n", "\n\n", "=", "READY", "READY=", "READY=0",
		"READY=11", "READY=1 ", " READY=1", "XREADY=1", "ready=1", "READY=1\r\n",
		"WATCHDOG=2", "STATUS", "EXTEND_TIMEOUT_USEC=", "EXTEND_TIMEOUT_USEC=-1",
		"EXTEND_TIMEOUT_USEC=x", "EXTEND_TIMEOUT_USEC=1s",
		"EXTEND_TIMEOUT_USEC=9223372036854775807",
		"EXTEND_TIMEOUT_USEC=99999999999999999999"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		parse(texts[i], strlen(texts[i]));
		ck_assert_msg(is_nothing(), "%s", texts[i]);
	}
	parse("READY=1\0", 8); /* a NUL is part of the line */
	ck_assert(is_nothing());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("notify");
	TCase *tcase = tcase_create("notify");
	SRunner *runner = srunner_create(suite);

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, one_word);
	tcase_add_test(tcase, several_lines);
	tcase_add_test(tcase, not_a_word);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
