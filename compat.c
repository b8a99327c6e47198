/*
 * compat.c - the command lines, variables and words of tini 0.19.0, dumb-init 1.2.5 and catatonit
 * 0.2.1.
 *
 * Owns nothing. Called by shim.c once, before anything is started. Messages are facts that programs
 * parse and so are the peers' own (voices.c has those of the running); help texts are not theirs.
 */
#include "compat.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "names.h"
#include "options.h"
#include "scan.h"
#include "util.h"
#include "voices.h"

#define TINI_VERSION      "tini version 0.19.0"
#define DUMB_INIT_VERSION "dumb-init v1.2.5"
#define CATATONIT_VERSION "tini version 0.2.1_catatonit" /* "tini": what docker info looks for */

enum { GO_ON = -1, PEER_OK = 0, PEER_FAILED = 1, DUMB_INIT_CANNOT_EXEC = 2 };

/*
 * tini
 */
static void tini_usage(int fd, const char *argv0)
{
	const char *name = base_name(argv0);

	scan_say(fd,
		"%s (" TINI_VERSION ")\n"
		"Usage: %s [OPTIONS] PROGRAM -- [ARGS] | --version\n\n"
		"Execute a program under the supervision of a valid init process "
		"(shim " SHIM_VERSION ", in the place of tini)\n\n",
		name, name);
	log_write(fd, "Options:\n"
		      "  --version     print the version; only when it is the one argument\n"
		      "  -h            print this\n"
		      "  -s            adopt orphans also when not PID 1 (child subreaper)\n"
		      "  -p SIGNAL     receive SIGNAL when the parent process dies (\"SIGKILL\")\n"
		      "  -v            more verbose: -v says what is done, -vv signals, -vvv all\n"
		      "  -w            warn of every orphan that is reaped\n"
		      "  -g            send signals to the program's whole process group\n"
		      "  -e CODE       report exit code CODE, 0 to 255, as 0; may be repeated\n"
		      "  -l            print the licence\n\n"
		      "Environment:\n"
		      "  TINI_SUBREAPER            when set, the same as -s\n"
		      "  TINI_VERBOSITY            a number in the place of -v (default: 1)\n"
		      "  TINI_KILL_PROCESS_GROUP   when set, the same as -g\n\n");
}

/* The full names that tini knows: no numbers, no short forms, no SIGSTKFLT, SIGIO and SIGPWR. */
static int tini_signal(const char *text)
{
	for (int signo = 1; signo < 32; signo++) {
		char name[SIGNAL_NAME_SIZE];

		if (signo != SIGSTKFLT && signo != SIGIO && signo != SIGPWR &&
			strcmp(signal_name(signo, name), text) == 0)
			return signo;
	}
	return 0;
}

static bool tini_expect(struct options *o, const char *text)
{
	int64_t code = 0;

	if (!scan_number(&text, &code))
		code = 0; /* strtol() has no word for nothing: "-e ''" is 0 */
	if (*text || code < 0 || code > CODE_LAST)
		return false;
	o->expect[code] = 0;
	return true;
}

/* One option. GO_ON, or the exit status. */
static int tini_option(struct options *o, const struct scan *s, int letter, unsigned int *verbosity)
{
	switch (letter) {
	case 'h':
		tini_usage(STDOUT_FILENO, s->argv[0]);
		return PEER_OK;
	case 'l':
		log_write(STDOUT_FILENO, options_license());
		return PEER_OK;
	case 's':
		o->subreaper = true;
		return GO_ON;
	case 'v':
		++*verbosity;
		return GO_ON;
	case 'w':
		o->warn_reap = true;
		return GO_ON;
	case 'g':
		o->scope = SCOPE_GROUP;
		return GO_ON;
	case 'p':
		o->parent_death_signal = tini_signal(s->argument);
		if (o->parent_death_signal)
			return GO_ON;
		break;
	case 'e':
		if (tini_expect(o, s->argument))
			return GO_ON;
		break;
	default:
		tini_usage(STDERR_FILENO, s->argv[0]);
		return PEER_FAILED;
	}
	log_at(LEVEL_FATAL, "Not a valid option for -%c: %s", letter, s->argument);
	return PEER_FAILED;
}

