/*
 * test_records.c - records.h, fold.h and jsonline.h: bytes and times in, lines of JSON out.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "jsonline.h"
#include "records.h"
#include "format.h"

#define WALL INT64_C(1795714542000000001) /* 2026-11-26T17:35:42.000000001Z */
#define HEAD "{\"time\":\"2026-11-26T17:35:42.000000001Z\",\"stream\":\"stderr\","

static struct records r;

static void setup(void)
{
	memset(&r, 0, sizeof r);
	r.stream = "stderr";
}

static void feed_bytes(const char *text, size_t length, int64_t now_ns)
{
	char *at;

	while (length) {
		size_t room = records_space(&r, &at);
		size_t n = length < room ? length : room;
		ck_assert_uint_gt(n, 0);
		memcpy(at, text, n);
		records_take(&r, n, WALL, now_ns);
		ck_assert(records_work(&r));
		text += n;
		length -= n;
	}
}

static void feed(const char *text, int64_t now_ns)
{
	feed_bytes(text, strlen(text), now_ns);
}

/* What is ready, as a string; it counts as written then. */
static char *taken(void)
{
	static char text[RECORDS_OUT + 1];
	size_t length = r.ready - r.done;

	memcpy(text, r.out + r.done, length);
	text[length] = '\0';
	records_wrote(&r, length);
	return text;
}

/* The number of records that text becomes, each line a write of its own; their sizes in lines in
 * sizes. */
static size_t fold(const char *text, unsigned *sizes)
{
	size_t count = 0;

	setup();
	while (*text) {
		size_t n = strcspn(text, "\n") + 1;
		feed_bytes(text, n, 0);
		text += n;
	}
	records_end(&r);
	for (char *line = strtok(taken(), "\n"); line; line = strtok(NULL, "\n")) {
		const char *lines = strstr(line, "\",\"lines\":");
		sizes[count++] = lines ? (unsigned)atoi(lines + 10) : 1;
	}
	return count;
}

/* A "-" line stands between the records that are expected. */
static void check_folds(const char *expected)
{
	char text[4096];
	unsigned want[32], got[32];
	size_t count = 0;
	char *to = text;

	want[0] = 0;
	for (const char *p = expected; *p;) {
		size_t n = strcspn(p, "\n") + 1;
		if (n == 2 && *p == '-')
			want[++count] = 0;
		else {
			memcpy(to, p, n);
			to += n;
			want[count]++;
		}
		p += n;
	}
	*to = '\0';
	count++;
	size_t found = fold(text, got);
	for (size_t i = 0; i < count && i < found; i++)
		ck_assert_msg(got[i] == want[i], "record %zu of %.40s: %u lines, not %u", i, text,
			got[i], want[i]);
	ck_assert_uint_eq(found, count);
}

START_TEST(one_line)
{
	feed("hello\n", 0);
	ck_assert_str_eq(taken(), ""); /* a frame may follow */
	feed("world\r\n", 0);
	ck_assert_str_eq(taken(), HEAD "\"message\":\"hello\"}\n");
	records_end(&r);
	ck_assert_str_eq(taken(), HEAD "\"message\":\"world\"}\n");
	r.source = "hook";
	r.head_length = 0;
	feed("x", 0);
	records_end(&r);
	ck_assert_ptr_nonnull(strstr(taken(), "\"stream\":\"stderr\",\"source\":\"hook\",\"mess"));
}
END_TEST

START_TEST(time_of_the_first_byte)
{
	char *at;

	feed("a", 0);
	(void)records_space(&r, &at);
	memcpy(at, "b\nc\n", 4);
	records_take(&r, 4, WALL + NS_PER_S, 5);
	ck_assert(records_work(&r));
	records_end(&r);
	const char *text = taken();
	ck_assert_ptr_nonnull(
		strstr(text, "42.000000001Z\",\"stream\":\"stderr\",\"message\":\"ab\""));
	ck_assert_ptr_nonnull(
		strstr(text, "43.000000001Z\",\"stream\":\"stderr\",\"message\":\"c\""));
}
END_TEST

