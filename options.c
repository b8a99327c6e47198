/*
 * options.c - one table of options drives parsing, SHIM_OPTS and --help (and the test of the man
 * page).
 *
 * Owns nothing but the words of SHIM_OPTS; pure: reads no environment, prints nothing. Called by
 * shim.c. A new option is one row; the fields that a row sets hold their defaults from
 * options_defaults().
 */
#include "options.h"

#include <signal.h>
#include <string.h>

#include "http.h"
#include "log.h"
#include "util.h"

enum { WORDS_MAX = 128, SHOWN_SIZE = 96, NAME_SIZE = 40, HELP_LINE_SIZE = 160 };

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order that a row is read in */
struct row {
	char shorts[3]; /* the first one is shown in the help */
	const char *name;
	const char *argument; /* NULL: takes none */
	/* Puts value where it belongs; false: it is not what was expected. */
	bool (*read)(struct options *o, const struct row *row, const char *value);
	size_t offset;        /* of the field that read sets, when it is one of the general ones */
	const char *value;    /* what read gets when the option takes no argument */
	const char *expected; /* ends "'x' is not …" */
	enum verdict verdict; /* not VERDICT_RUN: the command line only */
	const char *help;
};

struct parser {
	struct options *o;
	const char *source; /* "SHIM_OPTS: ", or "" */
	char **next;
	char *error;
	size_t size;
};

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