static void tini_environment(struct options *o, unsigned int verbosity)
{
	const char *text = getenv("TINI_VERBOSITY");
	int64_t number = 0;

	if (getenv("TINI_SUBREAPER"))
		o->subreaper = true;
	if (getenv("TINI_KILL_PROCESS_GROUP"))
		o->scope = SCOPE_GROUP;
	if (text) {
		(void)scan_number(&text, &number); /* junk is 0 */
		verbosity = (unsigned int)number;  /* and less than 0 is the most of all */
	}
	o->verbosity = verbosity < LEVEL_TRACE ? (int)verbosity : LEVEL_TRACE;
}

static int tini_parse(struct options *o, int argc, char **argv)
{
	struct scan s = {.argv = argv, .shorts = "p:hvwgle:s", .next = 1};
	unsigned int verbosity = LEVEL_WARN;
	int letter, status;

	o->scope = SCOPE_CHILD;
	o->placement = PLACE_GROUP;
	o->swallow = SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU);
	o->keep_descriptors = true;
	o->keep_directory = true;
	o->quiet_when_not_init = false;
	log_init(voice_of(AS_TINI), LEVEL_WARN);
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		log_write(STDOUT_FILENO, TINI_VERSION "\n");
		return PEER_OK;
	}
	while ((letter = scan_next(&s)) != SCAN_END) {
		status = tini_option(o, &s, letter, &verbosity);
		if (status != GO_ON)
			return status;
	}
	if (!argv[s.next]) {
		tini_usage(STDERR_FILENO, argv[0]);
		return PEER_FAILED;
	}
	o->command = argv + s.next;
	tini_environment(o, verbosity);
	log_init(voice_of(AS_TINI), (enum level)o->verbosity);
	return GO_ON;
}

/*
 * dumb-init
 */
static void dumb_init_help(const char *argv0)
{
	scan_say(STDERR_FILENO, DUMB_INIT_VERSION "\nUsage: %s [option] command [[arg] ...]\n\n",
		argv0);
	log_write(STDERR_FILENO,
		"shim " SHIM_VERSION
		", in the place of dumb-init: starts the command in a session of its own\n"
		"and passes every signal on to it and to the processes it has started.\n\n"
		"Options:\n"
		"  -c, --single-child   no session of its own; signals are for the command alone\n"
		"  -r, --rewrite S:R    when signal S comes, pass on R (0: nothing); numbers, may "
		"be repeated\n"
		"  -v, --verbose        say on stderr what is done\n"
		"  -h, --help           print this\n"
		"  -V, --version        print the version\n\n"
		"Environment:\n"
		"  DUMB_INIT_DEBUG=1    the same as -v\n"
		"  DUMB_INIT_SETSID=0   the same as -c\n");
}

/* As sscanf("%d:%d") reads it: blanks before and junk behind are let through, and of a number that
 * is too large the low 32 bits. */
static bool dumb_init_rewrite(struct options *o, const char *text, uint64_t *rewritten)
{
	int64_t from, to;

	if (!scan_number(&text, &from) || *text++ != ':' || !scan_number(&text, &to))
		return false;
	from = (int32_t)from;
	to = (int32_t)to;
	if (from < 1 || from > 31 || to < 0 || to > 31)
		return false;
	o->rewrite[from] = (uint8_t)to;
	*rewritten |= SIGNAL_BIT(from);
	return true;
}

static int dumb_init_option(
	struct options *o, const struct scan *s, int letter, uint64_t *rewritten)
{
	switch (letter) {
	case 'h':
		dumb_init_help(s->argv[0]);
		return PEER_OK;
	case 'V':
		log_write(STDERR_FILENO, DUMB_INIT_VERSION "\n");
		return PEER_OK;
	case 'v':
		o->verbosity = LEVEL_DEBUG;
		return GO_ON;
	case 'c':
		o->placement = PLACE_SAME;
		return GO_ON;
	case 'r':
		if (dumb_init_rewrite(o, s->argument, rewritten))
			return GO_ON;
		log_write(STDERR_FILENO, "Usage: -r option takes <signum>:<signum>, where <signum> "
					 "is between 1 and 31.\n"
					 "This option can be specified multiple times.\n"
					 "Use --help for full usage.\n");
		return PEER_FAILED;
	default:
		return PEER_FAILED;
	}
}

