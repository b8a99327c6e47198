/*
 * test_options.c - options.h: every option good and bad, SHIM_OPTS, the errors' words, the help.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "options.h"
#include "options_table.h"
#include "names.h"
#include "parse.h"

enum { ARGUMENTS = 16, ERROR_SIZE = 512 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define USAGE        "no command given; usage: shim [OPTION...] [--] COMMAND [ARG...]"

static struct options o;
static char error[ERROR_SIZE];
static char *argv[ARGUMENTS];
static char line_copy[1024];
static char environment_copy[4096];

/* line is split by the shell's rules; the program's name is put before it. */
static enum verdict parse_with(const char *environment, const char *line)
{
	int count;

	snprintf(line_copy, sizeof line_copy, "%s", line);
	count = split_words(line_copy, argv + 1, ARGUMENTS - 2);
	ck_assert_int_ge(count, 0);
	argv[0] = line_copy + sizeof line_copy - 1;
	argv[count + 1] = NULL;
	if (environment)
		snprintf(environment_copy, sizeof environment_copy, "%s", environment);
	error[0] = '\0';
	options_defaults(&o);
	return options_parse(&o, argv, environment ? environment_copy : NULL, error, sizeof error);
}

static void run(const char *line)
{
	enum verdict verdict = parse_with(NULL, line);

	ck_assert_str_eq(error, "");
	ck_assert_int_eq(verdict, VERDICT_RUN);
	ck_assert_ptr_nonnull(o.command);
}

START_TEST(defaults)
{
	run("app");
	ck_assert_int_eq(o.personality, AS_SHIM);
	ck_assert_int_eq(o.scope, SCOPE_GROUP);
	ck_assert_int_eq(o.placement, PLACE_GROUP);
	for (int i = 1; i <= SIGNAL_LAST; i++)
		ck_assert_int_eq(o.rewrite[i], i);
	ck_assert_uint_eq(o.stop_on, SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGINT));
	ck_assert_int_eq(o.stop_signal, 0);
	ck_assert_int_eq(o.grace_ns, -1);
	ck_assert_int_eq(o.reserve_ns, -1);
	ck_assert_int_eq(o.linger_ns, -1);
	ck_assert_int_eq(options_linger_ns(&o), 2 * NS_PER_S);
	ck_assert(!o.until_empty);
	for (int i = 0; i <= CODE_LAST; i++)
		ck_assert_int_eq(o.expect[i], -1);
	ck_assert(!o.clean_stop && !o.subreaper && !o.warn_reap);
	ck_assert_int_eq(o.parent_death_signal, 0);
	ck_assert_int_eq(o.verbosity, LEVEL_WARN);
	ck_assert_ptr_null(o.termination_log);
	ck_assert(!o.termination_none && !o.termination_on_failure);
	ck_assert_int_eq(o.termination_format, FORMAT_TEXT);
	ck_assert_ptr_null(o.install_dir);
	ck_assert(!o.pause && !o.term_at_end && !o.stop_with_app && !o.reset_signals &&
		  !o.keep_descriptors);
	ck_assert_uint_eq(o.swallow, 0);
}
END_TEST

/* The command and all behind it is the app's, whatever it looks like. */
static const struct {
	const char *line;
	int first; /* index in argv of the command */
} commands[] = {{"app", 1}, {"app -s --grace", 1}, {"-s app -v", 2}, {"-- app", 2}, {"-- -s", 2},
	{"-s -- -- x", 3}, {"- x", 1}, {"'' x", 1}, {"--grace 5 app", 3}, {"--grace=5 app", 2},
	{"-e 3 app", 3}, {"-e3 app", 2}, {"-svwe3 app", 2}, {"-svwe 3 app", 3}, {"app -- x", 1},
	{"-p -- app", 0}};

START_TEST(command)
{
	if (commands[_i].first == 0) {
		ck_assert_int_eq(parse_with(NULL, commands[_i].line), VERDICT_BAD);
		return;
	}
	run(commands[_i].line);
	ck_assert_ptr_eq(o.command, argv + commands[_i].first);
}
END_TEST

