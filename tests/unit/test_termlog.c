/*
 * test_termlog.c - the words of the termination message as text and JSON, and the memory counters.
 *
 * The file and who else writes to it: test_termfile.c.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../oom.h"
#include "../../termlog.h"

#define S            NS_PER_S
#define START        (1000 * S)
#define EXITED(code) ((code) << 8)
#define CORE         0x80

static char got[TERMLOG_MAX + 1];

static struct termlog_facts facts_new(void)
{
	return (struct termlog_facts){.app = "python3",
		.started_ns = START,
		.exit_code = -1,
		.phase = "running",
		.memory_limit = -1};
}

static struct termlog_facts facts_ended(int status, int64_t after)
{
	struct termlog_facts f = facts_new();
	f.ended = true;
	f.ended_ns = START + after;
	f.status = status;
	f.exit_code = termlog_own_code(&f);
	f.phase = "finishing";
	return f;
}

static void add_hook(struct termlog_facts *f, const char *kind, const char *what, bool failed,
	const char *outcome)
{
	struct termlog_hook *h = &f->hooks[f->hook_count++];
	h->kind = kind;
	h->what = what;
	h->failed = failed;
	h->took_ns = S / 4;
	snprintf(h->outcome, sizeof(h->outcome), "%s", outcome);
}

static void expect_at(const struct termlog_facts *f, int64_t now, bool final, const char *want)
{
	size_t n = termlog_text(f, now, final, got, sizeof(got));
	ck_assert_str_eq(got, want);
	ck_assert_uint_eq(n, strlen(want));
}

static void expect(const struct termlog_facts *f, const char *want)
{
	expect_at(f, START + 300 * S, true, want);
}

/* --- text --- */

START_TEST(text_exits)
{
	struct termlog_facts f = facts_ended(EXITED(0), 241 * S);
	expect(&f, "python3 exited 0 after 4m01s");
	f = facts_ended(EXITED(1), 2 * S);
	expect(&f, "python3 exited 1 after 2.0s");
	f.app = NULL;
	expect(&f, "app exited 1 after 2.0s");
	f.app = "";
	expect(&f, "app exited 1 after 2.0s");
	f.started_ns = 0; /* unknown: no time is made up */
	expect(&f, "app exited 1");
}
END_TEST

START_TEST(text_signals)
{
	struct termlog_facts f = facts_ended(SIGSEGV | CORE, 21 * S / 10);
	expect(&f, "python3 killed by SIGSEGV (core dumped) after 2.1s");
	f = facts_ended(SIGSEGV, 21 * S / 10);
	expect(&f, "python3 killed by SIGSEGV after 2.1s");
	f = facts_ended(SIGKILL, 192 * S);
	expect(&f, "python3 killed by SIGKILL after 3m12s");
	f = facts_ended(34, S);
	expect(&f, "python3 killed by SIGRTMIN after 1.0s");
}
END_TEST

START_TEST(text_design_example)
{
	struct termlog_facts f = facts_ended(SIGKILL, 192 * S);
	f.app = "app";
	f.oom_kills = 1;
	f.memory_limit = 64 << 20;
	f.stop_signal = SIGTERM;
	f.stop_ns = START + 167 * S;
	add_hook(&f, "pre-stop", "http://127.0.0.1:8080/quit", true, "status 500");
	expect(&f, "app killed by SIGKILL after 3m12s: out of memory (limit 64 MiB); stop "
		   "requested 25.0s before (SIGTERM); "
		   "pre-stop http://127.0.0.1:8080/quit failed: status 500");
}
END_TEST

START_TEST(text_out_of_memory)
{
	struct termlog_facts f = facts_ended(SIGKILL, S);
	f.oom_kills = 1;
	expect(&f, "python3 killed by SIGKILL after 1.0s: out of memory");
	f.oom_kills = 3;
	f.memory_limit = 3LL << 29;
	expect(&f, "python3 killed by SIGKILL after 1.0s: out of memory (limit 1.5 GiB), 3 "
		   "processes killed");
	f = facts_ended(SIGTERM, S); /* not the app's end */
	f.oom_kills = 1;
	expect(&f, "python3 killed by SIGTERM after 1.0s; 1 process killed: out of memory");
	f = facts_ended(EXITED(137), S); /* a shell around it */
	f.oom_kills = 2;
	f.memory_limit = 1000;
	expect(&f, "python3 exited 137 after 1.0s; 2 processes killed: out of memory (limit 1000 "
		   "bytes)");
	strcpy(f.killed, "worker (31)");
	f.oom_kills = 1;
	expect(&f, "python3 exited 137 after 1.0s; 1 process killed, worker (31): out of memory "
		   "(limit 1000 bytes)");
}
END_TEST

