/*
 * out.c - builds a text of bounded length out of pieces, whatever bytes those from outside hold.
 *
 * Pure. Called by termtext.c and termjson.c.
 */
#include "out.h"

#include <string.h>

#include "format.h"

void out_put(struct out *o, const char *bytes, size_t n)
{
	if (o->full || o->limit - o->length < n + o->closers) {
		o->full = true;
		return;
	}
	memcpy(o->buf + o->length, bytes, n);
	o->length += n;
}

void out_format(struct out *o, const char *fmt, ...)
{
	char piece[128];
	va_list args;
	va_start(args, fmt);
	size_t n = vformat_text(piece, sizeof(piece), fmt, args);
	va_end(args);
	out_put(o, piece, n);
}

size_t out_sequence(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than needed, surrogates, beyond U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* One character as it may stand in the message. *used: how much of text it was. Returns the length
 * in to. */
static size_t render(const char *text, bool json, char to[8], size_t *used)
{
	unsigned char c = (unsigned char)text[0];
	size_t n = out_sequence(text);

	*used = n > 0 ? n : 1;
	if (n == 0)
		return format_text(to, 8, "\xef\xbf\xbd"); /* U+FFFD */
	if (json && (c == '"' || c == '\\'))
		return format_text(to, 8, "\\%c", c);
	if (json && (c < 0x20 || c == 0x7f))
		return format_text(to, 8, "\\u%04x", (unsigned int)c);
	/* The text is one line and shown on terminals: no line breaks, no escape sequences (C1
	 * included). */
	if (c == '\t' || c == '\n' || c == '\r')
		return format_text(to, 8, " ");
	if (c < 0x20 || c == 0x7f || (n == 2 && c == 0xc2 && (unsigned char)text[1] < 0xa0))
		return format_text(to, 8, "?");
	memcpy(to, text, n);
	return n;
}

void out_part(struct out *o, const char *text, bool json, size_t max)
{
	char one[8];
	size_t used, total = 0;

	for (; *text != '\0'; text += used) {
		size_t n = render(text, json, one, &used);
		total += n;
		if (total > max) {
			out_put(o, "...", 3);
			return;
		}
		out_put(o, one, n);
	}
}