static bool read_termination_format(struct options *o, const struct row *row, const char *value)
{
	(void)row;
	o->termination_format = strcmp(value, "json") == 0 ? FORMAT_JSON : FORMAT_TEXT;
	return o->termination_format == FORMAT_JSON || strcmp(value, "text") == 0;
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

#define AT(member) .offset = offsetof(struct options, member)
#define A_DURATION .read = read_duration, .expected = "a duration (such as 500ms, 30s, 2m, 1h)"
#define A_HOOK     .read = read_list, .expected = "a hook, or one too many (16 of a kind at most)"
#define A_FLAG     .read = read_flag

/* clang-format off */
static const struct row rows[] = {
	{"", "scope", "SCOPE", read_scope, .expected = "a scope: child, group, session or all",
		.help = "signals go to child, group, session, all (group)"},
	{"c", "single-child", NULL, read_scope, .value = "child", .help = "same as --scope child"},
	{"g", "group", NULL, read_scope, .value = "group", .help = "same as --scope group"},
	{"r", "rewrite", "FROM:TO", read_rewrite,
		.expected = "FROM:TO, two signals (TO may be 0, FROM not KILL, STOP or CHLD)",
		.help = "send TO when FROM comes; 0 drops it (repeatable)"},
	{"", "stop-on", "SIG[,SIG...]", read_stop_on,
		.expected = "a list of signals (such as TERM,INT; not KILL, STOP or CHLD)",
		.help = "the signals that begin a stop (TERM,INT)"},
	{"", "stop-signal", "SIG", read_stop_signal,
		.expected = "a signal that can end the app (such as QUIT, INT, RTMIN+3)",
		.help = "what the app is sent to stop (the one that came)"},
	{"", "grace", "D", A_DURATION, AT(grace_ns),
		.help = "how long the platform waits to kill (no limit)"},
	{"", "reserve", "D", A_DURATION, AT(reserve_ns),
		.help = "part of it kept for the app (half, at most 5s)"},
	{"", "linger", "D", A_DURATION, AT(linger_ns),
		.help = "wait for what the app leaves behind (2s)"},
	{"", "until-empty", NULL, A_FLAG, AT(until_empty),
		.help = "live until the last process has ended"},
	{"e", "expect-exit", "CODE[:TO]", read_expect,
		.expected = "CODE or CODE:TO, numbers from 0 to 255",
		.help = "report exit code CODE as 0, or as TO (repeatable)"},
	{"", "clean-stop", NULL, A_FLAG, AT(clean_stop),
		.help = "exit with 0 when the stop signal ended the app"},
	{"s", "subreaper", NULL, A_FLAG, AT(subreaper),
		.help = "reap orphans when not PID 1, too"},
	{"p", "parent-death", "SIG", read_signal, AT(parent_death_signal),
		.expected = "a signal (such as TERM, SIGTERM, 15, RTMIN+3)",
		.help = "signal that shim gets when its parent ends"},
	{"w", "warn-reap", NULL, A_FLAG, AT(warn_reap), .help = "warn of each orphan that is reaped"},
	{"v", "verbose", NULL, read_verbose, .help = "tell the lifecycle; -vv: every signal, too"},
	{"", "wait-for", "TARGET", read_list, AT(wait_for),
		.expected = "a target, or one too many (16 at most)",
		.help = "tcp://HOST:PORT, URL, unix:PATH, file:PATH"},
	{"", "wait-timeout", "D", A_DURATION, AT(wait_timeout_ns),
		.help = "how long to wait for them all (1m)"},
	{"", "wait-interval", "D", A_DURATION, AT(wait_interval_ns),
		.help = "the longest pause between two tries (1s)"},
	{"", "pre-start", "HOOK", A_HOOK, AT(hooks[HOOK_PRE_START]),
		.help = "[METHOD ]URL, sleep:D or a command (repeatable)"},
	{"", "post-start", "HOOK", A_HOOK, AT(hooks[HOOK_POST_START]),
		.help = "beside the app; not ready until it is done"},
	{"", "pre-stop", "HOOK", A_HOOK, AT(hooks[HOOK_PRE_STOP]),
		.help = "before the app gets the stop signal"},
	{"", "post-stop", "HOOK", A_HOOK, AT(hooks[HOOK_POST_STOP]),
		.help = "when the app has ended, however it did"},
	{"", "hook-timeout", "D", A_DURATION, AT(hook_timeout_ns),
		.help = "how long one hook may take (30s)"},
	{"", "hook-header", "HEADER", read_header, AT(hook_headers),
		.expected = "Name: value, or one too many (16 at most)",
		.help = "sent with each URL hook (repeatable)"},
	{"", "hook-ca", "FILE", read_path, AT(hook_ca), .expected = "a file of certificates (PEM)",
		.help = "who may sign https servers' certificates (anyone)"},
	{"", "second-stop", "WHAT", read_second_stop, .expected = "ignore or skip",
		.help = "a repeated stop signal: ignore or skip (ignore)"},
	{"", "drain", "MIN[:MAX]", read_drain,
		.expected = "MIN or MIN:MAX, two durations (such as 3s:20s)",
		.help = "let connections end before the app is stopped"},
	{"", "drain-port", "PORT", read_drain_port,
		.expected = "a port from 1 to 65535, or one too many (16 at most)",
		.help = "only connections to it (all that are listened on)"},
	{"", "drain-idle", "D", A_DURATION, AT(drain_idle_ns),
		.help = "without data for this long it is idle (2s)"},
	{"", "health", "[ADDR:]PORT", read_path, AT(health), .expected = "a port",
		.help = "serve /livez, /readyz, /startupz and /status"},
	{"", "ready-probe", "TARGET", read_path, AT(ready_probe), .expected = "a target",
		.help = "/readyz asks this target, too"},
	{"", "ready-file", "PATH", read_path, AT(ready_file), .expected = "a path",
		.help = "a file that is there exactly while ready"},
	{"", "termination-log", "PATH", read_termination_log, .expected = "a path, or none",
		.help = "reason's file or none (/dev/termination-log)"},
	{"", "termination-format", "FMT", read_termination_format, .expected = "text or json",
		.help = "text or json (text)"},
	{"", "termination-on", "WHEN", read_termination_on, .expected = "always or failure",
		.help = "always or failure (always)"},
	{"", "user", "USER[:GROUP]", read_path, AT(user),
		.expected = "USER or USER:GROUP, names or numbers",
		.help = "run the app as this user (as shim itself)"},
	{"", "caps", "LIST", read_path, AT(caps),
		.expected = "a list of capabilities (such as none or net_bind_service,-chown)",
		.help = "what the app keeps: none, NAME, +NAME, -NAME"},
	{"", "no-new-privs", NULL, A_FLAG, AT(no_new_privs),
		.help = "the app can gain none (setuid files and the like)"},
	{"", "check", "TARGET", read_path, AT(check), .expected = "a target",
		.verdict = VERDICT_CHECK, .help = "probe it once; exit with 0 or 1"},
	{"", "timeout", "D", A_DURATION, AT(check_timeout_ns),
		.help = "how long --check may take (5s)"},
	{"", "explain", NULL, A_FLAG, AT(explain),
		.help = "print the plan with its times and exit"},
	{"", "install", "DIR", read_path, AT(install_dir), .expected = "a directory",
		.verdict = VERDICT_INSTALL, .help = "copy this program to DIR/shim and exit"},
	{"h", "help", NULL, .verdict = VERDICT_HELP, .help = "print this and exit"},
	{"V", "version", NULL, .verdict = VERDICT_VERSION, .help = "print the version and exit"},
	{"lL", "license", NULL, .verdict = VERDICT_LICENSE,
		.help = "print the license and exit (also -L)"},
};
/* clang-format on */
enum { ROWS = sizeof rows / sizeof rows[0] };

void options_defaults(struct options *o)
{
	*o = (struct options){
		.personality = AS_SHIM,
		.scope = SCOPE_GROUP,
		.placement = PLACE_GROUP,
		.stop_on = SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGINT),
		.grace_ns = -1,
		.reserve_ns = -1,
		.linger_ns = 2 * NS_PER_S,
		.wait_timeout_ns = 60 * NS_PER_S,
		.wait_interval_ns = NS_PER_S,
		.hook_timeout_ns = 30 * NS_PER_S,
		.drain_min_ns = -1,
		.drain_max_ns = -1,
		.drain_idle_ns = 2 * NS_PER_S,
		.check_timeout_ns = 5 * NS_PER_S,
		.verbosity = LEVEL_WARN,
		.failure_status = EXIT_SHIM,
	};
	for (int i = 1; i <= SIGNAL_LAST; i++)
		o->rewrite[i] = (uint8_t)i;
	for (int i = 0; i <= CODE_LAST; i++)
		o->expect[i] = -1;
}

