/*
 * fuzz_options.c - any command line and SHIM_OPTS. libFuzzer:
 * clang -std=c11 -D_GNU_SOURCE -I. -g -fsanitize=fuzzer,address,undefined fuzz/fuzz_options.c
 * options.c commandline.c usage.c util.c format.c parse.c names.c http.c
 *
 * The bytes up to the first NUL are SHIM_OPTS, those between further NULs the arguments. What is
 * taken must be in range, what is refused must be told in one line, and no argument is written to.
 */
#include "options.h"
#include "fuzz.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>


enum { ARGUMENTS_MAX = 64, ERROR_SIZE = 256 };

static void check_duration(int64_t ns)
{
	require(ns >= -1 && ns <= 10LL * 365 * 24 * 3600 * NS_PER_S);
}

static void check_taken(const struct options *o)
{
	static const int untouchable[] = {SIGKILL, SIGSTOP, SIGCHLD};

	for (size_t i = 0; i < sizeof untouchable / sizeof untouchable[0]; i++) {
		require(o->rewrite[untouchable[i]] == untouchable[i]);
		require(!(o->stop_on & SIGNAL_BIT(untouchable[i])));
		require(o->stop_signal == SIGKILL || o->stop_signal != untouchable[i]);
	}
	require(o->stop_on != 0);
	require(o->stop_signal >= 0 && o->stop_signal <= SIGNAL_LAST);
	require(o->parent_death_signal >= 0 && o->parent_death_signal <= SIGNAL_LAST);
	for (int i = 1; i <= SIGNAL_LAST; i++)
		require(o->rewrite[i] <= SIGNAL_LAST);
	for (int i = 0; i <= CODE_LAST; i++)
		require(o->expect[i] >= -1 && o->expect[i] <= CODE_LAST);
	check_duration(o->grace_ns);
	check_duration(o->reserve_ns);
	check_duration(o->linger_ns);
	require(options_reserve_ns(o) >= 0);
	require(o->grace_ns < 0 || options_reserve_ns(o) <= o->grace_ns);
	require((o->scope == SCOPE_SESSION) == (o->placement == PLACE_SESSION));
	require(!o->termination_none || !o->termination_log);
}

static void check_error(enum verdict verdict, const char *error)
{
	require((verdict == VERDICT_BAD) == (*error != '\0'));
	require(strlen(error) < ERROR_SIZE);
	for (; *error != '\0'; error++)
		require((unsigned char)*error >= ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char *copy = malloc(size + 1);
	size_t environment_size;
	char name[] = "shim";
	char *argv[ARGUMENTS_MAX + 2] = {name};
	char error[ERROR_SIZE] = "";
	struct options o;
	enum verdict verdict;
	size_t count = 1;

	memcpy(text, data, size);
	text[size] = '\0';
	environment_size = strlen(text) + 1;
	for (size_t at = environment_size; at <= size && count <= ARGUMENTS_MAX;
		at += strlen(text + at) + 1)
		argv[count++] = text + at;
	memcpy(copy, text, size + 1);

	options_defaults(&o);
	verdict = options_parse(&o, argv, text, error, sizeof error);
	check_error(verdict, error);
	if (environment_size <= size)
		require(memcmp(copy + environment_size, text + environment_size,
				size + 1 - environment_size) == 0);
	if (verdict == VERDICT_RUN) {
		require(o.command > argv && o.command < argv + count);
		check_taken(&o);
	}
	free(copy);
	free(text);
	return 0;
}
