/*
 * test_compat.c - the peers' command lines: what they come to, what is said about them and where.
 *
 * The words themselves are compared with the peers' own binaries in tests/peers; here it is every
 * option, every variable and the odd corners of getopt, scanf and strtol, under sanitizers.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../compat.h"
#include "../../options.h"
#include "../../scan.h"
#include "../../voices.h"

enum { WORDS = 16, TEXT = 8192 };

static struct options o;
static char words_copy[WORDS][64];
static char *words[WORDS + 1];
static char out[TEXT], err[TEXT];

static void slurp(int fd, char *text)
{
	ssize_t got = pread(fd, text, TEXT - 1, 0);

	text[got > 0 ? got : 0] = '\0';
	close(fd);
}

/* Parses a line that is split at blanks ("~" stands for an empty word), with both outputs taken. */
static int parse(const char *line)
{
	static char copy[1024];
	int argc = 0, status, fds[2], saved[2];

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		ck_assert_int_lt(argc, WORDS);
		snprintf(words_copy[argc], sizeof(words_copy[0]), "%s",
			strcmp(word, "~") ? word : "");
		words[argc] = words_copy[argc];
		argc++;
	}
	words[argc] = NULL;
	memset(&o, 0x55, sizeof(o));
	options_defaults(&o);
	for (int fd = 0; fd < 2; fd++) {
		fds[fd] = memfd_create("output", MFD_CLOEXEC);
		saved[fd] = fcntl(fd + 1, F_DUPFD_CLOEXEC, 10);
		ck_assert_int_ge(dup2(fds[fd], fd + 1), 0);
	}
	status = compat_parse(&o, argc, words);
	for (int fd = 0; fd < 2; fd++) {
		ck_assert_int_ge(dup2(saved[fd], fd + 1), 0);
		close(saved[fd]);
	}
	slurp(fds[0], out);
	slurp(fds[1], err);
	return status;
}