START_TEST(scopes)
{
	static const struct {
		const char *line;
		enum scope scope;
		enum placement placement;
	} cases[] = {{"--scope child a", SCOPE_CHILD, PLACE_GROUP},
		{"--scope group a", SCOPE_GROUP, PLACE_GROUP},
		{"--scope=session a", SCOPE_SESSION, PLACE_SESSION},
		{"--scope all a", SCOPE_ALL, PLACE_GROUP}, {"-c a", SCOPE_CHILD, PLACE_GROUP},
		{"--single-child a", SCOPE_CHILD, PLACE_GROUP}, {"-cg a", SCOPE_GROUP, PLACE_GROUP},
		{"-c --group a", SCOPE_GROUP, PLACE_GROUP},
		{"--scope session -g a", SCOPE_GROUP, PLACE_GROUP},
		{"-c --scope session a", SCOPE_SESSION, PLACE_SESSION}};

	for (size_t i = 0; i < COUNT(cases); i++) {
		run(cases[i].line);
		ck_assert_int_eq(o.scope, cases[i].scope);
		ck_assert_int_eq(o.placement, cases[i].placement);
	}
}
END_TEST

START_TEST(rewrites)
{
	run("-r TERM:QUIT -rHUP:0 --rewrite 10:RTMIN+3 --rewrite=sigusr2:64 -r RTMIN:KILL a");
	for (int i = 1; i <= SIGNAL_LAST; i++) {
		int expected = i == SIGTERM   ? SIGQUIT
			       : i == SIGHUP  ? 0
			       : i == SIGUSR1 ? 37
			       : i == SIGUSR2 ? 64
			       : i == 34      ? SIGKILL
					      : i;
		ck_assert_int_eq(o.rewrite[i], expected);
	}
	run("-r TERM:QUIT -r TERM:INT a");
	ck_assert_int_eq(o.rewrite[SIGTERM], SIGINT);
}
END_TEST

START_TEST(every_signal)
{
	for (int signo = 1; signo <= SIGNAL_LAST; signo++) {
		bool is_refused = signo == SIGKILL || signo == SIGSTOP || signo == SIGCHLD;
		enum verdict expected = is_refused ? VERDICT_BAD : VERDICT_RUN;
		char name[SIGNAL_NAME_SIZE];
		char line[64];

		snprintf(line, sizeof line, "-r %d:USR1 a", signo);
		ck_assert_int_eq(parse_with(NULL, line), expected);
		if (!is_refused)
			ck_assert_int_eq(o.rewrite[signo], SIGUSR1);
		snprintf(line, sizeof line, "-r USR1:%d a", signo);
		run(line);
		ck_assert_int_eq(o.rewrite[SIGUSR1], signo);
		if (signo == 32 || signo == 33)
			continue; /* these have no name */
		snprintf(line, sizeof line, "--stop-on %s a", signal_name(signo, name));
		ck_assert_int_eq(parse_with(NULL, line), expected);
		if (!is_refused)
			ck_assert_uint_eq(o.stop_on, SIGNAL_BIT(signo));
		snprintf(line, sizeof line, "-p %s a", name);
		run(line);
		ck_assert_int_eq(o.parent_death_signal, signo);
		snprintf(line, sizeof line, "--stop-signal %s a", name);
		if (signo == SIGSTOP || signo == SIGCHLD) {
			ck_assert_int_eq(parse_with(NULL, line), VERDICT_BAD);
			continue;
		}
		run(line);
		ck_assert_int_eq(o.stop_signal, signo);
	}
}
END_TEST

START_TEST(stop_on)
{
	run("--stop-on TERM,int,3,RTMIN+3 a");
	ck_assert_uint_eq(o.stop_on,
		SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGINT) | SIGNAL_BIT(SIGQUIT) | SIGNAL_BIT(37));
	run("--stop-on TERM --stop-on HUP a");
	ck_assert_uint_eq(o.stop_on, SIGNAL_BIT(SIGHUP));
}
END_TEST