START_TEST(escapes)
{
	static const char junk[] =
		"\"\\/\b\f\t\r\x01\x1f\x7f\0\xff\xc3\xa9 plain plain plain plain\n";

	feed_bytes(junk, sizeof junk - 1, 0);
	records_end(&r);
	ck_assert_str_eq(taken(), HEAD
		"\"message\":\"\\\"\\\\/\\b\\f\\t\\r\\u0001\\u001f\x7f\\u0000\xef\xbf\xbd\xc3\xa9 "
		"plain plain plain plain\"}\n");
	/* At every place in a step of 16 bytes. */
	for (int before = 0; before < 40; before++) {
		char line[64], want[256];
		memset(line, 'x', sizeof line);
		line[before] = '"';
		line[63] = '\n';
		feed_bytes(line, sizeof line, 0);
		records_end(&r);
		(void)format_text(want, sizeof want, "\"message\":\"%s", "");
		char *got = strstr(taken(), want) + strlen(want);
		ck_assert_int_eq(strspn(got, "x"), before);
		ck_assert_int_eq(strspn(got + before + 2, "x"), 62 - before);
	}
}
END_TEST

START_TEST(incomplete_lines)
{
	ck_assert_int_eq(records_deadline_ns(&r), -1);
	feed("half", 1000);
	ck_assert_int_eq(records_deadline_ns(&r), 1000 + RECORDS_HOLD_NS);
	feed(" of it \xe2\x82", 2000); /* the first two bytes of three */
	ck_assert_int_eq(records_deadline_ns(&r), 1000 + RECORDS_HOLD_NS);
	records_check_time(&r, 999 + RECORDS_HOLD_NS);
	ck_assert_str_eq(taken(), "");
	records_check_time(&r, 1000 + RECORDS_HOLD_NS);
	ck_assert_str_eq(taken(), HEAD "\"message\":\"half of it \",\"partial\":true}\n");
	feed("\xac\n\tat x\n", 3000);
	records_check_time(&r, 3000 + RECORDS_HOLD_NS);
	ck_assert_str_eq(taken(), HEAD "\"message\":\"\xe2\x82\xac\\n\\tat x\",\"lines\":2}\n");
	ck_assert_int_eq(records_deadline_ns(&r), -1);
	feed("\xe2", 0); /* never completed: not held for ever */
	records_check_time(&r, RECORDS_HOLD_NS);
	ck_assert_str_eq(taken(), HEAD "\"message\":\"\xef\xbf\xbd\",\"partial\":true}\n");
	feed("\n", 0);
	records_end(&r);
	ck_assert_str_eq(taken(), "");
}
END_TEST

START_TEST(long_lines)
{
	static char line[3 * RECORDS_LINE];
	size_t count = 0, marked = 0;

	memset(line, 'x', sizeof line);
	memcpy(line + RECORDS_LINE - 1, "\xc3\xa9", 2); /* across the cut */
	line[sizeof line - 1] = '\n';
	feed_bytes(line, sizeof line, 0);
	records_end(&r);
	for (char *p = taken(); *p; p = strchr(p, '\n') + 1, count++)
		if (strstr(p, "\"partial\":true}") &&
			strstr(p, "\"partial\":true}") < strchr(p, '\n'))
			marked++;
	ck_assert_uint_eq(count, 3);
	ck_assert_uint_eq(marked, 2);
}
END_TEST

/* A record that never ends is ended, and out never overflows: everything is an escape. */
START_TEST(endless)
{
	static char trace[RECORDS_LINE];
	size_t records = 0;

	memset(trace, 1, sizeof trace);
	memcpy(trace, "\tat ", 4);
	trace[sizeof trace - 1] = '\n';
	feed("E\n", 0);
	for (int i = 0; i < 40; i++) {
		char *at;
		ck_assert_uint_ge(records_space(&r, &at), sizeof trace);
		memcpy(at, trace, sizeof trace);
		records_take(&r, sizeof trace, WALL, 0);
		while (!records_work(&r)) {
			ck_assert_uint_gt(r.ready, 0);
			for (char *p = taken(); *p; p = strchr(p, '\n') + 1)
				records++;
		}
	}
	ck_assert_uint_gt(records, 10);
}
END_TEST