START_TEST(text_limit_units)
{
	static const struct {
		long long bytes;
		const char *want;
	} cases[] = {{0, "0 bytes"}, {1023, "1023 bytes"}, {1024, "1 KiB"}, {102400, "100 KiB"},
		{1 << 20, "1 MiB"}, {(1 << 20) - 1, "1023.9 KiB"}, {1LL << 30, "1 GiB"},
		{5LL << 40, "5 TiB"}, {1LL << 60, "1024 PiB"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[128];
		struct termlog_facts f = facts_ended(SIGKILL, S);
		f.oom_kills = 1;
		f.memory_limit = cases[i].bytes;
		snprintf(want, sizeof(want),
			"python3 killed by SIGKILL after 1.0s: out of memory (limit %s)",
			cases[i].want);
		expect(&f, want);
	}
}
END_TEST

START_TEST(text_no_oom_without_a_difference)
{
	struct termlog_facts f = facts_ended(SIGKILL, S);
	f.oom_kills = 0;
	f.memory_limit = 64 << 20;
	expect(&f, "python3 killed by SIGKILL after 1.0s");
}
END_TEST

START_TEST(text_out_of_time)
{
	struct termlog_facts f = facts_new();
	f.stop_signal = SIGTERM;
	f.stop_ns = START + 10 * S;
	f.out_of_time = true;
	f.phase = "stopping";
	strcpy(f.survivors, "worker (23), python3 (31)");
	expect_at(&f, START + 35 * S, true,
		"grace period spent after 25.0s while stopping: python3 killed; still alive: "
		"worker (23), python3 (31)");
	f.ended = true; /* reaped after our KILL: that one is not the kernel's */
	f.status = SIGKILL;
	f.ended_ns = START + 35 * S;
	f.exit_code = 137;
	f.survivors[0] = '\0';
	f.oom_kills = 1;
	expect_at(&f, START + 35 * S, true,
		"grace period spent after 25.0s while stopping: python3 killed by SIGKILL after "
		"35.0s; "
		"1 process killed: out of memory");
}
END_TEST

START_TEST(text_out_of_time_elsewhere)
{
	struct termlog_facts f = facts_ended(EXITED(0), 20 * S);
	f.stop_signal = SIGTERM;
	f.stop_ns = START + 10 * S;
	f.out_of_time = true;
	f.exit_code = 137;
	strcpy(f.survivors, "worker (23)");
	expect_at(&f, START + 35 * S, true,
		"grace period spent after 25.0s while finishing: python3 exited 0 after 20.0s; "
		"reported as 137; "
		"still alive: worker (23)");
	f = facts_new();
	f.started_ns = 0;
	f.stop_signal = SIGTERM;
	f.stop_ns = START;
	f.out_of_time = true;
	f.phase = "preparing";
	expect_at(&f, START + 5 * S, true,
		"grace period spent after 5.0s while preparing: python3 not started");
}
END_TEST

START_TEST(text_states)
{
	struct termlog_facts f = facts_new();
	f.phase = "draining";
	strcpy(f.detail, "3 active connections");
	expect_at(&f, START + S, false, "draining: 3 active connections");
	f.stop_signal = SIGTERM;
	f.stop_ns = START + S;
	expect_at(
		&f, START + 22 * S / 10, false, "draining: 3 active connections; SIGTERM 1.2s ago");
	f.phase = "stopping";
	f.detail[0] = '\0';
	expect_at(&f, START + 22 * S / 10, false, "stopping: SIGTERM 1.2s ago");
	add_hook(&f, "pre-stop", "sleep:1s", false, "ok");
	add_hook(&f, "pre-stop", "./bye --now", true, "exit 3");
	f.oom_kills = 2;
	expect_at(&f, START + 22 * S / 10, false,
		"stopping: SIGTERM 1.2s ago; 2 processes killed: out of memory; pre-stop ./bye "
		"--now failed: exit 3");
	f = facts_new();
	expect_at(&f, START, false, "running");
	f.phase = NULL;
	expect_at(&f, START, false, "unknown state");
}
END_TEST

START_TEST(text_never_started)
{
	struct termlog_facts f = facts_new();
	f.started_ns = 0;
	f.phase = "waiting";
	f.stop_signal = SIGTERM;
	f.stop_ns = START;
	f.exit_code = 143;
	expect_at(&f, START + S / 2, true, "waiting: SIGTERM 0.5s ago; python3 not started");
	f.stop_signal = 0;
	f.exit_code = 127;
	f.failure = "cannot execute ./app: No such file or directory";
	expect(&f, "cannot execute ./app: No such file or directory");
}
END_TEST

START_TEST(text_failure_and_end)
{
	struct termlog_facts f = facts_ended(SIGTERM, S);
	f.failure = "post-start ./warm failed: exit 3";
	f.exit_code = 3;
	expect(&f, "post-start ./warm failed: exit 3; python3 killed by SIGTERM after 1.0s; "
		   "reported as 3");
}
END_TEST

START_TEST(text_reported_codes)
{
	struct termlog_facts f = facts_ended(EXITED(143), 2 * S);
	f.exit_code = 0;
	expect(&f, "python3 exited 143 after 2.0s; reported as 0");
	f = facts_ended(SIGTERM, 2 * S);
	f.exit_code = 0;
	f.stop_signal = SIGTERM;
	f.stop_ns = START + 19 * S / 10;
	expect(&f,
		"python3 killed by SIGTERM after 2.0s; reported as 0; stop requested 0.1s before (SIGTERM)");
	f.stop_ns = START + 3 * S;
	expect(&f,
		"python3 killed by SIGTERM after 2.0s; reported as 0; stop requested 1.0s after (SIGTERM)");
	f.exit_code = -1;
	f.stop_signal = 0;
	expect(&f, "python3 killed by SIGTERM after 2.0s");
}
END_TEST

START_TEST(text_is_one_clean_line)
{
	struct termlog_facts f = facts_ended(EXITED(0), S);
	f.app = "a\nb\tc\x1b[31m\x7f\xc2\x9b"
		"d\xff\xc3\xa9\xed\xa0\x80\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x90\x80\x80\xc0\xaf";
#define BAD "\xef\xbf\xbd"
	expect(&f, "a b c?[31m??d" BAD "\xc3\xa9" BAD BAD BAD
		   "\xe2\x82\xac\xf0\x9f\x98\x80" BAD BAD BAD BAD BAD BAD " exited 0 after 1.0s");
	f.app = "\xe2\x82"; /* cut off by its end */
	expect(&f, BAD BAD " exited 0 after 1.0s");
}
END_TEST

static bool is_utf8(const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)s[i++];
		int more = c < 0x80   ? 0
			   : c < 0xc2 ? -1
			   : c < 0xe0 ? 1
			   : c < 0xf0 ? 2
			   : c < 0xf5 ? 3
				      : -1;
		if (more < 0)
			return false;
		for (; more > 0; more--, i++)
			if (i >= n || ((unsigned char)s[i] & 0xc0) != 0x80)
				return false;
	}
	return true;
}