START_TEST(durations)
{
	run("--grace 1m --reserve=1500ms --linger 0 a");
	ck_assert_int_eq(o.grace_ns, 60 * NS_PER_S);
	ck_assert_int_eq(o.reserve_ns, 1500 * NS_PER_MS);
	ck_assert_int_eq(o.linger_ns, 0);
	run("--reserve 5 --grace 5s a");
	ck_assert_int_eq(o.reserve_ns, o.grace_ns);
	run("--grace 0 a");
	ck_assert_int_eq(o.grace_ns, 0);
}
END_TEST

START_TEST(reserve_default)
{
	run("a");
	ck_assert_int_eq(options_reserve_ns(&o), 5 * NS_PER_S);
	run("--grace 30 a");
	ck_assert_int_eq(options_reserve_ns(&o), 5 * NS_PER_S);
	run("--grace 10 a");
	ck_assert_int_eq(options_reserve_ns(&o), 5 * NS_PER_S);
	run("--grace 4 a");
	ck_assert_int_eq(options_reserve_ns(&o), 2 * NS_PER_S);
	run("--grace 0 a");
	ck_assert_int_eq(options_reserve_ns(&o), 0);
	run("--grace 30 --reserve 20 a");
	ck_assert_int_eq(options_reserve_ns(&o), 20 * NS_PER_S);
	run("--grace 30 --reserve 0 a");
	ck_assert_int_eq(options_reserve_ns(&o), 0);
}
END_TEST

START_TEST(expected_codes)
{
	for (int code = 0; code <= CODE_LAST; code++) {
		char line[64];

		snprintf(line, sizeof line, "-e %d --expect-exit=%d:%d a", code, (code + 1) % 256,
			255 - code);
		run(line);
		for (int i = 0; i <= CODE_LAST; i++)
			ck_assert_int_eq(o.expect[i], i == code               ? 0
						      : i == (code + 1) % 256 ? 255 - code
									      : -1);
	}
}
END_TEST

START_TEST(flags)
{
	run("-sw --until-empty --linger 3 --clean-stop a");
	ck_assert(o.subreaper && o.warn_reap && o.until_empty && o.clean_stop);
	run("--subreaper --warn-reap a");
	ck_assert(o.subreaper && o.warn_reap && !o.until_empty && !o.clean_stop);
	run("-v a");
	ck_assert_int_eq(o.verbosity, LEVEL_INFO);
	run("-vv a");
	ck_assert_int_eq(o.verbosity, LEVEL_DEBUG);
	run("--verbose -v a");
	ck_assert_int_eq(o.verbosity, LEVEL_DEBUG);
	run("-vvvvvvvv a");
	ck_assert_int_eq(o.verbosity, LEVEL_TRACE);
}
END_TEST

START_TEST(termination)
{
	run("--termination-log /t a");
	ck_assert_str_eq(o.termination_log, "/t");
	ck_assert(!o.termination_none);
	run("--termination-log none a");
	ck_assert_ptr_null(o.termination_log);
	ck_assert(o.termination_none);
	run("--termination-log none --termination-log=./none a");
	ck_assert_str_eq(o.termination_log, "./none");
	ck_assert(!o.termination_none);
	run("--termination-log /t --termination-log none a");
	ck_assert_ptr_null(o.termination_log);
	run("--termination-format json --termination-on failure a");
	ck_assert_int_eq(o.termination_format, FORMAT_JSON);
	ck_assert(o.termination_on_failure);
	run("--termination-format json --termination-format text --termination-on failure "
	    "--termination-on always a");
	ck_assert_int_eq(o.termination_format, FORMAT_TEXT);
	ck_assert(!o.termination_on_failure);
	ck_assert_int_eq(o.termination_tail, 0);
	run("--termination-tail 20 a");
	ck_assert_int_eq(o.termination_tail, 20);
}
END_TEST