static void set(const char *variable, const char *value)
{
	ck_assert_int_eq(setenv(variable, value, 1), 0);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* It goes on, silently, with this program. */
static void assert_runs(const char *line, const char *program)
{
	int status = parse(line);

	ck_assert_msg(status == -1, "%s: status %d, %s", line, status, err);
	ck_assert_msg(!*out && !*err, "%s says: %s%s", line, out, err);
	ck_assert_ptr_nonnull(o.command);
	ck_assert_str_eq(o.command[0], program);
}

/* It fails with these words on stderr (their beginning), and nothing on stdout. */
static void assert_fails(const char *line, const char *text)
{
	int status = parse(line);

	ck_assert_msg(status == 1, "%s: status %d", line, status);
	ck_assert_msg(!*out, "%s: on stdout: %s", line, out);
	ck_assert_msg(begins(err, text), "%s: %s instead of %s", line, err, text);
}

START_TEST(names)
{
	static const struct {
		const char *name;
		enum personality personality;
	} cases[] = {
		{"tini", AS_TINI},
		{"/sbin/tini", AS_TINI},
		{"tini-static", AS_TINI},
		{"/usr/bin/docker-init", AS_TINI},
		{"dumb-init", AS_DUMB_INIT},
		{"./dumb-init", AS_DUMB_INIT},
		{"catatonit", AS_CATATONIT},
		{"/usr/libexec/podman/catatonit", AS_CATATONIT},
		{"podman-init", AS_CATATONIT},
		{"shim", AS_SHIM},
		{"", AS_SHIM},
		{"tini/", AS_SHIM},
		{"tini2", AS_SHIM},
		{"Tini", AS_SHIM},
		{"xtini", AS_SHIM},
		{"/tini/shim", AS_SHIM},
		{NULL, AS_SHIM},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_int_eq(compat_personality(cases[i].name), cases[i].personality);
	ck_assert_int_eq(parse("shim -z"), -1);
	ck_assert_str_eq(err, "");
}
END_TEST

START_TEST(exec_statuses)
{
	ck_assert_int_eq(compat_exec_status(AS_TINI, ENOENT), 127);
	ck_assert_int_eq(compat_exec_status(AS_TINI, EACCES), 126);
	ck_assert_int_eq(compat_exec_status(AS_TINI, ENOTDIR), 1);
	ck_assert_int_eq(compat_exec_status(AS_TINI, ENOEXEC), 1);
	ck_assert_int_eq(compat_exec_status(AS_DUMB_INIT, ENOENT), 2);
	ck_assert_int_eq(compat_exec_status(AS_DUMB_INIT, EACCES), 2);
	ck_assert_int_eq(compat_exec_status(AS_CATATONIT, ENOENT), 1);
	ck_assert_int_eq(compat_exec_status(AS_CATATONIT, EACCES), 1);
	ck_assert_int_eq(compat_exec_status(AS_SHIM, ENOENT), 127);
	ck_assert_int_eq(compat_exec_status(AS_SHIM, EACCES), 126);
	ck_assert_int_eq(compat_exec_status(AS_SHIM, ELOOP), 126);
}
END_TEST

/* What all three have: no lifecycle of shim's own. */
START_TEST(nothing_of_ours)
{
	static const char *const lines[] = {"tini true", "dumb-init true", "catatonit true"};

	for (size_t i = 0; i < 3; i++) {
		assert_runs(lines[i], "true");
		ck_assert_uint_eq(o.stop_on, 0);
		ck_assert_int_eq(o.stop_signal, 0);
		ck_assert_int_eq(o.linger_ns, 0);
		ck_assert_int_lt(o.grace_ns, 0);
		ck_assert(!o.until_empty && !o.clean_stop && o.termination_none && !o.pause);
		for (int n = 0; n <= 255; n++)
			ck_assert_int_lt(o.expect[n], 0);
	}
}
END_TEST

START_TEST(tini_defaults)
{
	assert_runs("tini app -h -s", "app");
	ck_assert_str_eq(o.command[1], "-h");
	ck_assert_int_eq(o.scope, SCOPE_CHILD);
	ck_assert_int_eq(o.placement, PLACE_GROUP);
	ck_assert_int_eq(o.verbosity, LEVEL_WARN);
	ck_assert_int_eq(o.parent_death_signal, 0);
	ck_assert_uint_eq(o.swallow, SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU));
	ck_assert(o.keep_descriptors && o.keep_directory);
	ck_assert(!o.subreaper && !o.warn_reap && !o.quiet_when_not_init);
	ck_assert(!o.term_at_end && !o.stop_with_app && !o.reset_signals);
	for (int n = 1; n <= SIGNAL_LAST; n++)
		ck_assert_int_eq(o.rewrite[n], n);
}
END_TEST

START_TEST(tini_options)
{
	assert_runs("tini -swg -vvv -p SIGHUP -e 3 -e7 -e 255 app", "app");
	ck_assert(o.subreaper && o.warn_reap);
	ck_assert_int_eq(o.scope, SCOPE_GROUP);
	ck_assert_int_eq(o.verbosity, LEVEL_TRACE);
	ck_assert_int_eq(o.parent_death_signal, SIGHUP);
	for (int n = 0; n <= 255; n++)
		ck_assert_int_eq(o.expect[n], n == 3 || n == 7 || n == 255 ? 0 : -1);
	assert_runs("tini -v app", "app");
	ck_assert_int_eq(o.verbosity, LEVEL_INFO);
	assert_runs("tini -vvvvvvvvv app", "app");
	ck_assert_int_eq(o.verbosity, LEVEL_TRACE);
	assert_runs("tini -pSIGSYS -- -x", "-x");
	ck_assert_int_eq(o.parent_death_signal, SIGSYS);
	assert_runs("tini -", "-");
}
END_TEST

START_TEST(tini_death_signals)
{
	static const char *const good[] = {"HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS",
		"FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "CHLD", "CONT",
		"STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
		"SYS"};
	static const char *const bad[] = {"TERM", "15", "sigterm", "SIGIO", "SIGPOLL", "SIGPWR",
		"SIGSTKFLT", "SIGIOT", "SIGCLD", "SIGRTMIN", "SIGTERMx", "SIG", "~", "SIGNULL",
		"0"};
	char line[64];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(line, sizeof(line), "tini -p SIG%s app", good[i]);
		assert_runs(line, "app");
		ck_assert_int_ne(o.parent_death_signal, 0);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "tini -p %s app", bad[i]);
		assert_fails(line, "[FATAL tini (");
		ck_assert_ptr_nonnull(strstr(err, ")] Not a valid option for -p: "));
	}
}
END_TEST