START_TEST(text_cut_between_characters)
{
	struct termlog_facts f = facts_ended(EXITED(0), S);
	char name[] = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
	char whole[256];
	f.app = name;
	add_hook(&f, "pre-stop", name, true, "status 500");
	size_t all = termlog_text(&f, START, true, whole, sizeof(whole));
	for (size_t size = 1; size <= all + 2; size++) {
		char *buf = malloc(size); /* the sanitizer watches its end */
		size_t n = termlog_text(&f, START, true, buf, size);
		ck_assert_uint_lt(n, size);
		ck_assert_uint_eq(strlen(buf), n);
		ck_assert(is_utf8(buf, n));
		ck_assert_int_eq(memcmp(buf, whole, n),
			0); /* a head of the whole: nothing is left out of the middle */
		if (size > all)
			ck_assert_uint_eq(n, all);
		free(buf);
	}
}
END_TEST

START_TEST(text_no_part_crowds_out_the_rest)
{
	static char huge[9000];
	struct termlog_facts f = facts_ended(EXITED(1), S);
	memset(huge, 'x', sizeof(huge) - 1);
	f.failure = huge;
	f.exit_code = 3;
	add_hook(&f, "pre-stop", huge, true, "exit 9");
	add_hook(&f, "pre-stop", "./two", true, "exit 8");
	size_t n = termlog_text(&f, START, true, got, sizeof(got));
	ck_assert_uint_lt(n, TERMLOG_MAX);
	ck_assert_ptr_nonnull(
		strstr(got, "xxx...; python3 exited 1 after 1.0s; reported as 3; pre-stop xxx"));
	ck_assert_ptr_nonnull(strstr(got, "xxx... failed: exit 9; pre-stop ./two failed: exit 8"));
	while (f.hook_count < TERMLOG_HOOKS)
		add_hook(&f, "post-stop", huge, true, "exit 7");
	n = termlog_text(&f, START, true, got, TERMLOG_MAX);
	ck_assert_uint_eq(n, TERMLOG_MAX - 1);
}
END_TEST