START_TEST(logs)
{
	run("a");
	ck_assert(!o.json_logs);
	ck_assert_int_eq(o.log_format, FORMAT_UNSET);
	run("--json-logs --json-nest app.x --log-format=json a");
	ck_assert(o.json_logs);
	ck_assert_str_eq(o.json_nest, "app.x");
	ck_assert_int_eq(o.log_format, FORMAT_JSON);
	run("--log-format json --log-format text a");
	ck_assert_int_eq(o.log_format, FORMAT_TEXT);
}
END_TEST

START_TEST(verdicts)
{
	static const struct {
		const char *line;
		enum verdict verdict;
	} cases[] = {{"-h", VERDICT_HELP}, {"--help", VERDICT_HELP}, {"-sh app", VERDICT_HELP},
		{"-V", VERDICT_VERSION}, {"--version", VERDICT_VERSION}, {"-l", VERDICT_LICENSE},
		{"-L", VERDICT_LICENSE}, {"--license", VERDICT_LICENSE},
		{"-h --nonsense", VERDICT_HELP}, {"--install /x", VERDICT_INSTALL},
		{"--install=/x -v", VERDICT_INSTALL}, {"-v --install /x", VERDICT_INSTALL},
		{"--drain-now", VERDICT_DRAIN}, {"--drain-now --timeout 5s -v", VERDICT_DRAIN},
		{"--install /x --", VERDICT_INSTALL}, {"--install /x -h", VERDICT_HELP}};

	for (size_t i = 0; i < COUNT(cases); i++) {
		ck_assert_int_eq(parse_with(NULL, cases[i].line), cases[i].verdict);
		ck_assert_str_eq(error, "");
		if (cases[i].verdict == VERDICT_INSTALL)
			ck_assert_str_eq(o.install_dir, "/x");
	}
}
END_TEST