static bool is_set_to(const char *variable, const char *value)
{
	const char *text = getenv(variable);

	return text && strcmp(text, value) == 0;
}

/* The end of parsing: the environment, and what follows from both. */
static void dumb_init_settle(struct options *o, uint64_t rewritten)
{
	static const uint8_t stops[] = {SIGTSTP, SIGTTIN, SIGTTOU};

	if (is_set_to("DUMB_INIT_DEBUG", "1"))
		o->verbosity = LEVEL_DEBUG;
	log_init(voice_of(AS_DUMB_INIT), (enum level)o->verbosity);
	if (is_set_to("DUMB_INIT_DEBUG", "1"))
		log_note(NOTE_DEBUG_MODE, 0, 0, NULL);
	if (is_set_to("DUMB_INIT_SETSID", "0")) {
		o->placement = PLACE_SAME;
		log_note(NOTE_SINGLE_CHILD, 0, 0, NULL);
	}
	o->scope = o->placement == PLACE_SAME ? SCOPE_CHILD : SCOPE_GROUP;
	/* A session of its own has no terminal's stops that its shell would know of: they become
	 * the one that always works. */
	for (size_t i = 0; i < sizeof(stops); i++)
		if (o->placement == PLACE_SESSION && !(rewritten & SIGNAL_BIT(stops[i])))
			o->rewrite[stops[i]] = SIGSTOP;
}

static int dumb_init_parse(struct options *o, char **argv)
{
	static const struct scan_long longs[] = {
		{"help", 'h'},
		{"single-child", 'c'},
		{"rewrite", 'r'},
		{"verbose", 'v'},
		{"version", 'V'},
		{"", 0},
	};
	struct scan s = {.argv = argv, .shorts = "hvVcr:", .longs = longs, .next = 1};
	uint64_t rewritten = 0;
	int letter, status;

	o->placement = PLACE_SESSION;
	o->term_at_end = true;
	o->stop_with_app = true;
	o->reset_signals = true;
	o->keep_descriptors = true;
	o->quiet_when_not_init = true;
	o->verbosity = LEVEL_FATAL;
	log_init(voice_of(AS_DUMB_INIT), LEVEL_FATAL);
	while ((letter = scan_next(&s)) != SCAN_END) {
		status = dumb_init_option(o, &s, letter, &rewritten);
		if (status != GO_ON)
			return status;
	}
	if (!argv[s.next]) {
		scan_say(STDERR_FILENO,
			"Usage: %s [option] program [args]\nTry %s --help for full usage.\n",
			argv[0], argv[0]);
		return PEER_FAILED;
	}
	o->command = argv + s.next;
	dumb_init_settle(o, rewritten);
	return GO_ON;
}

/*
 * catatonit
 */
#define CATATONIT_USAGE "usage: catatonit [-ghLPV] [--] <progname> [<arguments>...]\n"

static int catatonit_option(struct options *o, int letter)
{
	switch (letter) {
	case 'g':
		o->scope = SCOPE_GROUP;
		return GO_ON;
	case 'P':
		o->pause = true;
		return GO_ON;
	case 'h':
		log_write(STDERR_FILENO, CATATONIT_USAGE
			"\nshim " SHIM_VERSION ", in the place of catatonit.\n\n"
			"  -g             send signals to the program's whole process group\n"
			"  -h             print this\n"
			"  -L             print the licence\n"
			"  -P             pause: run no program, reap orphans until SIGTERM or "
			"SIGINT\n"
			"  -V, --version  print the version\n");
		return PEER_OK;
	case 'L':
		log_write(STDOUT_FILENO, options_license());
		return PEER_OK;
	case 'V':
		log_write(STDOUT_FILENO, CATATONIT_VERSION "\n");
		return PEER_OK;
	default:
		log_write(STDERR_FILENO, CATATONIT_USAGE);
		return PEER_FAILED;
	}
}