START_TEST(tini_exit_codes)
{
	static const char *const bad[] = {"300", "256", "-1", "x", "1x", "0x1", "4294967297",
		"18446744073709551617", "99999999999999999999999999", "-99999999999999999999999999",
		"+", "1.0"};
	char line[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "tini -e %s app", bad[i]);
		assert_fails(line, "[FATAL tini (");
		ck_assert_ptr_nonnull(strstr(err, ")] Not a valid option for -e: "));
	}
	assert_runs("tini -e +1 -e 02 -e ~ app", "app");
	ck_assert(o.expect[0] == 0 && o.expect[1] == 0 && o.expect[2] == 0 && o.expect[3] < 0);
}
END_TEST

START_TEST(tini_says)
{
	ck_assert_int_eq(parse("tini --version"), 0);
	ck_assert_str_eq(out, "tini version 0.19.0\n");
	ck_assert_str_eq(err, "");
	ck_assert_int_eq(parse("/x/docker-init -h"), 0);
	ck_assert_str_eq(err, "");
	ck_assert(begins(out, "docker-init (tini version 0.19.0)\n"
			      "Usage: docker-init [OPTIONS] PROGRAM -- [ARGS] | --version\n"));
	ck_assert_int_eq(parse("tini -l"), 0);
	ck_assert_str_eq(out, options_license());
	assert_fails("tini", "tini (tini version 0.19.0)\nUsage: tini [OPTIONS]");
	assert_fails("tini -w", "tini (tini version 0.19.0)\n");
	assert_fails("tini --", "tini (tini version 0.19.0)\n");
	assert_fails("/x/tini -z", "/x/tini: invalid option -- 'z'\ntini (tini version");
	assert_fails("tini -szg app", "tini: invalid option -- 'z'\n");
	assert_fails("tini --version x", "tini: invalid option -- '-'\n");
	assert_fails("tini --help", "tini: invalid option -- '-'\n");
	assert_fails("tini -:", "tini: invalid option -- ':'\n");
	assert_fails("tini -e", "tini: option requires an argument -- 'e'\n");
	assert_fails("tini -sp", "tini: option requires an argument -- 'p'\n");
	assert_fails("a%sb%n/tini -z", "a%sb%n/tini: invalid option -- 'z'\n");
}
END_TEST

START_TEST(tini_variables)
{
	set("TINI_SUBREAPER", "");
	set("TINI_KILL_PROCESS_GROUP", "0");
	set("TINI_VERBOSITY", " 3x");
	assert_runs("tini -vvvv app", "app");
	ck_assert(o.subreaper);
	ck_assert_int_eq(o.scope, SCOPE_GROUP);
	ck_assert_int_eq(o.verbosity, LEVEL_DEBUG);
	set("TINI_VERBOSITY", "junk");
	assert_runs("tini -vvvv app", "app");
	ck_assert_int_eq(o.verbosity, LEVEL_FATAL);
	set("TINI_VERBOSITY", "-3");
	assert_runs("tini app", "app");
	ck_assert_int_eq(o.verbosity, LEVEL_TRACE);
	set("TINI_VERBOSITY", "99999999999999999999999");
	ck_assert_int_eq(parse("tini app"), -1);
	set("TINI_VERBOSITY", "0");
	assert_fails("tini -e x app", "[FATAL tini (");
}
END_TEST