#define NOT_DURATION "' is not a duration (such as 500ms, 30s, 2m, 1h)"
#define NOT_REWRITE  "' is not FROM:TO, two signals (TO may be 0, FROM not KILL, STOP or CHLD)"
#define NOT_STOP_ON  "' is not a list of signals (such as TERM,INT; not KILL, STOP or CHLD)"
#define NOT_STOP     "' is not a signal that can end the app (such as QUIT, INT, RTMIN+3)"
#define NOT_EXPECT   "' is not CODE or CODE:TO, numbers from 0 to 255"
#define NOT_SIGNAL   "' is not a signal (such as TERM, SIGTERM, 15, RTMIN+3)"
#define LISTS        ": unknown option; shim --help lists them"
#define LENGTH_39    "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" /* the longest that can be a name */
#define LONG_50      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	const char *line;
	const char *error;
} refusals[] = {
	{"", USAGE},
	{"-s", USAGE},
	{"--", USAGE},
	{"--grace 5", USAGE},
	{"--scope x a", "--scope: 'x' is not child, group, session or all"},
	{"--scope '' a", "--scope: '' is not child, group, session or all"},
	{"--scope GROUP a", "--scope: 'GROUP' is not child, group, session or all"},
	{"-r TERM a", "-r: 'TERM" NOT_REWRITE},
	{"-r : a", "-r: ':" NOT_REWRITE},
	{"-r TERM: a", "-r: 'TERM:" NOT_REWRITE},
	{"-r :TERM a", "-r: ':TERM" NOT_REWRITE},
	{"-r 0:TERM a", "-r: '0:TERM" NOT_REWRITE},
	{"-r TERM:00 a", "-r: 'TERM:00" NOT_REWRITE},
	{"-r TERM:65 a", "-r: 'TERM:65" NOT_REWRITE},
	{"-r TERM:INT:HUP a", "-r: 'TERM:INT:HUP" NOT_REWRITE},
	{"-rTERM=INT a", "-r: 'TERM=INT" NOT_REWRITE},
	{"--rewrite KILL:TERM a", "--rewrite: 'KILL:TERM" NOT_REWRITE},
	{"--rewrite STOP:TERM a", "--rewrite: 'STOP:TERM" NOT_REWRITE},
	{"--rewrite SIGCHLD:0 a", "--rewrite: 'SIGCHLD:0" NOT_REWRITE},
	{"--stop-on '' a", "--stop-on: '" NOT_STOP_ON},
	{"--stop-on TERM, a", "--stop-on: 'TERM," NOT_STOP_ON},
	{"--stop-on TERM,,INT a", "--stop-on: 'TERM,,INT" NOT_STOP_ON},
	{"--stop-on TERM,KILL a", "--stop-on: 'TERM,KILL" NOT_STOP_ON},
	{"--stop-on STOP a", "--stop-on: 'STOP" NOT_STOP_ON},
	{"--stop-on CHLD a", "--stop-on: 'CHLD" NOT_STOP_ON},
	{"--stop-on 0 a", "--stop-on: '0" NOT_STOP_ON},
	{"--stop-on 'TERM INT' a", "--stop-on: 'TERM INT" NOT_STOP_ON},
	{"--stop-on " LONG_50 ",TERM a", "--stop-on: '" LONG_50 ",TERM" NOT_STOP_ON},
	{"--stop-signal 0 a", "--stop-signal: '0" NOT_STOP},
	{"--stop-signal TERMX a", "--stop-signal: 'TERMX" NOT_STOP},
	{"--stop-signal SIGSTOP a", "--stop-signal: 'SIGSTOP" NOT_STOP},
	{"--grace 5x a", "--grace: '5x" NOT_DURATION},
	{"--grace= a", "--grace: '" NOT_DURATION},
	{"--grace -1 a", "--grace: '-1" NOT_DURATION},
	{"--grace --reserve 5 a", "--grace: '--reserve" NOT_DURATION},
	{"--reserve 1.5s a", "--reserve: '1.5s" NOT_DURATION},
	{"--linger 99999999999h a", "--linger: '99999999999h" NOT_DURATION},
	{"--termination-tail 1001 a",
		"--termination-tail: '1001' is not a number of lines from 0 to 1000"},
	{"--log-format xml a", "--log-format: 'xml' is not text or json"},
	{"--json-logs --json-nest a+b a", "--json-nest: 'a+b' is not a key (letters, digits, "
					   "_.@-; not time, stream or source)"},
	{"--json-logs --json-nest time a", "--json-nest: 'time' is not a key (letters, digits, "
					   "_.@-; not time, stream or source)"},
	{"--json-nest x a", "--json-nest: is a part of --json-logs, which is not given"},
	{"--reserve 5 a", "--reserve: is a part of --grace, which is not given"},
	{"--reserve 0 a", "--reserve: is a part of --grace, which is not given"},
	{"--grace 4 --reserve 5 a", "--reserve: '5.0s' is more than --grace, which is 4.0s"},
	{"-e 256 a", "-e: '256" NOT_EXPECT},
	{"-e -1 a", "-e: '-1" NOT_EXPECT},
	{"-e x a", "-e: 'x" NOT_EXPECT},
	{"-e 1: a", "-e: '1:" NOT_EXPECT},
	{"-e :1 a", "-e: ':1" NOT_EXPECT},
	{"-e 1:256 a", "-e: '1:256" NOT_EXPECT},
	{"-e 1:2:3 a", "-e: '1:2:3" NOT_EXPECT},
	{"--expect-exit '1 ' a", "--expect-exit: '1 " NOT_EXPECT},
	{"-p x a", "-p: 'x" NOT_SIGNAL},
	{"--parent-death= a", "--parent-death: '" NOT_SIGNAL},
	{"--termination-log= a", "--termination-log: '' is not a path, or none"},
	{"--termination-format xml a", "--termination-format: 'xml' is not text or json"},
	{"--termination-on never a", "--termination-on: 'never' is not always or failure"},
	{"--install ''", "--install: '' is not a directory"},
	{"--watchdog 5s a", "--watchdog: is a part of --notify, which is not given"},
	{"--watchdog x a", "--watchdog: 'x" NOT_DURATION},
	{"--drain-now app", "--drain-now: runs no command, but 'app' was given"},
	{"--install /x app", "--install: runs no command, but 'app' was given"},
	{"--install /x -- -v", "--install: runs no command, but '-v' was given"},
	{"--until-empty=yes a", "--until-empty: takes no value"},
	{"--help=x", "--help: takes no value"},
	{"--clean-stop= a", "--clean-stop: takes no value"},
	{"-s=1 a", "-=" LISTS},
	{"-z a", "-z" LISTS},
	{"-sz a", "-z" LISTS},
	{"-s- a", "--" LISTS},
	{"--zebra a", "--zebra" LISTS},
	{"--graec 5 a", "--graec: unknown option; did you mean --grace?"},
	{"--drian 5 a", "--drian: unknown option; did you mean --drain?"},
	{"--reaper a", "--reaper: unknown option; did you mean --subreaper?"},
	{"--probe=x a", "--probe: unknown option; did you mean --ready-probe?"},
	{"--Grace 5 a", "--Grace: unknown option; did you mean --grace?"},
	{"--until a", "--until: unknown option; did you mean --until-empty?"},
	{"--gr 5 a", "--gr: unknown option; did you mean --group?"},
	{"--termination-lgo x a",
		"--termination-lgo: unknown option; did you mean --termination-log?"},
	{"--grac=5 a", "--grac: unknown option; did you mean --grace?"},
	{"--= a", "--=" LISTS},
	{"--=5 a", "--=5" LISTS},
	{"---grace 5 a", "---grace: unknown option; did you mean --grace?"},
	{"--" LONG_50 " a", "--" LONG_50 LISTS},
	{"--" LENGTH_39 "=1 a", "--" LENGTH_39 LISTS},
	{"--" LENGTH_39 "x=1 a", "--" LENGTH_39 "x=1" LISTS},
	{"--frobnicate 8080 a", "--frobnicate: unknown option; shim --help lists them"},
	{"'--sc\nope' a", "--sc?ope: unknown option; did you mean --scope?"},
	{"--grace '5\n\t\r' a", "--grace: '5???" NOT_DURATION},
	{"--grace", "--grace: needs D after it"},
	{"-r", "-r: needs FROM:TO after it"},
	{"-sve", "-e: needs CODE[:TO] after it"},
	{"--scope", "--scope: needs SCOPE after it"},
	{"--install", "--install: needs DIR after it"},
};