/* What a user wrote, fit for one line of an error. */
static const char *show(const char *text, char shown[SHOWN_SIZE])
{
	size_t length = format_text(shown, SHOWN_SIZE, "%s", text);

	if (length < strlen(text)) {
		length = utf8_cut(shown, length, SHOWN_SIZE - 4);
		format_text(shown + length, SHOWN_SIZE - length, "...");
	}
	for (char *c = shown; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return shown;
}

static enum verdict __attribute__((format(printf, 2, 3)))
fail(struct parser *p, const char *fmt, ...)
{
	size_t length = format_text(p->error, p->size, "%s", p->source);
	va_list args;

	va_start(args, fmt);
	vformat_text(p->error + length, p->size - length, fmt, args);
	va_end(args);
	return VERDICT_BAD;
}

/* How many letters are to be changed, added or left out to make a of b; for short words. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t length = strlen(b);
	size_t costs[NAME_SIZE];

	for (size_t i = 0; i <= length; i++)
		costs[i] = i;
	for (size_t row = 1; *a != '\0'; a++, row++) {
		size_t diagonal = costs[0];

		costs[0] = row;
		for (size_t i = 1; i <= length; i++) {
			size_t cost = diagonal + (*a != b[i - 1]);

			diagonal = costs[i];
			if (cost > costs[i] + 1)
				cost = costs[i] + 1;
			if (cost > costs[i - 1] + 1)
				cost = costs[i - 1] + 1;
			costs[i] = cost;
		}
	}
	return costs[length];
}

/* The row whose name is nearest to a mistyped or shortened one, or NULL. */
static const struct row *find_similar(const char *name)
{
	const struct row *best = NULL;
	size_t best_distance = 3;

	for (const struct row *row = rows; row < rows + ROWS; row++) {
		size_t distance = edit_distance(name, row->name);

		if (strlen(name) >= 2 && strncmp(row->name, name, strlen(name)) == 0)
			distance = 1;
		if (distance < best_distance) {
			best = row;
			best_distance = distance;
		}
	}
	return best;
}

static enum verdict fail_unknown(struct parser *p, const char *name)
{
	char shown[SHOWN_SIZE];
	const struct row *similar = strlen(name) < NAME_SIZE ? find_similar(name) : NULL;

	show(name, shown);
	if (similar)
		return fail(p, "--%s: unknown option; did you mean --%s?", shown, similar->name);
	return fail(p, "--%s: unknown option; shim --help lists them", shown);
}

/* value NULL: none was written beside the option, and the next word is it if one is needed. */
static enum verdict apply(
	struct parser *p, const struct row *row, const char *spelled, const char *value)
{
	char shown[SHOWN_SIZE];

	if (row->verdict != VERDICT_RUN && *p->source != '\0')
		return fail(p, "%s: works on the command line only", spelled);
	if (row->argument && !value) {
		if (!*p->next)
			return fail(p, "%s: needs %s after it", spelled, row->argument);
		value = *p->next++;
	}
	if (!row->argument)
		value = row->value;
	if (row->read && !row->read(p->o, row, value))
		return fail(p, "%s: '%s' is not %s", spelled, show(value ? value : "", shown),
			row->expected);
	return row->verdict;
}

/* --name, --name=value, --name value. Abbreviations are not taken: a new option must not change a
 * script. */
static enum verdict take_long(struct parser *p, const char *text)
{
	char name[NAME_SIZE];
	char spelled[NAME_SIZE + 2];
	const char *value = split_at(text, '=', name, sizeof name);

	for (const struct row *row = rows; row < rows + ROWS; row++) {
		if (strcmp(name, row->name) != 0)
			continue;
		format_text(spelled, sizeof spelled, "--%s", name);
		if (value && !row->argument)
			return fail(p, "%s: takes no value", spelled);
		return apply(p, row, spelled, value);
	}
	return fail_unknown(p, *name != '\0' ? name : text);
}

static const struct row *find_short(char c)
{
	for (const struct row *row = rows; row < rows + ROWS; row++)
		if (strchr(row->shorts, c))
			return row;
	return NULL;
}

/* -s, -sv, -r A:B, -rA:B, -svrA:B. */
static enum verdict take_cluster(struct parser *p, const char *text)
{
	enum verdict verdict = VERDICT_RUN;
	bool has_value = false;

	for (; *text != '\0' && !has_value && verdict == VERDICT_RUN; text++) {
		const struct row *row = find_short(*text);
		const char spelled[] = {'-', *text, '\0'};
		char shown[SHOWN_SIZE];

		if (!row)
			return fail(p, "%s: unknown option; shim --help lists them",
				show(spelled, shown));
		has_value = row->argument != NULL;
		verdict = apply(p, row, spelled, has_value && text[1] != '\0' ? text + 1 : NULL);
	}
	return verdict;
}

/* Up to the first word that is no option, which p->next then points to. */
static enum verdict take_words(struct parser *p)
{
	enum verdict result = VERDICT_RUN;

	while (*p->next && (*p->next)[0] == '-' && (*p->next)[1] != '\0') {
		const char *word = *p->next;
		enum verdict verdict;

		if (strcmp(word, "--") == 0) {
			p->next += *p->source == '\0';
			return result;
		}
		p->next++;
		verdict = word[1] == '-' ? take_long(p, word + 2) : take_cluster(p, word + 1);
		/* These two go on: options of theirs may follow, a command may not. */
		if (verdict != VERDICT_RUN && verdict != VERDICT_INSTALL &&
			verdict != VERDICT_CHECK)
			return verdict;
		if (verdict != VERDICT_RUN)
			result = verdict;
	}
	return result;
}

static enum verdict take_environment(struct parser *p, char *shim_opts)
{
	static char *words[WORDS_MAX + 1];
	char shown[SHOWN_SIZE];
	int count = split_words(shim_opts, words, WORDS_MAX);
	enum verdict verdict;

	p->source = "SHIM_OPTS: ";
	if (count < 0)
		return fail(p, "a quote is left open, or there are more than %d words", WORDS_MAX);
	words[count] = NULL;
	p->next = words;
	verdict = take_words(p);
	if (verdict == VERDICT_RUN && *p->next)
		return fail(p, "'%s' is not an option", show(*p->next, shown));
	return verdict;
}

/* What no option can see by itself. */
static enum verdict check(struct parser *p, enum verdict verdict)
{
	const struct options *o = p->o;
	char reserve[DURATION_SIZE];
	char grace[DURATION_SIZE];
	char shown[SHOWN_SIZE];

	if (verdict == VERDICT_INSTALL || verdict == VERDICT_CHECK)
		return *p->next ? fail(p, "--%s: runs no command, but '%s' was given",
					  verdict == VERDICT_INSTALL ? "install" : "check",
					  show(*p->next, shown))
				: verdict;
	if (o->drain_port_count && o->drain_min_ns < 0)
		return fail(p, "--drain-port: is a part of --drain, which is not given");
	if (o->ready_probe && !o->health)
		return fail(p, "--ready-probe: is asked by --health, which is not given");
	if (o->reserve_ns >= 0 && o->grace_ns < 0)
		return fail(p, "--reserve: is a part of --grace, which is not given");
	if (o->reserve_ns > o->grace_ns)
		return fail(p, "--reserve: '%s' is more than --grace, which is %s",
			format_duration(o->reserve_ns, reserve),
			format_duration(o->grace_ns, grace));
	if (!*p->next)
		return fail(p, "no command given; usage: shim [OPTION...] [--] COMMAND [ARG...]");
	p->o->command = p->next;
	return verdict;
}

enum verdict options_parse(
	struct options *o, char **argv, char *shim_opts, char *error, size_t size)
{
	struct parser p = {.o = o, .error = error, .size = size};
	enum verdict verdict = VERDICT_RUN;

	if (shim_opts)
		verdict = take_environment(&p, shim_opts);
	if (verdict != VERDICT_RUN)
		return verdict;
	p.source = "";
	p.next = *argv ? argv + 1 : argv;
	verdict = take_words(&p);
	if (verdict == VERDICT_RUN || verdict == VERDICT_INSTALL || verdict == VERDICT_CHECK)
		return check(&p, verdict);
	return verdict;
}

int64_t options_reserve_ns(const struct options *o)
{
	if (o->reserve_ns >= 0)
		return o->reserve_ns;
	return o->grace_ns >= 0 && o->grace_ns / 2 < 5 * NS_PER_S ? o->grace_ns / 2 : 5 * NS_PER_S;
}

static const char *help_line(const struct row *row)
{
	static char line[HELP_LINE_SIZE];
	char option[NAME_SIZE];
	char dash[] = {'-', row->shorts[0], ',', '\0'};

	format_text(
		option, sizeof option, "--%s %s", row->name, row->argument ? row->argument : "");
	format_text(line, sizeof line, "  %-3s %-25s%s\n", *row->shorts != '\0' ? dash : "", option,
		row->help);
	return line;
}

const char *options_help(size_t piece)
{
	if (piece == 0)
		return "Usage: shim [OPTION...] [--] COMMAND [ARG...]\n"
		       "Runs COMMAND as the application of a container: passes signals on to it, "
		       "stops\n"
		       "it in time, reaps orphans, and says why the container ended.\n\n"
		       "Options (defaults in brackets):\n";
	if (piece <= ROWS)
		return help_line(&rows[piece - 1]);
	if (piece == ROWS + 1)
		return "\nD is 250ms, 5s, 2m or 1h; a plain number is seconds. SIG is TERM, "
		       "SIGTERM, 15\n"
		       "or RTMIN+3. SHIM_OPTS in the environment holds more options, read "
		       "first.\n\n"
		       "Exit status: the app's; 128+N when signal N killed it; 137 when its time "
		       "was up;\n"
		       "127 when COMMAND is not found, 126 when it cannot be executed; 125 when "
		       "shim\n"
		       "itself failed or was called wrongly.\n";
	return NULL;
}

/* dockerd looks for " - git.", and what follows it is what docker info shows for --init-path. */
const char *options_version(void)
{
	return "shim " SHIM_VERSION " - git.v0-1-0\n";
}

const char *options_license(void)
{
	return "MIT License\n"
	       "\n"
	       "Copyright (c) 2026 the shim authors\n"
	       "\n"
	       "Permission is hereby granted, free of charge, to any person obtaining a copy\n"
	       "of this software and associated documentation files (the \"Software\"), to deal\n"
	       "in the Software without restriction, including without limitation the rights\n"
	       "to use, copy, modify, merge, publish, distribute, sublicense, and/or sell\n"
	       "copies of the Software, and to permit persons to whom the Software is\n"
	       "furnished to do so, subject to the following conditions:\n"
	       "\n"
	       "The above copyright notice and this permission notice shall be included in all\n"
	       "copies or substantial portions of the Software.\n"
	       "\n"
	       "THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR\n"
	       "IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,\n"
	       "FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE\n"
	       "AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER\n"
	       "LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,\n"
	       "OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE\n"
	       "SOFTWARE.\n";
}
