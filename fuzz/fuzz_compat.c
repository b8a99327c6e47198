/*
 * fuzz_compat.c - the command lines and variables of tini, dumb-init and catatonit.
 *
 * The first byte picks the name and the variables that are set, the rest is words, each ended by a
 * NUL. What is refused must have been told, what is accepted must name a program and be in range;
 * and scan.c must read options as glibc's getopt_long() does, which the peers are linked with.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "fuzz.h"

/* What would be printed is counted instead. */
#define log_write fuzz_log_write
#define log_at    fuzz_log_at
#include "../log.h"
#undef log_write
#undef log_at

static size_t said;

void fuzz_log_write(int fd, const char *text)
{
	require(fd == STDOUT_FILENO || fd == STDERR_FILENO);
	said += strlen(text);
}

void fuzz_log_at(enum level level, const char *fmt, ...)
{
	char text[256];
	va_list args;

	require(level == LEVEL_FATAL);
	va_start(args, fmt);
	said += (size_t)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
}

#define log_write               fuzz_log_write
#define log_at                  fuzz_log_at
#define log_note(note, a, b, s) ((void)(a))
#include "../compat.c"
#include "../scan.c"
#undef log_write
#undef log_at

enum { WORDS_MAX = 24 };

struct line {
	int argc;
	char *argv[WORDS_MAX + 2];
};

static const struct option dumb_init_longs[] = {{"help", 0, NULL, 'h'},
	{"single-child", 0, NULL, 'c'}, {"rewrite", 1, NULL, 'r'}, {"verbose", 0, NULL, 'v'},
	{"version", 0, NULL, 'V'}, {NULL, 0, NULL, 0}};
static const struct scan_long our_longs[] = {{"help", 'h'}, {"single-child", 'c'}, {"rewrite", 'r'},
	{"verbose", 'v'}, {"version", 'V'}, {"", 0}};

/* The same letters, arguments and end as glibc, up to the first bad option. */
static void compare(struct line *line, const char *shorts, bool has_longs)
{
	struct scan s = {.argv = line->argv,
		.shorts = shorts,
		.longs = has_longs ? our_longs : NULL,
		.next = 1};
	char with_plus[32];
	int ours, theirs;

	snprintf(with_plus, sizeof with_plus, "+%s", shorts);
	optind = 0; /* glibc: begin anew */
	opterr = 0;
	do {
		ours = scan_next(&s);
		theirs = has_longs ? getopt_long(line->argc, line->argv, with_plus, dumb_init_longs,
					     NULL)
				   : getopt(line->argc, line->argv, with_plus);
		require(theirs == -1 ? ours == SCAN_END : ours == theirs);
		if (ours != SCAN_END && ours != SCAN_BAD && strchr(shorts, ours)[1] == ':')
			require(s.argument == optarg);
	} while (ours != SCAN_END && ours != SCAN_BAD);
	if (ours == SCAN_END)
		require(s.next == optind);
}

static void set_variable(const char *name, bool is_set, const char *value)
{
	require((is_set ? setenv(name, value, 1) : unsetenv(name)) == 0);
}

static void check_taken(const struct options *o, struct line *line)
{
	require(o->command != NULL || (o->personality == AS_CATATONIT && o->pause));
	if (o->command != NULL)
		require(o->command > line->argv && o->command < line->argv + line->argc &&
			*o->command != NULL);
	require(o->parent_death_signal >= 0 && o->parent_death_signal < 32);
	require(o->verbosity >= 0 && o->verbosity <= LEVEL_TRACE);
	require(o->termination_none && o->grace_ns < 0);
	for (int i = 1; i <= SIGNAL_LAST; i++)
		require(o->rewrite[i] <= 31 || o->rewrite[i] == i);
	for (int i = 0; i <= CODE_LAST; i++)
		require(o->expect[i] == -1 || o->expect[i] == 0);
}

static void check_number(const char *text)
{
	const char *rest = text;
	int64_t value = 0;
	char *end;
	long expected = strtol(text, &end, 10);
	bool is_number = scan_number(&rest, &value);

	require(is_number == (end != text));
	if (!is_number)
		return;
	require(rest == end);
	/* Far out of any range that is asked for: only that it is far out matters. */
	if (expected < 1000000 && expected > -1000000)
		require(value == expected);
	else
		require(value >= 1000000 || value <= -1000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char names[][12] = {"tini", "dumb-init", "catatonit"};
	struct line line = {.argc = 1};
	struct options o;
	char *text, *value;
	unsigned bits;
	int status;

	if (size < 2)
		return 0;
	text = copy_text(data + 2, size - 2);
	bits = data[1];
	line.argv[0] = names[data[0] % 3];
	value = text; /* the first word is what the variables hold */
	for (size_t at = strlen(text) + 1; at <= size - 2 && line.argc <= WORDS_MAX;
		at += strlen(text + at) + 1)
		line.argv[line.argc++] = text + at;

	set_variable("TINI_SUBREAPER", bits & 1, value);
	set_variable("TINI_VERBOSITY", bits & 2, value);
	set_variable("TINI_KILL_PROCESS_GROUP", bits & 4, value);
	set_variable("DUMB_INIT_DEBUG", bits & 8, value);
	set_variable("DUMB_INIT_SETSID", bits & 16, value);
	set_variable("CATATONIT_DEBUG", bits & 32, value);
	set_variable("CATATONIT_LOG", bits & 64, value);
	set_variable("POSIXLY_CORRECT", bits & 128, value);

	check_number(value);
	if (data[0] % 3 == 1)
		compare(&line, "hvVcr:", true);
	else
		compare(&line, "p:hvwgle:s", false);
	options_defaults(&o);
	said = 0;
	status = compat_parse(&o, line.argc, line.argv);
	require(status == GO_ON || status == PEER_OK || status == PEER_FAILED);
	require(status == GO_ON || said > 0);
	if (status == GO_ON)
		check_taken(&o, &line);
	free(text);
	return 0;
}
