/*
 * commandline.c - argv and SHIM_OPTS, by the table of options.c.
 *
 * Owns nothing but the words of SHIM_OPTS; pure: reads no environment, prints nothing.
 */
#include <string.h>

#include "format.h"
#include "log.h"
#include "options.h"
#include "options_table.h"
#include "parse.h"
#include "util.h"

enum { WORDS_MAX = 128, SHOWN_SIZE = 96, NAME_SIZE = 40 };

struct parser {
	struct options *o;
	bool is_environment; /* the words are those of SHIM_OPTS */
	char **next;
	char *error;
	size_t size;
};

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
	size_t length =
		format_text(p->error, p->size, "%s", p->is_environment ? "SHIM_OPTS: " : "");
	va_list args;

	va_start(args, fmt);
	vformat_text(p->error + length, p->size - length, fmt, args);
	va_end(args);
	return VERDICT_BAD;
}

static void name_of(const struct row *row, char name[NAME_SIZE])
{
	format_text(name, options_name_length(row) + 1, "%s", row->usage);
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

/* The row whose name is nearest to a mistyped, shortened or incomplete one, or NULL. */
static bool find_similar(const char *name, char found[NAME_SIZE])
{
	enum { FAR = 3, SHORTEST = 4 };
	const struct row *best = NULL;
	size_t best_distance = FAR;
	size_t count;
	const struct row *rows = options_rows(&count);

	for (const struct row *row = rows; row < rows + count; row++) {
		char candidate[NAME_SIZE];
		size_t distance;
		const char *part;

		name_of(row, candidate);
		distance = edit_distance(name, candidate);
		part = strstr(candidate, name);
		if (part == candidate && strlen(name) >= 2)
			distance = 1;
		else if (part && strlen(name) >= SHORTEST)
			distance = FAR - 1;
		if (distance < best_distance) {
			best = row;
			best_distance = distance;
		}
	}
	if (best)
		name_of(best, found);
	return best != NULL;
}

static enum verdict fail_unknown(struct parser *p, const char *name)
{
	char shown[SHOWN_SIZE];
	char similar[NAME_SIZE];

	show(name, shown);
	if (strlen(name) < NAME_SIZE && find_similar(name, similar))
		return fail(p, "--%s: unknown option; did you mean --%s?", shown, similar);
	return fail(p, "--%s: unknown option; shim --help lists them", shown);
}

/* value NULL: none was written beside the option, and the next word is it if one is needed. */
static enum verdict apply(
	struct parser *p, const struct row *row, const char *spelled, const char *value)
{
	const char *argument = options_argument(row);
	char shown[SHOWN_SIZE];

	if (row->verdict != VERDICT_RUN && p->is_environment)
		return fail(p, "%s: works on the command line only", spelled);
	if (*argument && !value) {
		if (!*p->next)
			return fail(p, "%s: needs %s after it", spelled, argument);
		value = *p->next++;
	}
	if (!value)
		value = "";
	if (!options_read(p->o, row, value))
		return fail(p, "%s: '%s' is not %s", spelled, show(value, shown),
			options_expected(row));
	return (enum verdict)row->verdict;
}

/* --name, --name=value, --name value. Abbreviations are not taken: a new option must not change a
 * script. */
static enum verdict take_long(struct parser *p, const char *text)
{
	char name[NAME_SIZE];
	char spelled[NAME_SIZE + 2];
	size_t count;
	const struct row *rows = options_rows(&count);
	size_t length = strcspn(text, "=");
	const char *value = text[length] ? text + length + 1 : NULL;

	for (const struct row *row = rows; row < rows + count; row++) {
		if (length != options_name_length(row) || memcmp(text, row->usage, length) != 0)
			continue;
		name_of(row, name);
		format_text(spelled, sizeof spelled, "--%s", name);
		if (value && !*options_argument(row))
			return fail(p, "%s: takes no value", spelled);
		return apply(p, row, spelled, value);
	}
	if (length == 0 || length >= sizeof name)
		return fail_unknown(p, text);
	format_text(name, length + 1, "%s", text);
	return fail_unknown(p, name);
}

static const struct row *find_short(char c)
{
	size_t count;
	const struct row *rows = options_rows(&count);

	for (const struct row *row = rows; row < rows + count; row++)
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
		has_value = *options_argument(row) != '\0';
		verdict = apply(p, row, spelled, has_value && text[1] != '\0' ? text + 1 : NULL);
	}
	return verdict;
}

static bool runs_no_command(enum verdict verdict)
{
	return verdict == VERDICT_INSTALL || verdict == VERDICT_CHECK || verdict == VERDICT_DRAIN;
}

/* Up to the first word that is no option, which p->next then points to. */
static enum verdict take_words(struct parser *p)
{
	enum verdict result = VERDICT_RUN;

	while (*p->next && (*p->next)[0] == '-' && (*p->next)[1] != '\0') {
		const char *word = *p->next;
		enum verdict verdict;

		if (strcmp(word, "--") == 0) {
			p->next += !p->is_environment;
			return result;
		}
		p->next++;
		verdict = word[1] == '-' ? take_long(p, word + 2) : take_cluster(p, word + 1);
		/* Options of theirs may follow, a command may not. */
		if (verdict != VERDICT_RUN && !runs_no_command(verdict))
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

	p->is_environment = true;
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

	if (runs_no_command(verdict))
		return *p->next ? fail(p, "--%s: runs no command, but '%s' was given",
					  verdict == VERDICT_INSTALL ? "install"
					  : verdict == VERDICT_CHECK ? "check"
								     : "drain-now",
					  show(*p->next, shown))
				: verdict;
	if (o->drain_port_count && o->drain_min_ns < 0)
		return fail(p, "--drain-port: is a part of --drain, which is not given");
	if (o->ready_probe && !o->health)
		return fail(p, "--ready-probe: is asked by --health, which is not given");
	if (o->json_nest && !o->json_logs)
		return fail(p, "--json-nest: is a part of --json-logs, which is not given");
	if (o->watchdog_ns && !o->notify)
		return fail(p, "--watchdog: is a part of --notify, which is not given");
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
	p.is_environment = false;
	p.next = *argv ? argv + 1 : argv;
	verdict = take_words(&p);
	if (verdict == VERDICT_RUN || runs_no_command(verdict))
		return check(&p, verdict);
	return verdict;
}