START_TEST(refused)
{
	ck_assert_int_eq(parse_with(NULL, refusals[_i].line), VERDICT_BAD);
	ck_assert_str_eq(error, refusals[_i].error);
	ck_assert_ptr_null(strchr(error, '\n'));
}
END_TEST

START_TEST(refused_value_is_shortened)
{
	char line[400];

	snprintf(line, sizeof line, "--grace %0300d a", 0);
	line[8] = 'x';
	ck_assert_int_eq(parse_with(NULL, line), VERDICT_BAD);
	ck_assert_uint_lt(strlen(error), 200);
	ck_assert_ptr_nonnull(strstr(error, "000..." NOT_DURATION));
}
END_TEST

START_TEST(error_is_cut)
{
	char *words[] = {error, line_copy, NULL};

	snprintf(line_copy, sizeof line_copy, "--nonsense");
	for (size_t size = 1; size < 64; size++) {
		char *small = malloc(size);

		options_defaults(&o);
		ck_assert_int_eq(options_parse(&o, words, NULL, small, size), VERDICT_BAD);
		ck_assert_uint_lt(strlen(small), size);
		ck_assert_mem_eq(small, "--nonsense" LISTS, strlen(small));
		free(small);
	}
}
END_TEST

START_TEST(no_arguments_at_all)
{
	char *none[] = {NULL};

	options_defaults(&o);
	ck_assert_int_eq(options_parse(&o, none, NULL, error, sizeof error), VERDICT_BAD);
	ck_assert_str_eq(error, USAGE);
}
END_TEST

START_TEST(arguments_are_not_written_to)
{
	static const char *const given[] = {
		"shim", "--rewrite=TERM:INT", "-e3:4", "--stop-on", "INT,HUP", "--grace=5", "app"};
	char copies[COUNT(given)][32];
	char *words[COUNT(given) + 1];

	for (size_t i = 0; i < COUNT(given); i++)
		words[i] = strcpy(copies[i], given[i]);
	words[COUNT(given)] = NULL;
	options_defaults(&o);
	ck_assert_int_eq(options_parse(&o, words, NULL, error, sizeof error), VERDICT_RUN);
	for (size_t i = 0; i < COUNT(given); i++)
		ck_assert_str_eq(words[i], given[i]);
}
END_TEST

