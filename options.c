/*
 * options.c - one table of options drives parsing, SHIM_OPTS, --help, the completion for shells
 * (and the test of the man page).
 *
 * Pure. A new option is one row; the fields that a row sets hold their defaults from
 * options_defaults().
 */
#include "options.h"

#include <signal.h>
#include <string.h>

#include "http.h"
#include "log.h"
#include "names.h"
#include "options_table.h"
#include "parse.h"

enum { NAME_SIZE = 40 };

static void *field_of(struct options *o, const struct row *row)
{
	return (char *)o + row->offset;
}

static bool read_flag(struct options *o, const struct row *row, const char *value)
{
	(void)value; /* there is none */
	*(bool *)field_of(o, row) = true;
	return true;
}

static bool read_duration(struct options *o, const struct row *row, const char *value)
{
	return parse_duration(value, field_of(o, row)) == 0;
}

static bool read_path(struct options *o, const struct row *row, const char *value)
{
	*(const char **)field_of(o, row) = value;
	return *value != '\0';
}

static bool read_signal(struct options *o, const struct row *row, const char *value)
{
	int signo = parse_signal(value);

	*(int *)field_of(o, row) = signo;
	return signo > 0;
}

/* A signal that shim can receive and act upon. -1 for the others. */
static int parse_receivable(const char *text)
{
	int signo = parse_signal(text);

	return signo == SIGKILL || signo == SIGSTOP || signo == SIGCHLD ? -1 : signo;
}

/* Copies what precedes separator, so that an argument is not written to. Returns what follows it,
 * or NULL. */
static const char *split_at(const char *text, char separator, char *first, size_t size)
{
	const char *end = strchr(text, separator);
	size_t length = end ? (size_t)(end - text) : strlen(text);

	if (length >= size) {
		*first = '\0'; /* too long to be anything */
		return NULL;
	}
	memcpy(first, text, length);
	first[length] = '\0';
	return end ? end + 1 : NULL;
}

static bool read_scope(struct options *o, const struct row *row, const char *value)
{
	static const char names[][8] = {[SCOPE_CHILD] = "child",
		[SCOPE_GROUP] = "group",
		[SCOPE_SESSION] = "session",
		[SCOPE_ALL] = "all"};

	(void)row;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(value, names[i]) != 0)
			continue;
		o->scope = (enum scope)i;
		o->placement = o->scope == SCOPE_SESSION ? PLACE_SESSION : PLACE_GROUP;
		return true;
	}
	return false;
}

static bool read_child(struct options *o, const struct row *row, const char *value)
{
	(void)value;
	return read_scope(o, row, "child");
}

static bool read_group(struct options *o, const struct row *row, const char *value)
{
	(void)value;
	return read_scope(o, row, "group");
}

static bool read_rewrite(struct options *o, const struct row *row, const char *value)
{
	char name[NAME_SIZE];
	const char *second = split_at(value, ':', name, sizeof name);
	int from = parse_receivable(name);
	int to;

	(void)row;
	if (!second || from < 0)
		return false;
	to = strcmp(second, "0") == 0 ? 0 : parse_signal(second);
	if (to < 0)
		return false;
	o->rewrite[from] = (uint8_t)to;
	return true;
}

static bool read_stop_on(struct options *o, const struct row *row, const char *value)
{
	char name[NAME_SIZE];
	uint64_t set = 0;

	(void)row;
	while (value) {
		int signo;

		value = split_at(value, ',', name, sizeof name);
		signo = parse_receivable(name);
		if (signo <= 0)
			return false;
		set |= SIGNAL_BIT(signo);
	}
	o->stop_on = set;
	return true;
}

static bool read_stop_signal(struct options *o, const struct row *row, const char *value)
{
	(void)row;
	o->stop_signal = parse_signal(value);
	return o->stop_signal > 0 && o->stop_signal != SIGSTOP && o->stop_signal != SIGCHLD;
}