/* --- JSON, read back by a reader of its own --- */

static const char *json_value(const char *s);

static const char *json_skip(const char *s, const char *word)
{
	return s != NULL && strncmp(s, word, strlen(word)) == 0 ? s + strlen(word) : NULL;
}

static const char *json_text(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s++) {
		if ((unsigned char)*s < 0x20)
			return NULL;
		if (*s != '\\')
			continue;
		s++;
		if (*s == 'u') {
			if (strspn(s + 1, "0123456789abcdefABCDEF") < 4)
				return NULL;
			s += 4;
		} else if (*s == '\0' || strchr("\"\\/bfnrt", *s) == NULL) {
			return NULL;
		}
	}
	return s + 1;
}

static const char *json_group(const char *s, char close, bool named)
{
	if (*++s == close)
		return s + 1;
	for (;; s++) {
		if (named && (s = json_skip(json_text(s), ":")) == NULL)
			return NULL;
		if ((s = json_value(s)) == NULL)
			return NULL;
		if (*s == close)
			return s + 1;
		if (*s != ',')
			return NULL;
	}
}

static const char *json_value(const char *s)
{
	if (*s == '{')
		return json_group(s, '}', true);
	if (*s == '[')
		return json_group(s, ']', false);
	if (*s == '"')
		return json_text(s);
	if (*s == 't' || *s == 'f' || *s == 'n')
		return json_skip(s, *s == 't' ? "true" : *s == 'f' ? "false" : "null");
	size_t n = strspn(s, "0123456789");
	if (n == 0 || (n > 1 && *s == '0'))
		return NULL;
	s += n;
	if (*s == '.') {
		n = strspn(s + 1, "0123456789");
		s = n > 0 ? s + 1 + n : NULL;
	}
	return s;
}

static bool is_json(const char *s)
{
	const char *end = json_value(s);
	return s[0] == '{' && end != NULL && *end == '\0' && is_utf8(s, strlen(s));
}

/* TERMLOG_JSON_OUT names a file that collects what was made, a line each, for another reader
 * (test_termlog.py). */
static void json_make(const struct termlog_facts *f, int64_t now, bool final)
{
	const char *path = getenv("TERMLOG_JSON_OUT");
	size_t n = termlog_json(f, now, final, got, TERMLOG_MAX);
	ck_assert_uint_eq(n, strlen(got));
	ck_assert_msg(is_json(got), "not JSON: %s", got);
	ck_assert_ptr_null(strchr(got, '\n'));
	FILE *out = path != NULL ? fopen(path, "a") : NULL;
	if (out != NULL) {
		fprintf(out, "%s\n", got);
		fclose(out);
	}
}

static void has(const char *piece)
{
	ck_assert_msg(strstr(got, piece) != NULL, "no %s in %s", piece, got);
}

static void has_not(const char *piece)
{
	ck_assert_msg(strstr(got, piece) == NULL, "%s in %s", piece, got);
}

START_TEST(json_reader_can_fail)
{
	ck_assert(is_json("{\"a\":[1,{\"b\":null}],\"c\":\"\\u0001\"}"));
	ck_assert(!is_json("{\"a\":1"));
	ck_assert(!is_json("{\"a\":1,}"));
	ck_assert(!is_json("{\"a\":\"\n\"}"));
	ck_assert(!is_json("{\"a\":01}"));
	ck_assert(!is_json("{\"a\":1.}"));
	ck_assert(!is_json("{\"a\":\"\xff\"}"));
	ck_assert(!is_json("{\"a\"}"));
	ck_assert(!is_json("{\"\\x\":1}"));
	ck_assert(!is_json("{}x"));
}
END_TEST