static int catatonit_parse(struct options *o, char **argv)
{
	static const struct scan_long longs[] = {{"version", 'V'}, {"", 0}};
	struct scan s = {.argv = argv, .shorts = "ghLPV", .longs = longs, .next = 1};
	int letter, status;

	o->scope = SCOPE_CHILD;
	o->placement = PLACE_GROUP;
	o->swallow = SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU);
	o->subreaper = getpid() != 1;
	o->quiet_when_not_init = true;
	o->verbosity = getenv("CATATONIT_DEBUG") ? LEVEL_DEBUG : LEVEL_FATAL;
	log_init(voice_of(AS_CATATONIT), (enum level)o->verbosity);
	if (getenv("CATATONIT_LOG")) {
		log_at(LEVEL_FATAL, "CATATONIT_LOG is reserved for future use");
		return PEER_FAILED;
	}
	while ((letter = scan_next(&s)) != SCAN_END) {
		status = catatonit_option(o, letter);
		if (status != GO_ON)
			return status;
	}
	if (o->pause) {
		/* A stop without an app is the end, with 0. */
		o->stop_on = SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGINT);
		o->swallow = ~(o->stop_on | SIGNAL_BIT(SIGCHLD));
		o->command = NULL;
		return GO_ON;
	}
	o->command = argv + s.next;
	if (!o->command[0]) {
		log_at(LEVEL_FATAL, "missing program name");
		log_write(STDERR_FILENO, CATATONIT_USAGE);
		return PEER_FAILED;
	}
	return GO_ON;
}

/*
 * The three
 */
enum personality compat_personality(const char *argv0)
{
	static const struct {
		char name[sizeof "tini-static"]; /* here, and no pointer: see scripts/shim.ld */
		enum personality personality;
	} called[] = {
		{"tini", AS_TINI},
		{"tini-static", AS_TINI},
		{"docker-init", AS_TINI},
		{"dumb-init", AS_DUMB_INIT},
		{"catatonit", AS_CATATONIT},
		{"podman-init", AS_CATATONIT},
	};

	for (size_t i = 0; argv0 && i < sizeof(called) / sizeof(called[0]); i++)
		if (strcmp(base_name(argv0), called[i].name) == 0)
			return called[i].personality;
	return AS_SHIM;
}

/*
 * "tini PROGRAM -- ARGS" is how tini's own usage has it, and its getopt (catatonit's as well) takes
 * that
 * "--" out of PROGRAM's arguments. So it goes, but only from there: a later one has always been
 * meant for the program, and one before PROGRAM ends it all. POSIXLY_CORRECT turns it off, as it
 * does with glibc.
 */
static void drop_separator(struct options *o)
{
	char **command = o->command;

	if (getenv("POSIXLY_CORRECT") || !command || strcmp(command[-1], "--") == 0 ||
		!command[1] || strcmp(command[1], "--") != 0)
		return;
	command[1] = command[0];
	o->command++;
}

int compat_parse(struct options *o, int argc, char **argv)
{
	int status = GO_ON;

	o->personality = compat_personality(argv[0]);
	if (o->personality == AS_SHIM)
		return GO_ON;
	o->stop_on = 0;
	o->stop_signal = 0;
	o->grace_ns = -1;
	o->linger_ns = 0;
	o->until_empty = false;
	o->termination_none = true;
	if (o->personality == AS_DUMB_INIT)
		return dumb_init_parse(o, argv);
	status = o->personality == AS_TINI ? tini_parse(o, argc, argv) : catatonit_parse(o, argv);
	if (status == GO_ON)
		drop_separator(o);
	return status;
}

int compat_exec_status(enum personality personality, int error)
{
	switch (personality) {
	case AS_TINI:
		return error == ENOENT   ? EXIT_NOT_FOUND
		       : error == EACCES ? EXIT_CANNOT_EXEC
					 : PEER_FAILED;
	case AS_DUMB_INIT:
		return DUMB_INIT_CANNOT_EXEC;
	case AS_CATATONIT:
		return PEER_FAILED;
	case AS_SHIM:
		break;
	}
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXEC;
}
