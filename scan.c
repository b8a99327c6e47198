/*
 * scan.c - options and numbers as glibc reads them, with glibc's words for what is wrong. Called by
 * compat.c.
 */
#include "scan.h"

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "format.h"
#include "log.h"

void scan_say(int fd, const char *fmt, ...)
{
	char text[PIPE_BUF];
	va_list args;

	va_start(args, fmt);
	(void)vformat_text(text, sizeof(text), fmt, args); /* a name of 4 KiB may be cut */
	va_end(args);
	log_write(fd, text);
}

/* 'x' in "ab:x:"? 1: with an argument, 0: without, -1: unknown. */
static int short_kind(const char *shorts, char letter)
{
	const char *found = letter == ':' ? NULL : strchr(shorts, letter);

	return found ? found[1] == ':' : -1;
}

static int scan_short(struct scan *s)
{
	char letter = *s->cluster++;
	int kind = short_kind(s->shorts, letter);

	if (kind < 0) {
		scan_say(STDERR_FILENO, "%s: invalid option -- '%c'\n", s->argv[0], letter);
		return SCAN_BAD;
	}
	if (kind > 0) {
		s->argument = *s->cluster ? s->cluster : s->argv[s->next++];
		s->cluster = NULL;
		if (!s->argument) {
			scan_say(STDERR_FILENO, "%s: option requires an argument -- '%c'\n",
				s->argv[0], letter);
			return SCAN_BAD;
		}
	}
	if (s->cluster && !*s->cluster)
		s->cluster = NULL;
	return letter;
}

/* "option '--ver' is ambiguous; possibilities: '--verbose' '--version'" */
static void say_ambiguous(const struct scan *s, const char *word, size_t length)
{
	char text[PIPE_BUF];
	size_t used = format_text(text, sizeof(text),
		"%s: option '%s' is ambiguous; possibilities:", s->argv[0], word);

	for (const struct scan_long *o = s->longs; *o->name; o++)
		if (strncmp(o->name, word + 2, length) == 0)
			used += format_text(text + used, sizeof(text) - used, " '--%s'", o->name);
	(void)format_text(text + used, sizeof(text) - used, "\n");
	log_write(STDERR_FILENO, text);
}

static int scan_long(struct scan *s, char *word)
{
	size_t length = strcspn(word + 2, "=");
	char *value = word[2 + length] ? word + 2 + length + 1 : NULL;
	const struct scan_long *match = NULL;
	int matches = 0;

	for (const struct scan_long *o = s->longs; *o->name; o++) {
		if (strncmp(o->name, word + 2, length) != 0)
			continue;
		match = o;
		matches++;
		if (!o->name[length]) { /* the whole name */
			matches = 1;
			break;
		}
	}
	if (matches == 0) {
		scan_say(STDERR_FILENO, "%s: unrecognized option '%s'\n", s->argv[0], word);
		return SCAN_BAD;
	}
	if (matches > 1) {
		say_ambiguous(s, word, length);
		return SCAN_BAD;
	}
	if (short_kind(s->shorts, match->letter) == 0) {
		if (!value)
			return match->letter;
		scan_say(STDERR_FILENO, "%s: option '--%s' doesn't allow an argument\n", s->argv[0],
			match->name);
		return SCAN_BAD;
	}
	s->argument = value ? value : s->argv[s->next];
	if (!s->argument) {
		scan_say(STDERR_FILENO, "%s: option '--%s' requires an argument\n", s->argv[0],
			match->name);
		return SCAN_BAD;
	}
	if (!value)
		s->next++;
	return match->letter;
}

int scan_next(struct scan *s)
{
	char *word = s->argv[s->next];

	if (s->cluster)
		return scan_short(s);
	if (!word || word[0] != '-' || !word[1])
		return SCAN_END;
	s->next++;
	if (strcmp(word, "--") == 0)
		return SCAN_END;
	if (s->longs && word[1] == '-')
		return scan_long(s, word);
	s->cluster = word + 1;
	return scan_short(s);
}

bool scan_number(const char **text, int64_t *value)
{
	const char *p = *text + strspn(*text, " \t\n\v\f\r");
	bool negative = *p == '-';
	int64_t number = 0;

	if (*p == '-' || *p == '+')
		p++;
	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) /* less than 0, where there is one number more */
		if (__builtin_mul_overflow(number, 10, &number) ||
			__builtin_sub_overflow(number, *p - '0', &number))
			number = INT64_MIN;
	*text = p;
	*value = negative ? number : number == INT64_MIN ? INT64_MAX : -number;
	return true;
}