START_TEST(objects)
{
	static const char *const good[] = {"{}", " {\"a\":[1,-0.5e+3,{}],\"b\":\"\\u00e9\\n\"} ",
		"{\"\":null , \"\xc3\xa9\":[ ]}", "{\"a\":{\"b\":[[[true,false]]]}}\r"};
	static const char *const bad[] = {"", "{", "}", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
		"{a:1}", "{\"a\":1}x", "{\"a\":01}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1e}",
		"{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"\t\"}", "{\"a\":\"\xff\"}",
		"{\"a\":tru}", "{\"a\":[1 2]}", "{\"a\":\"", "{\"a\":\"\\", "{\"a\":\"\\u"};
	char line[512];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		(void)format_text(line, sizeof line, "%s\n", good[i]);
		ck_assert_msg(jsonline_is_object(line), "%s", good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		(void)format_text(line, sizeof line, "%s\n", bad[i]);
		ck_assert_msg(!jsonline_is_object(line), "%s", bad[i]);
	}
	memset(line, '[', sizeof line);
	memcpy(line, "{\"a\":", 5);
	line[sizeof line - 1] = '\n';
	ck_assert(!jsonline_is_object(line)); /* no deeper than the stack */
	feed("{\"a\":1}\n", 0);
	ck_assert_str_eq(taken(), "{\"a\":1}\n");
	r.nest = "app";
	feed("{\"a\":1}\n{\"a\":}\n", 0);
	records_end(&r);
	ck_assert_str_eq(
		taken(), HEAD "\"app\":{\"a\":1}}\n" HEAD "\"message\":\"{\\\"a\\\":}\"}\n");
}
END_TEST

START_TEST(java)
{
	check_folds("plain\n-\nException in thread \"main\" java.lang.RuntimeException: outer\n"
		    "\tat T.a(T.java:2)\n\tSuppressed: java.lang.IllegalStateException: hidden\n"
		    "\t\tat T.a(T.java:2)\n\t\t... 3 more\nCaused by: java.io.IOException: inner\n"
		    "\tat T.b(T.java:3)\n\t... 12 more\n"
		    "\t[CIRCULAR REFERENCE:java.lang.X]\n-\nplain\n-\nCaused by nothing\n-\n\n-\n"
		    "  indented\n");
	check_folds("E\n\tat x\n-\n\n-\nF\n\tat y\n-\n\n-\n\n-\nG\n");
	check_folds("Exception in thread \"main\" X: one\ntwo\n\n\tat T.a(T.java:2)\n-\nlog\n");
	check_folds("Exception in thread \"t\" X: no frames\n-\n\n-\nlog\n-\nlog\n");
}
END_TEST

START_TEST(python)
{
	check_folds(
		"log\n-\nTraceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n"
		"    f()\n    ^^^\nValueError: x\n\nDuring handling of the above exception, "
		"another\n\n"
		"Traceback (most recent call last):\n  File \"x.py\", line 3\nKeyError\n\n"
		"The above exception was the direct cause of the following exception:\n\n"
		"Traceback (most recent call last):\n  File \"y.py\"\npkg.mod.Trouble: "
		"y\n-\nlog\n");
	check_folds("Traceback (most recent call last):\n  File \"x.py\"\n-\nnot an exception\n");
	check_folds("Traceback (most recent call last):\n  File \"x.py\"\nE: x\n-\nFile: x\n");
	check_folds("  File \"x.py\", line 1\n    f(\n     ^\nSyntaxError: '(' was never "
		    "closed\n-\nx\n");
	check_folds("Exception in thread Thread-1:\nTraceback (most recent call last):\n"
		    "  File \"x.py\"\nValueError: x\n-\nx\n");
	check_folds("  + Exception Group Traceback (most recent call last):\n  |   File \"x.py\"\n"
		    "  | ExceptionGroup: two (2 sub-exceptions)\n  +-+---------------- 1 -----\n"
		    "    | ValueError: 1\n    +------------------------------------\n-\nplain\n");
}
END_TEST

