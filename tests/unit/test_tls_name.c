/*
 * test_tls_name.c - the addresses in a certificate, which BearSSL does not look at: DER good, cut
 * short and bent.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tls_trust.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const unsigned char v4[4] = {127, 0, 0, 1};
static const unsigned char v6[16] = {[15] = 1};

/* Puts a tag and a length in front of what is in buf. */
static size_t wrap(unsigned char *buf, size_t length, unsigned char tag)
{
	size_t header = length < 0x80 ? 2 : 4;

	memmove(buf + header, buf, length);
	buf[0] = tag;
	if (length < 0x80) {
		buf[1] = (unsigned char)length;
	} else {
		buf[1] = 0x82;
		buf[2] = (unsigned char)(length >> 8);
		buf[3] = (unsigned char)length;
	}
	return header + length;
}

static size_t prepend(unsigned char *buf, size_t length, const void *data, size_t size)
{
	memmove(buf + size, buf, length);
	memcpy(buf, data, size);
	return size + length;
}

/* A certificate with nothing in it but these GeneralNames, as an extension that is critical or is
 * not. */
static size_t certificate(unsigned char *buf, const char *names, size_t length, bool is_critical)
{
	memcpy(buf, names, length);
	length = wrap(buf, length, 0x30);
	length = wrap(buf, length, 0x04);
	if (is_critical)
		length = prepend(buf, length, "\x01\x01\xff", 3);
	length = prepend(buf, length, "\x06\x03\x55\x1d\x11", 5);
	length = wrap(buf, length, 0x30);
	/* another extension before it */
	length = prepend(buf, length, "\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00", 11);
	length = wrap(buf, length, 0x30);
	length = wrap(buf, length, 0xa3);
	length = prepend(buf, length, "\xa0\x03\x02\x01\x02", 5);
	length = wrap(buf, length, 0x30);
	return wrap(buf, length, 0x30);
}

#define NAMES(text) text, sizeof(text) - 1

static const struct {
	const char *names;
	size_t length;
	bool is_v4, is_v6;
} cases[] = {
	{NAMES("\x87\x04\x7f\x00\x00\x01"), true, false},
	{NAMES("\x82\x01xx"), false, false},
	{NAMES("\x82\x01x\x87\x04\x7f\x00\x00\x01"), true, false},
	{NAMES("\x87\x04\x7f\x00\x00\x02\x87\x04\x7f\x00\x00\x01"), true, false},
	{NAMES("\x87\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"), false, true},
	{NAMES("\x87\x04\x7f\x00\x00\x02"), false, false},
	{NAMES("\x87\x03\x7f\x00\x00\x01"), false, false},
	{NAMES("\x87\x05\x7f\x00\x00\x01\x00"), false, false},
	{NAMES("\x87\x08\x7f\x00\x00\x01\xff\xff\xff\xff"), false, false},
	{NAMES("\x87\x00"), false, false},
	{NAMES("\x87\x05\x7f\x00\x00\x01"), false, false},
	{NAMES("\x86\x04\x7f\x00\x00\x01"), false, false},
	{NAMES(""), false, false},
	{NAMES("\x87\x80\x7f\x00\x00\x01"), false, false},
	{NAMES("\x87\x84\xff\xff\xff\xff\x7f\x00\x00\x01"), false, false},
	{NAMES("\x87\x82\xff\xff\x7f\x00\x00\x01"), false, false},
};

START_TEST(names)
{
	unsigned char buf[512];

	for (int critical = 0; critical < 2; critical++) {
		size_t length = certificate(buf, cases[_i].names, cases[_i].length, critical);
		unsigned char *exact = malloc(length);

		memcpy(exact, buf, length);
		ck_assert_int_eq(tls_certificate_names_address(exact, length, v4, sizeof v4),
			cases[_i].is_v4);
		ck_assert_int_eq(tls_certificate_names_address(exact, length, v6, sizeof v6),
			cases[_i].is_v6);
		free(exact);
	}
}
END_TEST

/* Cut anywhere it names nothing, and no byte behind the cut is read. */
START_TEST(cut)
{
	unsigned char buf[512];
	size_t length = certificate(buf, NAMES("\x87\x04\x7f\x00\x00\x01"), true);

	for (size_t part = 0; part < length; part++) {
		unsigned char *exact = malloc(part > 0 ? part : 1);

		memcpy(exact, buf, part);
		ck_assert(!tls_certificate_names_address(exact, part, v4, sizeof v4));
		free(exact);
	}
}
END_TEST

/* Longer than 127 bytes: the length has bytes of its own. */
START_TEST(long_form)
{
	char many[200];
	unsigned char buf[512];
	size_t length;

	memset(many, 'x', sizeof many);
	many[0] = (char)0x82;
	many[1] = (char)0x81;
	many[2] = (char)0xb0; /* 176 bytes of a DNS name */
	memcpy(many + 3 + 176, "\x87\x04\x7f\x00\x00\x01", 6);
	length = certificate(buf, many, 3 + 176 + 6, false);
	ck_assert(tls_certificate_names_address(buf, length, v4, sizeof v4));
	ck_assert(!tls_certificate_names_address(buf, length, v6, sizeof v6));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tls_name");
	TCase *der = tcase_create("der");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(der, names, 0, COUNT(cases));
	tcase_add_test(der, cut);
	tcase_add_test(der, long_form);
	suite_add_tcase(suite, der);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