static bool read_expect(struct options *o, const struct row *row, const char *value)
{
	char code_text[NAME_SIZE];
	const char *second = split_at(value, ':', code_text, sizeof code_text);
	long code;
	long to = 0;

	(void)row;
	if (parse_number(code_text, 0, CODE_LAST, &code) ||
		(second && parse_number(second, 0, CODE_LAST, &to)))
		return false;
	o->expect[code] = (int16_t)to;
	return true;
}

static bool read_verbose(struct options *o, const struct row *row, const char *value)
{
	(void)row;
	(void)value;
	if (o->verbosity < LEVEL_TRACE)
		o->verbosity++;
	return true;
}

static bool read_termination_log(struct options *o, const struct row *row, const char *value)
{
	(void)row;
	o->termination_none = strcmp(value, "none") == 0;
	o->termination_log = o->termination_none ? NULL : value;
	return *value != '\0';
}

static bool read_format(struct options *o, const struct row *row, const char *value)
{
	bool is_json = strcmp(value, "json") == 0;

	*(enum format *)field_of(o, row) = is_json ? FORMAT_JSON : FORMAT_TEXT;
	return is_json || strcmp(value, "text") == 0;
}

static bool read_tail(struct options *o, const struct row *row, const char *value)
{
	long lines;

	(void)row;
	if (parse_number(value, 0, 1000, &lines) < 0)
		return false;
	o->termination_tail = (int)lines;
	return true;
}

/* Nothing that would have to be escaped, and no key of shim's own. */
static bool read_nest(struct options *o, const struct row *row, const char *value)
{
	size_t length = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.@-");

	(void)row;
	o->json_nest = value;
	return length > 0 && length <= NAME_SIZE && !value[length] && strcmp(value, "time") != 0 &&
	       strcmp(value, "stream") != 0 && strcmp(value, "source") != 0;
}

static bool read_termination_on(struct options *o, const struct row *row, const char *value)
{
	(void)row;
	o->termination_on_failure = strcmp(value, "failure") == 0;
	return o->termination_on_failure || strcmp(value, "always") == 0;
}

/* Appends to the text_list at offset. Too many is no error of the value, so fail() is told
 * otherwise. */
static bool read_list(struct options *o, const struct row *row, const char *value)
{
	struct text_list *list = field_of(o, row);

	if (list->count == LIST_MAX || !*value)
		return false;
	list->items[list->count++] = value;
	return true;
}

static bool read_header(struct options *o, const struct row *row, const char *value)
{
	return !http_header_problem(value) && read_list(o, row, value);
}

static bool read_drain(struct options *o, const struct row *row, const char *value)
{
	char min[NAME_SIZE];
	const char *max = strchr(value, ':');

	(void)row;
	if (!max)
		return parse_duration(value, &o->drain_min_ns) == 0;
	if ((size_t)(max - value) >= sizeof min)
		return false;
	memcpy(min, value, (size_t)(max - value));
	min[max - value] = '\0';
	return parse_duration(min, &o->drain_min_ns) == 0 &&
	       parse_duration(max + 1, &o->drain_max_ns) == 0 && o->drain_max_ns >= o->drain_min_ns;
}

static bool read_drain_port(struct options *o, const struct row *row, const char *value)
{
	long port;

	(void)row;
	if (o->drain_port_count == LIST_MAX || parse_number(value, 1, UINT16_MAX, &port) < 0)
		return false;
	o->drain_ports[o->drain_port_count++] = (uint16_t)port;
	return true;
}

static bool read_second_stop(struct options *o, const struct row *row, const char *value)
{
	(void)row;
	o->second_stop_skips = strcmp(value, "skip") == 0;
	return o->second_stop_skips || strcmp(value, "ignore") == 0;
}

/* How a value is read, and what was expected when it cannot be. */
enum kind {
	NOTHING,
	SCOPE,
	AS_CHILD,
	AS_GROUP,
	REWRITE,
	SIGNALS,
	STOP_SIGNAL,
	SIGNAL,
	DURATION,
	FLAG,
	EXIT_CODES,
	TARGETS,
	HOOK,
	HEADER,
	CERTIFICATES,
	DRAIN,
	PORTS,
	SECOND_STOP,
	PORT,
	TARGET,
	PATH,
	USER,
	CAPABILITIES,
	VERBOSE,
	MESSAGE_PATH,
	FORMAT,
	WHEN,
	LINES,
	KEY,
	DIRECTORY,
};