START_TEST(separators)
{
	assert_runs("tini app -- a", "app");
	ck_assert_str_eq(o.command[1], "a");
	assert_runs("catatonit app -- -- a", "app");
	ck_assert_str_eq(o.command[1], "--");
	assert_runs("tini app --", "app");
	ck_assert_ptr_null(o.command[1]);
	assert_runs("tini -s -- app -- a", "app");
	ck_assert_str_eq(o.command[1], "--");
	assert_runs("tini app a -- b", "app");
	ck_assert_str_eq(o.command[2], "--");
	assert_runs("dumb-init app -- a", "app");
	ck_assert_str_eq(o.command[1], "--");
	assert_runs("tini -- --", "--");
	set("POSIXLY_CORRECT", "1");
	assert_runs("tini app -- a", "app");
	ck_assert_str_eq(o.command[1], "--");
}
END_TEST

START_TEST(dumb_init_defaults)
{
	assert_runs("dumb-init app -c -h", "app");
	ck_assert_str_eq(o.command[1], "-c");
	ck_assert_int_eq(o.scope, SCOPE_GROUP);
	ck_assert_int_eq(o.placement, PLACE_SESSION);
	ck_assert_int_eq(o.verbosity, LEVEL_FATAL);
	ck_assert(o.term_at_end && o.stop_with_app && o.reset_signals && o.keep_descriptors);
	ck_assert(!o.keep_directory && !o.subreaper && o.quiet_when_not_init);
	ck_assert_uint_eq(o.swallow, 0);
	for (int n = 1; n <= SIGNAL_LAST; n++)
		ck_assert_int_eq(
			o.rewrite[n], n == SIGTSTP || n == SIGTTIN || n == SIGTTOU ? SIGSTOP : n);
}
END_TEST

START_TEST(dumb_init_options)
{
	assert_runs("dumb-init -c app", "app");
	ck_assert_int_eq(o.scope, SCOPE_CHILD);
	ck_assert_int_eq(o.placement, PLACE_SAME);
	ck_assert_int_eq(o.rewrite[SIGTSTP], SIGTSTP);
	assert_runs("dumb-init --sing --verb -- app", "app");
	ck_assert_int_eq(o.placement, PLACE_SAME);
	ck_assert_int_eq(o.verbosity, LEVEL_DEBUG);
	assert_runs("dumb-init -cv -r 15:3 -r2:0 --rewrite=1:31 --rew 31:1 -r 15:4 app", "app");
	ck_assert_int_eq(o.rewrite[15], 4);
	ck_assert_int_eq(o.rewrite[2], 0);
	ck_assert_int_eq(o.rewrite[1], 31);
	ck_assert_int_eq(o.rewrite[31], 1);
	assert_runs("dumb-init -r 20:20 -r 21:15 app", "app");
	ck_assert_int_eq(o.rewrite[SIGTSTP], SIGTSTP);
	ck_assert_int_eq(o.rewrite[SIGTTIN], 15);
	ck_assert_int_eq(o.rewrite[SIGTTOU], SIGSTOP);
	assert_runs("dumb-init -r +15:+3x -r 14:-0 -r 13:2:9 app", "app");
	ck_assert(o.rewrite[15] == 3 && o.rewrite[14] == 0 && o.rewrite[13] == 2);
}
END_TEST

START_TEST(dumb_init_rewrites_refused)
{
	static const char *const bad[] = {"0:1", "32:1", "1:32", "-1:1", "1:-1", "15", "15:", ":3",
		"TERM:INT", "x", "~", "-c", "15:99999999999999999999", "99999999999999999999:3",
		"-99999999999999999999:3", "1;2", "--", "64:1", "15:64"};
	char line[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "dumb-init -r %s app", bad[i]);
		assert_fails(line, "Usage: -r option takes <signum>:<signum>, where <signum> is "
				   "between 1 and 31.\n"
				   "This option can be specified multiple times.\nUse --help for "
				   "full usage.\n");
	}
}
END_TEST