START_TEST(environment)
{
	ck_assert_int_eq(parse_with("", "a"), VERDICT_RUN);
	ck_assert_int_eq(parse_with(" \t ", "a"), VERDICT_RUN);
	ck_assert_int_eq(
		parse_with("--grace 30 -s  -r 'TERM:INT' --termination-log \"/a b\"", "-w app"),
		VERDICT_RUN);
	ck_assert_str_eq(error, "");
	ck_assert_int_eq(o.grace_ns, 30 * NS_PER_S);
	ck_assert(o.subreaper && o.warn_reap);
	ck_assert_int_eq(o.rewrite[SIGTERM], SIGINT);
	ck_assert_str_eq(o.termination_log, "/a b");
	ck_assert_ptr_eq(o.command, argv + 2);
}
END_TEST

START_TEST(environment_gives_way)
{
	ck_assert_int_eq(parse_with("--grace 30 --scope all", "--grace=9 -c app"), VERDICT_RUN);
	ck_assert_int_eq(o.grace_ns, 9 * NS_PER_S);
	ck_assert_int_eq(o.scope, SCOPE_CHILD);
	/* One half here, the other there. */
	ck_assert_int_eq(parse_with("--reserve 3", "--grace 9 app"), VERDICT_RUN);
	ck_assert_int_eq(parse_with("-v", "-v app"), VERDICT_RUN);
	ck_assert_int_eq(o.verbosity, LEVEL_DEBUG);
}
END_TEST

static const struct {
	const char *environment;
	const char *error;
} environment_refusals[] = {
	{"app", "SHIM_OPTS: 'app' is not an option"},
	{"-s app", "SHIM_OPTS: 'app' is not an option"},
	{"-s -- app", "SHIM_OPTS: '--' is not an option"},
	{"-", "SHIM_OPTS: '-' is not an option"},
	{"''", "SHIM_OPTS: '' is not an option"},
	{"--grace", "SHIM_OPTS: --grace: needs D after it"},
	{"--grace 5x", "SHIM_OPTS: --grace: '5x" NOT_DURATION},
	{"--grace '5", "SHIM_OPTS: a quote is left open, or there are more than 128 words"},
	{"--garce 5", "SHIM_OPTS: --garce: unknown option; did you mean --grace?"},
	{"-h", "SHIM_OPTS: -h: works on the command line only"},
	{"--version", "SHIM_OPTS: --version: works on the command line only"},
	{"-sL", "SHIM_OPTS: -L: works on the command line only"},
	{"--install /x", "SHIM_OPTS: --install: works on the command line only"},
};

START_TEST(environment_refused)
{
	ck_assert_int_eq(parse_with(environment_refusals[_i].environment, "-h app"), VERDICT_BAD);
	ck_assert_str_eq(error, environment_refusals[_i].error);
}
END_TEST

START_TEST(environment_word_limit)
{
	char many[3 * 129 + 1] = "";

	for (int i = 0; i < 128; i++)
		strcat(many, "-s ");
	ck_assert_int_eq(parse_with(many, "app"), VERDICT_RUN);
	strcat(many, "-s ");
	ck_assert_int_eq(parse_with(many, "app"), VERDICT_BAD);
	ck_assert_str_eq(
		error, "SHIM_OPTS: a quote is left open, or there are more than 128 words");
}
END_TEST

/* The lines of options alone, one by one: NULL when there are no more. */
static const char *option_line(size_t *piece)
{
	const char *text = options_help(++*piece);
	const char *line = text ? strstr(text, "  ") : NULL;

	return line && strncmp(line + 5, " --", 3) == 0 ? line : NULL;
}