static const struct {
	/* Puts value ("" where none is taken) where it belongs; false: it is not what was expected.
	 */
	bool (*read)(struct options *o, const struct row *row, const char *value);
	const char *expected;
} kinds[] = {
	[NOTHING] = {NULL, NULL},
	[SCOPE] = {read_scope, "child, group, session or all"},
	[AS_CHILD] = {read_child, NULL},
	[AS_GROUP] = {read_group, NULL},
	[REWRITE] = {read_rewrite,
		"FROM:TO, two signals (TO may be 0, FROM not KILL, STOP or CHLD)"},
	[SIGNALS] = {read_stop_on, "a list of signals (such as TERM,INT; not KILL, STOP or CHLD)"},
	[STOP_SIGNAL] = {read_stop_signal,
		"a signal that can end the app (such as QUIT, INT, RTMIN+3)"},
	[SIGNAL] = {read_signal, "a signal (such as TERM, SIGTERM, 15, RTMIN+3)"},
	[DURATION] = {read_duration, "a duration (such as 500ms, 30s, 2m, 1h)"},
	[FLAG] = {read_flag, NULL},
	[EXIT_CODES] = {read_expect, "CODE or CODE:TO, numbers from 0 to 255"},
	[TARGETS] = {read_list, "a target, or one too many (16 at most)"},
	[HOOK] = {read_list, "a hook, or one too many (16 of a kind at most)"},
	[HEADER] = {read_header, "Name: value, or one too many (16 at most)"},
	[CERTIFICATES] = {read_path, "a file of certificates (PEM)"},
	[DRAIN] = {read_drain, "MIN or MIN:MAX, two durations (such as 3s:20s)"},
	[PORTS] = {read_drain_port, "a port from 1 to 65535, or one too many (16 at most)"},
	[SECOND_STOP] = {read_second_stop, "ignore or skip"},
	[PORT] = {read_path, "a port"},
	[TARGET] = {read_path, "a target"},
	[PATH] = {read_path, "a path"},
	[USER] = {read_path, "USER or USER:GROUP, names or numbers"},
	[CAPABILITIES] = {read_path,
		"a list of capabilities (such as none or net_bind_service,-chown)"},
	[VERBOSE] = {read_verbose, NULL},
	[MESSAGE_PATH] = {read_termination_log, "a path, or none"},
	[FORMAT] = {read_format, "text or json"},
	[WHEN] = {read_termination_on, "always or failure"},
	[LINES] = {read_tail, "a number of lines from 0 to 1000"},
	[KEY] = {read_nest, "a key (letters, digits, _.@-; not time, stream or source)"},
	[DIRECTORY] = {read_path, "a directory"},
};

#define AT(member) .offset = offsetof(struct options, member)