START_TEST(dumb_init_says)
{
	ck_assert_int_eq(parse("dumb-init -V -z"), 0);
	ck_assert_str_eq(err, "dumb-init v1.2.5\n");
	ck_assert_int_eq(parse("/x/dumb-init --help"), 0);
	ck_assert_str_eq(out, "");
	ck_assert(begins(
		err, "dumb-init v1.2.5\nUsage: /x/dumb-init [option] command [[arg] ...]\n"));
	assert_fails("/x/dumb-init", "Usage: /x/dumb-init [option] program [args]\nTry "
				     "/x/dumb-init --help for full usage.\n");
	assert_fails("dumb-init --yolo=3", "dumb-init: unrecognized option '--yolo=3'\n");
	assert_fails("dumb-init -cz", "dumb-init: invalid option -- 'z'\n");
	assert_fails("dumb-init -+", "dumb-init: invalid option -- '+'\n");
	assert_fails("dumb-init -r", "dumb-init: option requires an argument -- 'r'\n");
	assert_fails("dumb-init --rew", "dumb-init: option '--rewrite' requires an argument\n");
	assert_fails("dumb-init --h=", "dumb-init: option '--help' doesn't allow an argument\n");
	assert_fails("dumb-init --ver",
		"dumb-init: option '--ver' is ambiguous; possibilities: '--verbose' '--version'\n");
	assert_fails("dumb-init --=3",
		"dumb-init: option '--=3' is ambiguous; possibilities: '--help' '--single-child' "
		"'--rewrite' '--verbose' '--version'\n");
}
END_TEST

START_TEST(dumb_init_variables)
{
	set("DUMB_INIT_SETSID", "0");
	assert_runs("dumb-init app", "app");
	ck_assert_int_eq(o.placement, PLACE_SAME);
	ck_assert_int_eq(o.rewrite[SIGTSTP], SIGTSTP);
	set("DUMB_INIT_DEBUG", "1");
	ck_assert_int_eq(parse("dumb-init app"), -1);
	ck_assert_str_eq(err,
		"[dumb-init] Running in debug mode.\n[dumb-init] Not running in setsid mode.\n");
	ck_assert_int_eq(o.verbosity, LEVEL_DEBUG);
	ck_assert_int_eq(parse("dumb-init -V"), 0);
	ck_assert_str_eq(err, "dumb-init v1.2.5\n");
	set("DUMB_INIT_SETSID", "00");
	set("DUMB_INIT_DEBUG", "11");
	assert_runs("dumb-init app", "app");
	ck_assert_int_eq(o.placement, PLACE_SESSION);
	ck_assert_int_eq(o.verbosity, LEVEL_FATAL);
}
END_TEST

START_TEST(catatonit_options)
{
	assert_runs("catatonit app -g", "app");
	ck_assert_int_eq(o.scope, SCOPE_CHILD);
	ck_assert_int_eq(o.placement, PLACE_GROUP);
	ck_assert_int_eq(o.verbosity, LEVEL_FATAL);
	ck_assert_uint_eq(
		o.swallow, SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU));
	ck_assert(o.subreaper && o.quiet_when_not_init && !o.keep_descriptors && !o.keep_directory);
	assert_runs("podman-init -g -- -app", "-app");
	ck_assert_int_eq(o.scope, SCOPE_GROUP);
	ck_assert_int_eq(parse("catatonit -gP -- app"), -1);
	ck_assert(o.pause);
	ck_assert_ptr_null(o.command);
	ck_assert_int_eq(parse("catatonit -P"), -1);
	set("CATATONIT_DEBUG", "");
	assert_runs("catatonit app", "app");
	ck_assert_int_eq(o.verbosity, LEVEL_DEBUG);
}
END_TEST

START_TEST(catatonit_says)
{
	static const char usage[] = "usage: catatonit [-ghLPV] [--] <progname> [<arguments>...]\n";
	char text[256];

	ck_assert_int_eq(parse("podman-init --ver"), 0);
	ck_assert_str_eq(out, "tini version 0.2.1_catatonit\n");
	ck_assert_int_eq(parse("catatonit -P -h"), 0);
	ck_assert_str_eq(out, "");
	ck_assert(begins(err, usage));
	ck_assert_int_eq(parse("catatonit -L"), 0);
	ck_assert_str_eq(out, options_license());
	snprintf(text, sizeof(text), "/x/podman-init: unrecognized option '--help'\n%s", usage);
	assert_fails("/x/podman-init --help", text);
	snprintf(text, sizeof(text), "catatonit: option '--version' doesn't allow an argument\n%s",
		usage);
	assert_fails("catatonit --=1", text);
	snprintf(text, sizeof(text), "ERROR (catatonit:%d): missing program name\n%s", getpid(),
		usage);
	assert_fails("podman-init -g --", text);
	set("CATATONIT_LOG", "");
	snprintf(text, sizeof(text),
		"ERROR (catatonit:%d): CATATONIT_LOG is reserved for future use\n", getpid());
	assert_fails("catatonit -h", text);
}
END_TEST