START_TEST(go)
{
	check_folds("2026/11/26 x\n-\npanic: boom [recovered]\n\tpanic: again\n"
		    "[signal SIGSEGV: segmentation violation code=0x1]\n\ngoroutine 1 [running]:\n"
		    "main.(*T).f(0xc000, {0x1, 0x2})\n\t/app/x.go:4 +0x25\nmain.main()\n"
		    "\t/app/x.go:9 +0x1d\n\ngoroutine 18 [chan receive, 2 minutes]:\nmain.g(...)\n"
		    "\t/app/x.go:12\ncreated by main.main in goroutine 1\n\t/app/x.go:8 +0x30\n"
		    "exit status 2\n-\n2026/11/26 y\n");
	check_folds("fatal error: all goroutines are asleep - deadlock!\n\n"
		    "goroutine 1 [chan receive]:\nmain.main()\n\t/x.go:3 +0x1\n-\n\n-\nlog line\n");
	check_folds("SIGQUIT: quit\nPC=0x479f41 m=0 sigcode=0\n\ngoroutine 0 [idle]:\n"
		    "runtime.futex()\n\tsys.s:559 +0x21 fp=0x7 sp=0x7 pc=0x4\n\nrax    0xca\n"
		    "rflags 0x286\ncs     0x33\n-\nplain\n");
	check_folds("panic: but it went on\n-\nplain\n-\nmore\n");
	check_folds("goroutine 7 [running]:\nmain.f()\n\t/x.go:1\n-\nsaid (as if a call)\n");
}
END_TEST

START_TEST(node)
{
	check_folds(
		"TypeError: printed\n    at f (/x.js:2:15)\n    at async g (/x.js:1:1)\n-\nlog\n");
	check_folds(
		"/x.js:7\n  throw e;\n  ^\n\nError: boom\nsecond line\n    at f (/x.js:5:13)\n"
		"    ... 5 lines matching cause stack trace ...\n    at node:internal/x:28:49 {\n"
		"  code: 'E',\n  [cause]: Error: inner\n      at f (/x.js:5:53)\n}\n\n"
		"Node.js v20.20.2\n-\nlog\n");
	check_folds(
		"[eval]:1\nthrow 1\n^\n1\n(Use `node --trace-uncaught ...`)\n\nNode.js v20.1.0\n");
	check_folds("/x.js:7\nnot a source\n-\nand no caret\n"); /* two, since it may have been */
	check_folds("/health served on :8080\n-\nplain\n-\n/tmp/x:12\n-\nplain\n");
}
END_TEST

START_TEST(dotnet_and_ruby)
{
	check_folds("Unhandled exception. System.InvalidOperationException: outer\n"
		    " ---> System.Exception: inner\n   at Program.Inner() in /x.cs:line 5\n"
		    "   --- End of inner exception stack trace ---\n"
		    "   at Program.Main(String[] args)\n"
		    "--- End of stack trace from previous location ---\n   at X.Y()\n-\nlog\n");
	check_folds(
		"Unhandled exception. X: one\ntwo\n   at X.Y()\n-\nlog\n-\nUnhandled\n-\nlog\n");
	check_folds("x.rb:5:in `rescue in f': second (RuntimeError)\n\tfrom x.rb:2:in `f'\n"
		    "\tfrom x.rb:9:in `<main>'\nx.rb:3:in `f': first (ArgumentError)\n"
		    "\tfrom x.rb:9:in `<main>'\n-\nlog\n-\n  from here on\n");
}
END_TEST

START_TEST(plain)
{
	r.is_plain = true;
	feed_bytes("a\n\0b", 4, 0);
	ck_assert_uint_eq(r.ready, 4);
	records_wrote(&r, 1);
	ck_assert_int_eq(memcmp(r.out + r.done, "\n\0b", 3), 0);
	ck_assert_int_eq(records_deadline_ns(&r), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("records");
	TCase *all = tcase_create("records");

	tcase_add_checked_fixture(all, setup, NULL);
	tcase_add_test(all, one_line);
	tcase_add_test(all, time_of_the_first_byte);
	tcase_add_test(all, escapes);
	tcase_add_test(all, incomplete_lines);
	tcase_add_test(all, long_lines);
	tcase_add_test(all, endless);
	tcase_add_test(all, objects);
	tcase_add_test(all, java);
	tcase_add_test(all, python);
	tcase_add_test(all, go);
	tcase_add_test(all, node);
	tcase_add_test(all, dotnet_and_ruby);
	tcase_add_test(all, plain);
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