/* clang-format off */
static const struct row rows[] = {
	{"scope SCOPE", SCOPE, .first_of = SECTION_SIGNALS,
		.help = "signals go to child, group, session, all (group)"},
	{"single-child", AS_CHILD, .shorts = "c", .help = "same as --scope child"},
	{"group", AS_GROUP, .shorts = "g", .help = "same as --scope group"},
	{"rewrite FROM:TO", REWRITE, .shorts = "r", .help = "send TO when FROM comes; 0 drops it (repeatable)"},
	{"stop-on SIG[,SIG...]", SIGNALS, .help = "the signals that begin a stop (TERM,INT)"},
	{"stop-signal SIG", STOP_SIGNAL, .help = "what the app is sent to stop (the one that came)"},
	{"parent-death SIG", SIGNAL, .shorts = "p", AT(parent_death_signal), .help = "signal that shim gets when its parent ends"},
	{"grace D", DURATION, AT(grace_ns), .first_of = SECTION_STOP,
		.help = "how long the platform waits to kill (no limit)"},
	{"reserve D", DURATION, AT(reserve_ns),
		.help = "part of it kept for the app (half, at most 5s)"},
	{"linger D", DURATION, AT(linger_ns),
		.help = "wait for what the app leaves behind (2s)"},
	{"until-empty", FLAG, AT(until_empty),
		.help = "live until the last process has ended"},
	{"expect-exit CODE[:TO]", EXIT_CODES, .shorts = "e", .help = "report exit code CODE as 0, or as TO (repeatable)"},
	{"clean-stop", FLAG, AT(clean_stop),
		.help = "exit with 0 when the stop signal ended the app"},
	{"wait-for TARGET", TARGETS, AT(wait_for), .first_of = SECTION_HOOKS,
		.help = "tcp://HOST:PORT, URL, unix:PATH, file:PATH"},
	{"wait-timeout D", DURATION, AT(wait_timeout_ns),
		.help = "how long to wait for them all (1m)"},
	{"wait-interval D", DURATION, AT(wait_interval_ns),
		.help = "the longest pause between two tries (1s)"},
	{"pre-start HOOK", HOOK, AT(hooks[HOOK_PRE_START]),
		.help = "[METHOD ]URL, sleep:D or a command (repeatable)"},
	{"post-start HOOK", HOOK, AT(hooks[HOOK_POST_START]),
		.help = "beside the app; not ready until it is done"},
	{"pre-stop HOOK", HOOK, AT(hooks[HOOK_PRE_STOP]),
		.help = "before the app gets the stop signal"},
	{"post-stop HOOK", HOOK, AT(hooks[HOOK_POST_STOP]),
		.help = "when the app has ended, however it did"},
	{"hook-timeout D", DURATION, AT(hook_timeout_ns),
		.help = "how long one hook may take (30s)"},
	{"hook-header HEADER", HEADER, AT(hook_headers), .help = "sent with each URL hook (repeatable)"},
	{"hook-ca FILE", CERTIFICATES, AT(hook_ca), .help = "who may sign https servers' certificates (anyone)"},
	{"drain MIN[:MAX]", DRAIN, .first_of = SECTION_READINESS,
		.help = "let connections end before the app is stopped"},
	{"drain-port PORT", PORTS, .help = "only connections to it (all that are listened on)"},
	{"drain-idle D", DURATION, AT(drain_idle_ns),
		.help = "without data for this long it is idle (2s)"},
	{"second-stop WHAT", SECOND_STOP, .help = "a repeated stop signal: ignore or skip (ignore)"},
	{"health [ADDR:]PORT", PORT, AT(health), .help = "serve probes, /status and /metrics over HTTP"},
	{"ready-probe TARGET", TARGET, AT(ready_probe), .help = "/readyz asks this target, too"},
	{"ready-file PATH", PATH, AT(ready_file), .help = "a file that is there exactly while ready"},
	{"notify", FLAG, AT(notify), .help = "ready when the app says READY=1 (sd_notify)"},
	{"watchdog D", DURATION, AT(watchdog_ns),
		.help = "stop an app that sends no WATCHDOG=1 for D"},
	{"user USER[:GROUP]", USER, AT(user), .first_of = SECTION_PRIVILEGES, .help = "run the app as this user (as shim itself)"},
	{"caps LIST", CAPABILITIES, AT(caps), .help = "what the app keeps: none, NAME, +NAME, -NAME"},
	{"no-new-privs", FLAG, AT(no_new_privs),
		.help = "the app can gain none (setuid files and the like)"},
	{"subreaper", FLAG, .shorts = "s", AT(subreaper), .first_of = SECTION_PROCESSES,
		.help = "reap orphans when not PID 1, too"},
	{"warn-reap", FLAG, .shorts = "w", AT(warn_reap), .help = "warn of each orphan that is reaped"},
	{"verbose", VERBOSE, .shorts = "v", .first_of = SECTION_MESSAGES,
		.help = "tell the lifecycle; -vv: every signal, too"},
	{"termination-log PATH", MESSAGE_PATH, .help = "reason's file or none (/dev/termination-log)"},
	{"termination-format FMT", FORMAT, AT(termination_format), .help = "text or json (text)"},
	{"termination-on WHEN", WHEN, .help = "always or failure (always)"},
	{"termination-tail N", LINES, .help = "and the last N lines of stderr, if it failed"},
	{"log-format FMT", FORMAT, AT(log_format), .help = "of shim's own messages: text or json (text)"},
	{"json-logs", FLAG, AT(json_logs), .first_of = SECTION_OUTPUT,
		.help = "output as JSON lines, stack traces folded"},
	{"json-nest KEY", KEY, .help = "put lines that are JSON already under KEY"},
	{"check TARGET", TARGET, AT(check), .verdict = VERDICT_CHECK, .first_of = SECTION_INSTEAD,
		.help = "probe it once; exit with 0 or 1"},
	{"drain-now", NOTHING, .verdict = VERDICT_DRAIN, .help = "have PID 1 drain, and wait until it has"},
	{"timeout D", DURATION, AT(check_timeout_ns),
		.help = "for --check (5s), --drain-now (no limit)"},
	{"explain", FLAG, AT(explain),
		.help = "print the plan with its times and exit"},
	{"install DIR", DIRECTORY, AT(install_dir), .verdict = VERDICT_INSTALL, .help = "copy this program to DIR/shim and exit"},
	{"help", NOTHING, .shorts = "h", .verdict = VERDICT_HELP, .help = "print this and exit"},
	{"version", NOTHING, .shorts = "V", .verdict = VERDICT_VERSION, .help = "print the version and exit"},
	{"license", NOTHING, .shorts = "lL", .verdict = VERDICT_LICENSE,
		.help = "print the license and exit (also -L)"},
};
/* clang-format on */