START_TEST(numbers)
{
	static const struct {
		const char *text;
		bool good;
		int64_t value;
		const char *rest;
	} cases[] = {
		{"12", true, 12, ""},
		{" \t\n\v\f\r+7:", true, 7, ":"},
		{"-0", true, 0, ""},
		{"-12x", true, -12, "x"},
		{"", false, 0, ""},
		{" ", false, 0, " "},
		{"+", false, 0, "+"},
		{"- 1", false, 0, "- 1"},
		{"x1", false, 0, "x1"},
		{"--1", false, 0, "--1"},
		{"0x10", true, 0, "x10"},
		{"007", true, 7, ""},
		{"9223372036854775807", true, INT64_MAX, ""},
		{"9223372036854775808x", true, INT64_MAX, "x"},
		{"-9223372036854775807", true, -INT64_MAX, ""},
		{"-9223372036854775809", true, INT64_MIN, ""},
		{"-99999999999999999999", true, INT64_MIN, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i].text;
		int64_t value = -77;

		ck_assert_int_eq(scan_number(&text, &value), cases[i].good);
		ck_assert_str_eq(text, cases[i].rest);
		if (cases[i].good)
			ck_assert_int_eq(value, cases[i].value);
	}
	for (size_t digits = 17; digits < 60; digits++) {
		char long_one[64];
		const char *text = long_one;
		int64_t value = 0;

		memset(long_one, '9', digits);
		long_one[digits] = '\0';
		ck_assert(scan_number(&text, &value));
		ck_assert_int_gt(value, INT64_C(1) << 40);
		ck_assert_str_eq(text, "");
	}
}
END_TEST

/* A name that does not fit is cut, and nothing else happens. */
START_TEST(long_names)
{
	static char name[20000] = "";
	char *argv[] = {name, words_copy[0], NULL};

	memset(name, 'x', sizeof(name) - 1);
	memcpy(name + sizeof(name) - 6, "/tini", 6);
	snprintf(words_copy[0], sizeof(words_copy[0]), "-z");
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	options_defaults(&o);
	ck_assert_int_eq(compat_parse(&o, 2, argv), 1);
}
END_TEST

START_TEST(voices)
{
	ck_assert_ptr_null(voice_of(AS_SHIM));
	for (int personality = AS_TINI; personality <= AS_CATATONIT; personality++) {
		const struct voice *voice = voice_of((enum personality)personality);

		ck_assert_ptr_nonnull(voice);
		for (int level = 0; level < LEVELS; level++)
			ck_assert_int_ne(*voice->prefix[level], '\0');
		ck_assert_uint_ne(voice->phrases[NOTE_EXEC_FAILED].at, 0);
		ck_assert_int_eq(voice->phrases[NOTE_EXEC_FAILED].level, LEVEL_FATAL);
	}
}
END_TEST

int main(void)
{
	static const char *const variables[] = {"TINI_SUBREAPER", "TINI_VERBOSITY",
		"TINI_KILL_PROCESS_GROUP", "DUMB_INIT_DEBUG", "DUMB_INIT_SETSID", "CATATONIT_LOG",
		"CATATONIT_DEBUG", "POSIXLY_CORRECT"};
	const TTest *const tests[] = {names, exec_statuses, nothing_of_ours, tini_defaults,
		tini_options, tini_death_signals, tini_exit_codes, tini_says, tini_variables,
		separators, dumb_init_defaults, dumb_init_options, dumb_init_rewrites_refused,
		dumb_init_says, dumb_init_variables, catatonit_options, catatonit_says, numbers,
		long_names, voices};
	Suite *suite = suite_create("compat");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(all, tests[i]);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
