/*
 * jsonline.c - is a line one JSON object? Each function returns what follows its part, or NULL. The
 * line break at the end is part of nothing, so no other bound is needed.
 */
#include "jsonline.h"

#include <stddef.h>

#include "out.h"
#include "plain.h"

enum { DEPTH_MAX = 64 };

static const char *skip_value(const char *p, int depth);

static const char *skip_blanks(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\r')
		p++;
	return p;
}

static const char *skip_escape(const char *p)
{
	if (*p != 'u')
		return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : NULL;
	for (int i = 0; i < 4; i++) {
		p++;
		if (!*p || !strchr("0123456789abcdefABCDEF", *p))
			return NULL;
	}
	return p + 1;
}

static const char *skip_string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	for (;;) {
		unsigned plain = count_plain(p);

		p += plain;
		if (plain == STEP)
			continue;
		if (*p == '"')
			return p + 1;
		if (*p == '\\') {
			p = skip_escape(p + 1);
			if (!p)
				return NULL;
			continue;
		}
		size_t length = (unsigned char)*p < ' ' ? 0 : out_sequence(p);
		if (length == 0)
			return NULL;
		p += length;
	}
}

static const char *skip_digits(const char *p)
{
	if (!p || *p < '0' || *p > '9')
		return NULL;
	while (*p >= '0' && *p <= '9')
		p++;
	return p;
}

static const char *skip_number(const char *p)
{
	p += *p == '-';
	p = *p == '0' ? p + 1 : skip_digits(p);
	if (p && *p == '.')
		p = skip_digits(p + 1);
	if (p && (*p == 'e' || *p == 'E')) {
		p++;
		p = skip_digits(p + (*p == '+' || *p == '-'));
	}
	return p;
}

static const char *skip_word(const char *p)
{
	if (memcmp(p, "true", 4) == 0 || memcmp(p, "null", 4) == 0)
		return p + 4;
	return memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
}

/* An object or an array, from behind its bracket on. */
static const char *skip_members(const char *p, bool is_object, int depth)
{
	char close = is_object ? '}' : ']';

	p = skip_blanks(p);
	if (*p == close)
		return p + 1;
	for (;;) {
		if (is_object) {
			p = skip_string(skip_blanks(p));
			if (!p)
				return NULL;
			p = skip_blanks(p);
			if (*p++ != ':')
				return NULL;
		}
		p = skip_value(skip_blanks(p), depth);
		if (!p)
			return NULL;
		p = skip_blanks(p);
		if (*p == close)
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

static const char *skip_value(const char *p, int depth)
{
	switch (*p) {
	case '{':
	case '[':
		return depth < DEPTH_MAX ? skip_members(p + 1, *p == '{', depth + 1) : NULL;
	case '"':
		return skip_string(p);
	case 't':
	case 'f':
	case 'n':
		return skip_word(p);
	default:
		return skip_number(p);
	}
}

bool jsonline_is_object(const char *line)
{
	line = skip_blanks(line);
	if (*line != '{')
		return false;
	line = skip_members(line + 1, true, 1);
	return line && *skip_blanks(line) == '\n';
}