const struct row *options_rows(size_t *count)
{
	*count = sizeof rows / sizeof rows[0];
	return rows;
}

bool options_read(struct options *o, const struct row *row, const char *value)
{
	return !kinds[row->kind].read || kinds[row->kind].read(o, row, value);
}

const char *options_expected(const struct row *row)
{
	const char *expected = kinds[row->kind].expected;

	return expected ? expected : "";
}

size_t options_name_length(const struct row *row)
{
	return strcspn(row->usage, " ");
}

const char *options_argument(const struct row *row)
{
	const char *end = row->usage + options_name_length(row);

	return *end ? end + 1 : end;
}

void options_defaults(struct options *o)
{
	*o = (struct options){
		.personality = AS_SHIM,
		.scope = SCOPE_GROUP,
		.placement = PLACE_GROUP,
		.stop_on = SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGINT),
		.grace_ns = -1,
		.reserve_ns = -1,
		.linger_ns = -1,
		.wait_timeout_ns = 60 * NS_PER_S,
		.wait_interval_ns = NS_PER_S,
		.hook_timeout_ns = 30 * NS_PER_S,
		.drain_min_ns = -1,
		.drain_max_ns = -1,
		.drain_idle_ns = 2 * NS_PER_S,
		.check_timeout_ns = -1,
		.verbosity = LEVEL_WARN,
		.failure_status = EXIT_SHIM,
		.log_format = FORMAT_UNSET,
	};
	for (int i = 1; i <= SIGNAL_LAST; i++)
		o->rewrite[i] = (uint8_t)i;
	for (int i = 0; i <= CODE_LAST; i++)
		o->expect[i] = -1;
}

int64_t options_linger_ns(const struct options *o)
{
	return o->linger_ns >= 0 ? o->linger_ns : 2 * NS_PER_S;
}

int64_t options_reserve_ns(const struct options *o)
{
	if (o->reserve_ns >= 0)
		return o->reserve_ns;
	return o->grace_ns >= 0 && o->grace_ns / 2 < 5 * NS_PER_S ? o->grace_ns / 2 : 5 * NS_PER_S;
}