START_TEST(json_full)
{
	struct termlog_facts f = facts_ended(SIGKILL, 192 * S + 7 * NS_PER_MS);
	f.started_wall_ns =
		1709210096 * S + 45 * NS_PER_MS; /* a leap day: 2024-02-29T12:34:56.045Z */
	f.oom_kills = 1;
	f.memory_limit = 64 << 20;
	f.stop_signal = SIGTERM;
	f.stop_ns = START + 167 * S;
	f.phase_names[0] = "running";
	f.phase_ns[0] = 167 * S;
	f.phase_names[1] = "waiting"; /* not in it */
	f.phase_names[2] = "stopping";
	f.phase_ns[2] = 25 * S + 7 * NS_PER_MS;
	add_hook(&f, "pre-stop", "http://127.0.0.1:8080/quit", true, "status 500");
	add_hook(&f, "post-stop", "sleep:1s", false, "ok");
	json_make(&f, START + 193 * S, true);
	ck_assert_str_eq(got, "{\"reason\":\"OOMKilled\",\"exitCode\":137,\"signal\":\"SIGKILL\","
			      "\"coreDumped\":false,\"oomKilled\":true,"
			      "\"startedAt\":\"2024-02-29T12:34:56.045Z\",\"finishedAt\":\"2024-02-"
			      "29T12:38:08.052Z\",\"app\":\"python3\","
			      "\"stopSignal\":\"SIGTERM\",\"oomKills\":1,\"memoryLimit\":67108864,"
			      "\"message\":\"python3 killed by SIGKILL after 3m12s: out of memory "
			      "(limit 64 MiB); stop requested 25.0s before (SIGTERM); "
			      "pre-stop http://127.0.0.1:8080/quit failed: status 500\","
			      "\"phases\":{\"running\":167.000,\"stopping\":25.007},"
			      "\"hooks\":[{\"kind\":\"pre-stop\",\"hook\":\"http://127.0.0.1:8080/"
			      "quit\",\"ok\":false,\"outcome\":\"status 500\","
			      "\"seconds\":0.250},{\"kind\":\"post-stop\",\"hook\":\"sleep:1s\","
			      "\"ok\":true,\"outcome\":\"ok\",\"seconds\":0.250}]}");
}
END_TEST

START_TEST(json_reasons)
{
	struct termlog_facts f = facts_ended(EXITED(0), S);
	json_make(&f, START, true);
	has("\"reason\":\"Completed\",\"exitCode\":0,\"signal\":null,\"coreDumped\":false,"
	    "\"oomKilled\":false,\"startedAt\":null");
	has("\"appExitCode\":0");
	f = facts_ended(EXITED(143), S);
	f.exit_code = 0;
	json_make(&f, START, true);
	has("\"reason\":\"Completed\",\"exitCode\":0");
	has("\"appExitCode\":143");
	f = facts_ended(EXITED(1), S);
	json_make(&f, START, true);
	has("\"reason\":\"Error\",\"exitCode\":1");
	f = facts_ended(SIGSEGV | CORE, S);
	json_make(&f, START, true);
	has("\"reason\":\"Signalled\",\"exitCode\":139,\"signal\":\"SIGSEGV\",\"coreDumped\":true");
	has_not("appExitCode");
	has_not("oomKills");
	f.failure = "boom";
	json_make(&f, START, true);
	has("\"reason\":\"Failed\"");
}
END_TEST

START_TEST(json_states)
{
	struct termlog_facts f = facts_new();
	f.phase = "draining";
	f.stop_signal = SIGTERM;
	f.stop_ns = START;
	strcpy(f.detail, "3 active connections");
	json_make(&f, START + S, false);
	has("\"reason\":\"Stopping\",\"exitCode\":null,\"signal\":null");
	has("\"finishedAt\":null");
	has("\"phase\":\"draining\",\"detail\":\"3 active "
	    "connections\",\"stopSignal\":\"SIGTERM\"");
	json_make(&f, START + S, true);
	has("\"reason\":\"Stopped\"");
	f.out_of_time = true;
	strcpy(f.survivors, "worker (23)");
	json_make(&f, START + S, true);
	has("\"reason\":\"GraceExceeded\"");
	has("\"graceExceeded\":true,\"survivors\":\"worker (23)\"");
}
END_TEST

