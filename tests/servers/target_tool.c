/*
 * target_tool.c - target.h's functions from a command line, for test_tls.py and test_targets.py.
 *
 *   target_tool check TARGET [OPTION...]    probe once: exit 0, 1 or 125
 *   target_tool hook TEXT [OPTION...]       the same for the text of an HTTP hook
 *   target_tool wait TARGET [OPTION...]     wait for it: exit 0 or 124
 * Options: timeout=MS, interval=MS, deadline=MS, ca=FILE, header='N: v' (repeatable).
 */
#include "../../log.h"
#include "../../shim.h"
#include "../../target.h"
#include "../../tls.h"
#include "../../parse.h"
#include "../../util.h"

#include <string.h>

enum { HEADERS_MAX = 8 };

struct setup {
	struct probe_options options;
	const char *headers[HEADERS_MAX];
	int64_t interval_ns;
	int64_t wait_ns;
};

static const char *value_of(const char *arg, const char *name)
{
	size_t length = strlen(name);

	return strncmp(arg, name, length) == 0 && arg[length] == '=' ? arg + length + 1 : NULL;
}

static int64_t milliseconds(const char *text)
{
	long n = 0;

	return parse_number(text, 0, 1000000, &n) == 0 ? n * NS_PER_MS : -1;
}

static int parse_option(const char *arg, struct setup *s)
{
	char reason[TARGET_REASON_SIZE];
	const char *value;

	if ((value = value_of(arg, "timeout")) != NULL)
		s->options.timeout_ns = milliseconds(value);
	else if ((value = value_of(arg, "interval")) != NULL)
		s->interval_ns = milliseconds(value);
	else if ((value = value_of(arg, "deadline")) != NULL)
		s->wait_ns = milliseconds(value);
	else if ((value = value_of(arg, "header")) != NULL &&
		 s->options.header_count < HEADERS_MAX && http_header_problem(value) == NULL)
		s->headers[s->options.header_count++] = value;
	else if ((value = value_of(arg, "ca")) != NULL &&
		 tls_check_ca(value, reason, sizeof reason) == 0)
		s->options.ca_file = value;
	else
		return -1;
	return 0;
}

static int run_hook(const char *text, const struct probe_options *options)
{
	char reason[TARGET_REASON_SIZE];
	struct target target;

	if (!target_is_hook_url(text) ||
		target_parse_hook(text, &target, reason, sizeof reason) != 0)
		return EXIT_SHIM;
	if (target_probe(&target, options, reason, sizeof reason) == 0)
		return 0;
	log_at(LEVEL_FATAL, "%s: %s", text, reason);
	return 1;
}

static int run_wait(const char *text, const struct setup *s)
{
	char reason[TARGET_REASON_SIZE];
	struct target target;

	if (target_parse(text, &target, reason, sizeof reason) != 0)
		return EXIT_SHIM;
	if (target_wait(&target, &s->options, s->interval_ns, clock_now_ns() + s->wait_ns, reason,
		    sizeof reason) == 0)
		return 0;
	return EXIT_WAIT_TIMEOUT;
}

int main(int argc, char **argv)
{
	struct setup s = {.interval_ns = NS_PER_S, .wait_ns = 60 * NS_PER_S};

	log_init(NULL, LEVEL_INFO);
	s.options.headers = s.headers;
	if (argc < 3)
		return EXIT_SHIM;
	for (int i = 3; i < argc; i++) {
		if (parse_option(argv[i], &s) != 0) {
			log_at(LEVEL_FATAL, "bad option '%s'", argv[i]);
			return EXIT_SHIM;
		}
	}
	if (strcmp(argv[1], "check") == 0)
		return target_check_main(argv[2], &s.options);
	if (strcmp(argv[1], "hook") == 0)
		return run_hook(argv[2], &s.options);
	return strcmp(argv[1], "wait") == 0 ? run_wait(argv[2], &s) : EXIT_SHIM;
}