START_TEST(help)
{
	size_t lines = 0;
	size_t headings = 0;

	for (size_t piece = 0; options_help(piece); piece++) {
		char text[2048];

		snprintf(text, sizeof text, "%s", options_help(piece));
		ck_assert_int_eq(text[strlen(text) - 1], '\n');
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
			ck_assert_msg(strlen(line) <= 80, "%s", line);
			ck_assert_int_ne(line[strlen(line) - 1], ' ');
			headings += line[0] != ' ' && line[strlen(line) - 1] == ':';
			lines++;
		}
	}
	ck_assert_uint_ge(lines, 50);
	ck_assert_uint_eq(headings, 9);
	ck_assert_int_eq(strncmp(options_help(0), "Usage: shim ", 12), 0);
	ck_assert_int_eq(strncmp(options_help(1), "\nSignals:\n      --scope SCOPE  ", 31), 0);
	ck_assert_str_eq(options_help(4), "  -r, --rewrite FROM:TO        send TO when FROM comes; "
					  "0 drops it (repeatable)\n");
}
END_TEST

/* What the help names is taken: with a wrong value it is the value that is refused, never the
 * option. */
START_TEST(help_tells_no_lies)
{
	size_t piece = 0;
	const char *text;

	while ((text = option_line(&piece))) {
		char name[64];
		char line[80];

		ck_assert_int_eq(sscanf(text + 6, "%60s", name), 1);
		snprintf(line, sizeof line, "%s=\001 a", name);
		(void)parse_with(NULL, line); /* a path may be anything */
		ck_assert_ptr_null(strstr(error, "unknown"));
	}
	ck_assert_uint_ge(piece, 40);
}
END_TEST

/* C drops the NUL of a string that just fits. */
START_TEST(rows_are_strings)
{
	size_t count;
	const struct row *rows = options_rows(&count);

	for (size_t i = 0; i < count; i++) {
		ck_assert_ptr_nonnull(memchr(rows[i].usage, '\0', sizeof rows[i].usage));
		ck_assert_ptr_nonnull(memchr(rows[i].help, '\0', sizeof rows[i].help));
		ck_assert_ptr_nonnull(memchr(rows[i].shorts, '\0', sizeof rows[i].shorts));
	}
}
END_TEST

START_TEST(version_and_license)
{
	char text[4096] = "";
	FILE *file = fopen("LICENSE", "r");

	ck_assert_str_eq(options_version(), "shim " SHIM_VERSION " - git.v0-1-0\n");
	ck_assert_msg(file != NULL, "run from the top of the tree");
	ck_assert_uint_gt(fread(text, 1, sizeof text - 1, file), 0);
	fclose(file);
	ck_assert_str_eq(options_license(), text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tcase = tcase_create("options");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, defaults);
	tcase_add_loop_test(tcase, command, 0, (int)COUNT(commands));
	tcase_add_test(tcase, scopes);
	tcase_add_test(tcase, rewrites);
	tcase_add_test(tcase, every_signal);
	tcase_add_test(tcase, stop_on);
	tcase_add_test(tcase, durations);
	tcase_add_test(tcase, reserve_default);
	tcase_add_test(tcase, expected_codes);
	tcase_add_test(tcase, flags);
	tcase_add_test(tcase, termination);
	tcase_add_test(tcase, logs);
	tcase_add_test(tcase, verdicts);
	tcase_add_loop_test(tcase, refused, 0, (int)COUNT(refusals));
	tcase_add_test(tcase, refused_value_is_shortened);
	tcase_add_test(tcase, error_is_cut);
	tcase_add_test(tcase, no_arguments_at_all);
	tcase_add_test(tcase, arguments_are_not_written_to);
	tcase_add_test(tcase, environment);
	tcase_add_test(tcase, environment_gives_way);
	tcase_add_loop_test(tcase, environment_refused, 0, (int)COUNT(environment_refusals));
	tcase_add_test(tcase, environment_word_limit);
	tcase_add_test(tcase, help);
	tcase_add_test(tcase, help_tells_no_lies);
	tcase_add_test(tcase, rows_are_strings);
	tcase_add_test(tcase, version_and_license);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