START_TEST(json_times)
{
	static const struct {
		long long seconds;
		const char *want;
	} cases[] = {{1, "1970-01-01T00:00:01.000Z"}, {951782399, "2000-02-28T23:59:59.000Z"},
		{951782400, "2000-02-29T00:00:00.000Z"}, {951868800, "2000-03-01T00:00:00.000Z"},
		{1735689599, "2024-12-31T23:59:59.000Z"}, {4107542400, "2100-03-01T00:00:00.000Z"},
		{9223372035, "2262-04-11T23:47:15.000Z"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct termlog_facts f = facts_new();
		f.started_wall_ns = cases[i].seconds * S;
		json_make(&f, START, false);
		has(cases[i].want);
	}
}
END_TEST

START_TEST(json_escapes)
{
	struct termlog_facts f = facts_ended(EXITED(0), S);
	f.app = "q\"b\\n\nx\x1b\x7f\xff\xc3\xa9";
	json_make(&f, START, true);
	has("\"app\":\"q\\\"b\\\\n\\u000ax\\u001b\\u007f" BAD "\xc3\xa9\"");
	has("\"message\":\"q\\\"b\\\\n x??" BAD "\xc3\xa9 exited 0");
}
END_TEST

static int count(const char *text, const char *piece)
{
	int n = 0;
	while ((text = strstr(text, piece)) != NULL) {
		text += strlen(piece);
		n++;
	}
	return n;
}

/* Every size there is, with strings that grow when escaped: fields go, never halves of them. */
START_TEST(json_cut_is_valid)
{
	struct termlog_facts f = facts_ended(SIGKILL, S);
	f.app = "\xe2\x82\xac\"\\\x01";
	f.started_wall_ns = 1709210096 * S;
	f.phase_names[0] = "running";
	f.phase_ns[0] = S;
	f.phase_names[1] = "stopping";
	f.phase_ns[1] = S;
	for (int i = 0; i < 4; i++)
		add_hook(&f, "pre-stop", "http://\"\x02\xff/", i % 2 == 0, "status 500");
	size_t all = termlog_json(&f, START, true, got, sizeof(got)), last = 0;
	for (size_t size = 1; size <= all + 2; size++) {
		char *buf = malloc(size);
		size_t n = termlog_json(&f, START, true, buf, size);
		ck_assert_uint_lt(n, size);
		ck_assert_uint_eq(strlen(buf), n);
		if (size >= 3)
			ck_assert_msg(is_json(buf), "size %zu: %s", size, buf);
		else
			ck_assert_uint_eq(n, 0);
		/* a hook is whole or not there */
		ck_assert_int_eq(count(buf, "\"kind\":"), count(buf, "\"seconds\":"));
		if (size > all)
			ck_assert_uint_eq(n, all);
		last = n;
		free(buf);
	}
	ck_assert_uint_eq(last, all);
}
END_TEST

START_TEST(json_huge)
{
	static char huge[9000];
	struct termlog_facts f = facts_ended(EXITED(1), S);
	for (size_t i = 0; i < sizeof(huge) - 1; i++)
		huge[i] = "\x01\"\\\xff"[i % 4];
	f.app = huge;
	f.failure = huge;
	memset(f.survivors, 0x01, sizeof(f.survivors) - 1);
	memset(f.detail, '"', sizeof(f.detail) - 1);
	f.oom_kills = 3;
	f.phase_names[0] = "running";
	f.phase_ns[0] = S;
	while (f.hook_count < TERMLOG_HOOKS)
		add_hook(&f, "pre-stop", huge, true, "exit 7");
	json_make(&f, START, true);
	has("\"reason\":\"Failed\",\"exitCode\":1");
	has("\"phases\":{\"running\":1.000}");
	has("\"hooks\":[{\"kind\":\"pre-stop\"");
	ck_assert_uint_gt(strlen(got), 3000);
}
END_TEST

/* --- counters --- */

static long oom(const char *text)
{
	size_t n = strlen(text);
	char *copy = malloc(n); /* not ended by a NUL */
	memcpy(copy, text, n);
	long kills = termlog_parse_oom(copy, n);
	free(copy);
	return kills;
}

START_TEST(parse_oom)
{
	ck_assert_int_eq(oom("low 0\nhigh 0\nmax 94\noom 2\noom_kill 1\noom_group_kill 7\n"), 1);
	ck_assert_int_eq(oom("oom_kill_disable 5\nunder_oom 6\noom_kill 4\n"), 4);
	ck_assert_int_eq(oom("oom_kill 12"), 12);
	ck_assert_int_eq(oom("oom_kill 0\n"), 0);
	ck_assert_int_eq(oom(""), -1);
	ck_assert_int_eq(oom("oom_kill_disable 0\nunder_oom 0\n"), -1); /* before 4.13 */
	ck_assert_int_eq(oom("oom_group_kill 3\n"), -1);
	ck_assert_int_eq(oom("oom_kill"), -1);
	ck_assert_int_eq(oom("oom_kill "), -1);
	ck_assert_int_eq(oom("oom_kill -1\n"), -1);
	ck_assert_int_eq(oom("oom_kill 1x\n"), -1);
	ck_assert_int_eq(oom("oom_kill 99999999999999999999\n"), -1);
	ck_assert_int_eq(oom("xoom_kill 1\n"), -1);
}
END_TEST

START_TEST(parse_limit)
{
	ck_assert_int_eq(oom_parse_limit("67108864\n", 9), 67108864);
	ck_assert_int_eq(oom_parse_limit("max\n", 4), -1);
	ck_assert_int_eq(oom_parse_limit("9223372036854771712\n", 20), -1); /* v1's none */
	ck_assert_int_eq(oom_parse_limit("0\n", 2), 0);
	ck_assert_int_eq(oom_parse_limit("", 0), -1);
}
END_TEST

static void find(const char *text, int want, bool want_v1, const char *want_path)
{
	char path[64] = "unset";
	bool v1 = !want_v1;
	ck_assert_int_eq(oom_find(text, strlen(text), &v1, path, sizeof(path)), want);
	if (want == 0) {
		ck_assert_int_eq(v1, want_v1);
		ck_assert_str_eq(path, want_path);
	}
}

START_TEST(find_cgroup)
{
	find("0::/\n", 0, false, "");
	find("0::/kubepods/pod1/c2\n", 0, false, "/kubepods/pod1/c2");
	find("9:name=systemd:/x\n4:memory:/docker/abc\n0::/y\n", 0, true, "/docker/abc");
	find("0::/y\n4:cpu,memory,pids:/docker/abc\n", 0, true, "/docker/abc");
	find("4:memory_not,xmemory:/docker/abc\n0::/y\n", 0, false, "/y");
	find("4:memory:/a:b\n", 0, true, "/a:b");
	find("0::/..\n", -1, false, NULL);
	find("0::/../other\n", -1, false, NULL);
	find("4:memory:/../other\n0::/y\n", -1, false, NULL);
	find("0::/..x\n", 0, false, "/..x");
	find("0::relative\n", -1, false, NULL);
	find("0::/cut short", -1, false, NULL);
	find("", -1, false, NULL);
	find("\n\n:\n::\n0:\n", -1, false, NULL);
	find("0::/0123456789012345678901234567890123456789012345678901234567890123\n", -1, false,
		NULL);
}
END_TEST

static char root[64];

static void put_file(const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void make_root(void)
{
	strcpy(root, "/tmp/termlog.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void drop_root(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

static void open_counters(void)
{
	char membership[128];
	snprintf(membership, sizeof(membership), "%s/membership", root);
	oom_open(membership, root);
}

START_TEST(counters_v2_namespace)
{
	put_file("memory.events", "oom 9\noom_kill 5\n");
	put_file("memory.max", "67108864\n");
	put_file("membership", "0::/nowhere\n");
	open_counters();
	ck_assert_int_eq(oom_kills(), 0); /* what was before is not ours */
	put_file("memory.events", "oom 9\noom_kill 7\n");
	ck_assert_int_eq(oom_kills(), 2);
	ck_assert_int_eq(oom_limit(), 67108864);
	put_file("memory.events", "oom 9\noom_kill 1\n"); /* another cgroup of that name */
	ck_assert_int_eq(oom_kills(), 0);
	put_file("memory.events", "nothing\n");
	ck_assert_int_eq(oom_kills(), 0);
	put_file("memory.max", "max\n");
	ck_assert_int_eq(oom_limit(), -1);
}
END_TEST

START_TEST(counters_v2_host)
{
	put_file("pod/app/memory.events", "oom_kill 0\n");
	put_file("pod/app/memory.max", "max\n");
	put_file("pod/memory.max", "1048576\n");
	put_file("membership", "0::/pod/app\n");
	open_counters();
	put_file("pod/app/memory.events", "oom_kill 1\n");
	ck_assert_int_eq(oom_kills(), 1);
	ck_assert_int_eq(oom_limit(), 1048576); /* the pod's */
	put_file("pod/app/memory.max", "4096\n");
	ck_assert_int_eq(oom_limit(), 4096);
}
END_TEST

START_TEST(counters_v1)
{
	put_file("memory/docker/x/memory.oom_control",
		"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
	put_file("memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");
	put_file("memory/docker/memory.limit_in_bytes", "2097152\n");
	put_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
	put_file("memory/memory.oom_control", "oom_kill 100\n");
	put_file("membership", "5:memory:/docker/x\n0::/\n");
	open_counters();
	put_file("memory/docker/x/memory.oom_control",
		"oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
	put_file("memory/memory.oom_control", "oom_kill 200\n");
	ck_assert_int_eq(oom_kills(), 1);
	ck_assert_int_eq(oom_limit(), 2097152);
}
END_TEST

/* No cgroup namespace: the path is the host's, the container sees its own cgroup as the root. */
START_TEST(counters_v1_bind_mounted)
{
	put_file("memory/memory.oom_control", "oom_kill 100\n");
	put_file("memory/memory.limit_in_bytes", "4096\n");
	put_file("membership", "5:memory:/docker/x\n0::/\n");
	open_counters();
	put_file("memory/memory.oom_control", "oom_kill 101\n");
	ck_assert_int_eq(oom_kills(), 1);
	ck_assert_int_eq(oom_limit(), 4096);
}
END_TEST

START_TEST(counters_without_proc)
{
	put_file("memory/memory.oom_control", "oom_kill 100\n");
	open_counters();
	put_file("memory/memory.oom_control", "oom_kill 101\n");
	ck_assert_int_eq(oom_kills(), 1);
}
END_TEST

START_TEST(counters_elsewhere)
{
	put_file("memory/memory.oom_control", "oom_kill 100\n");
	put_file("membership", "5:memory:/../other\n");
	open_counters();
	put_file("memory/memory.oom_control", "oom_kill 101\n");
	ck_assert_int_eq(oom_kills(), 0); /* somebody else's */
	ck_assert_int_eq(oom_limit(), -1);
}
END_TEST

START_TEST(counters_absent)
{
	ck_assert_int_eq(oom_kills(), 0); /* never opened */
	open_counters();
	ck_assert_int_eq(oom_kills(), 0);
	ck_assert_int_eq(oom_limit(), -1);
	put_file("membership", "0::/gone\n");
	open_counters();
	ck_assert_int_eq(oom_kills(), 0);
}
END_TEST

static TCase *case_add(Suite *s, const char *name)
{
	TCase *c = tcase_create(name);
	suite_add_tcase(s, c);
	return c;
}

int main(void)
{
	Suite *s = suite_create("termlog");
	TCase *text = case_add(s, "text"), *json = case_add(s, "json"),
	      *counters = case_add(s, "counters");

	tcase_add_test(text, text_exits);
	tcase_add_test(text, text_signals);
	tcase_add_test(text, text_design_example);
	tcase_add_test(text, text_out_of_memory);
	tcase_add_test(text, text_limit_units);
	tcase_add_test(text, text_no_oom_without_a_difference);
	tcase_add_test(text, text_out_of_time);
	tcase_add_test(text, text_out_of_time_elsewhere);
	tcase_add_test(text, text_states);
	tcase_add_test(text, text_never_started);
	tcase_add_test(text, text_failure_and_end);
	tcase_add_test(text, text_reported_codes);
	tcase_add_test(text, text_is_one_clean_line);
	tcase_add_test(text, text_cut_between_characters);
	tcase_add_test(text, text_no_part_crowds_out_the_rest);
	tcase_add_test(json, json_reader_can_fail);
	tcase_add_test(json, json_full);
	tcase_add_test(json, json_reasons);
	tcase_add_test(json, json_states);
	tcase_add_test(json, json_times);
	tcase_add_test(json, json_escapes);
	tcase_add_test(json, json_cut_is_valid);
	tcase_add_test(json, json_huge);
	tcase_add_test(text, parse_oom);
	tcase_add_test(text, parse_limit);
	tcase_add_test(text, find_cgroup);
	tcase_add_checked_fixture(counters, make_root, drop_root);
	tcase_add_test(counters, counters_v2_namespace);
	tcase_add_test(counters, counters_v2_host);
	tcase_add_test(counters, counters_v1);
	tcase_add_test(counters, counters_v1_bind_mounted);
	tcase_add_test(counters, counters_without_proc);
	tcase_add_test(counters, counters_elsewhere);
	tcase_add_test(counters, counters_absent);

	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
