/*
 * records.c - the bytes of one stream to records.
 *
 * A record is built where it will be written from: the one that is open stands behind the finished
 * ones in out, and lines that belong to it are appended there. So each byte is copied once.
 */
#include "records.h"

#include <string.h>

#include "format.h"
#include "jsonline.h"
#include "out.h"
#include "plain.h"
#include "util.h"

/* The longest that one line can become: every byte an escape, and what stands around it. */
enum { ROOM = 6 * RECORDS_LINE + 8 * 1024, BLANKS_MAX = 32 };
_Static_assert(RECORDS_OUT >= RECORDS_FOLDED + 2 * ROOM, "a record that is open leaves room");
_Static_assert(RECORDS_IN >= RECORDS_JSON + 64 * 1024, "a line that is incomplete leaves room");

/* --- one string --- */

/* More than length bytes may be read and written. libc's memcpy takes longer to begin than to copy
 * so little. */
static void copy_steps(char *to, const char *from, size_t length)
{
	for (size_t i = 0; i < length; i += STEP)
		memcpy(to + i, from + i, STEP);
}

/* One character that is not plain; *used: how many bytes it had. Returns what follows it in to. */
static char *escape(char *to, const char *from, size_t left, size_t *used)
{
	static const char letters[] = "btn\0fr"; /* from \b on */
	unsigned char c = (unsigned char)*from;

	*used = 1;
	if (c == '"' || c == '\\' || (c >= '\b' && c <= '\r' && letters[c - '\b'])) {
		*to++ = '\\';
		*to++ = *(c > '\r' ? from : letters + (c - '\b'));
		return to;
	}
	if (c < ' ') {
		memcpy(to, "\\u00", 5);
		to[4] = (char)('0' + (c >> 4));
		to[5] = "0123456789abcdef"[c & 15];
		return to + 6;
	}
	size_t length = out_sequence(from);
	if (length == 0 || length > left) {
		memcpy(to, "\xef\xbf\xbd", 4); /* U+FFFD */
		return to + 3;
	}
	memcpy(to, from, 4); /* the longest; the rest is written over */
	*used = length;
	return to + length;
}

/* Behind from[n - 1] there are STEP bytes to read, and to has room for them. */
static char *put_escaped(char *to, const char *from, size_t n)
{
	const char *end = from + n;
	size_t used;

	while (from < end) {
		size_t plain = count_plain(from);

		memcpy(to, from, STEP);
		if (plain > (size_t)(end - from))
			plain = (size_t)(end - from);
		to += plain;
		from += plain;
		if (plain == STEP || from == end)
			continue;
		to = escape(to, from, (size_t)(end - from), &used);
		from += used;
	}
	return to;
}

/* --- one record --- */

static void put(struct records *r, const char *text, size_t length)
{
	memcpy(r->out + r->length, text, length);
	r->length += length;
}

/* Of what was read, or the head. */
static void put_steps(struct records *r, const char *text, size_t length)
{
	copy_steps(r->out + r->length, text, length);
	r->length += length;
}

static void put_text(struct records *r, const char *text)
{
	put(r, text, strlen(text));
}

static void put_string(struct records *r, const char *line, size_t length)
{
	if (r->is_plain_line) {
		put_steps(r, line, length);
		return;
	}
	char *end = put_escaped(r->out + r->length, line, length);
	r->length = (size_t)(end - r->out);
}

/* {"time":"…","stream":"stdout","message":" - the same for all lines that were read at once. */
static void put_head(struct records *r)
{
	char time[TIME_SIZE];

	if (r->head_wall_ns != r->line_wall_ns || r->head_length == 0) {
		r->head_wall_ns = r->line_wall_ns;
		r->head_length = format_text(r->head, sizeof r->head,
			"{\"time\":\"%s\",\"stream\":\"%s%s%s\",\"message\":\"",
			format_time(r->line_wall_ns, time), r->stream,
			r->source ? "\",\"source\":\"" : "", r->source ? r->source : "");
	}
	put_steps(r, r->head, r->head_length);
}

static void open_record(struct records *r)
{
	put_head(r);
	r->is_open = true;
	r->lines = 1;
}

static void finish_record(struct records *r, bool is_partial)
{
	char number[32];

	if (r->lines == 1 && !is_partial) {
		memcpy(r->out + r->length, "\"}\n", 4);
		r->length += 3;
		r->ready = r->length;
		r->is_open = false;
		return;
	}
	put(r, "\"", 1);
	if (r->lines > 1) {
		(void)format_text(number, sizeof number, ",\"lines\":%u", r->lines);
		put_text(r, number);
	}
	if (is_partial)
		put_text(r, ",\"partial\":true");
	put(r, "}\n", 2);
	r->ready = r->length;
	r->is_open = false;
}

/* Empty lines after it that turned out not to be part of it are records of their own. */
static void close_record(struct records *r)
{
	if (r->is_open)
		finish_record(r, false);
	for (; r->blanks; r->blanks--) {
		open_record(r);
		finish_record(r, false);
	}
}

static void end_fold(struct records *r)
{
	close_record(r);
	r->fold = (struct fold){.shape = FOLD_PLAIN};
}

/* --- one line --- */

static bool put_object(struct records *r, const char *line, size_t length)
{
	if (*line != '{' && *line != ' ')
		return false;
	if (!jsonline_is_object(line))
		return false;
	end_fold(r);
	if (r->nest) {
		put_head(r);
		r->length -= sizeof "message\":\"" - 1; /* the key is another one */
		put_text(r, r->nest);
		put(r, "\":", 2);
		put_steps(r, line, length);
		put(r, "}", 1);
	} else
		put_steps(r, line, length);
	put(r, "\n", 1);
	r->ready = r->length;
	return true;
}

/* A line break is behind it. */
static void put_line(struct records *r, const char *line, size_t length)
{
	if (put_object(r, line, length))
		return;
	if (length && line[length - 1] == '\r')
		length--;
	enum fold_verdict verdict = fold_line(&r->fold, line, length);
	if (verdict == FOLD_BLANK && r->is_open && r->blanks < BLANKS_MAX) {
		r->blanks++;
		return;
	}
	if (verdict != FOLD_MORE || !r->is_open || r->length - r->ready > RECORDS_FOLDED) {
		close_record(r);
		open_record(r);
	} else {
		r->lines += r->blanks + 1;
		for (; r->blanks; r->blanks--)
			put(r, "\\n", 2);
		put(r, "\\n", 2);
	}
	put_string(r, line, length);
}

/* A part of a line: not of a trace, but one may follow its end. */
static void put_piece(struct records *r, const char *line, size_t length, bool is_partial)
{
	if (length == 0)
		return;
	end_fold(r);
	open_record(r);
	put_string(r, line, length);
	if (is_partial)
		finish_record(r, true);
}

static void next_line(struct records *r, size_t used, bool is_middle)
{
	r->in_at += used;
	r->scanned = 0;
	r->is_middle = is_middle;
	r->line_wall_ns = r->read_wall_ns;
	r->line_ns = r->read_ns;
}

/* The line break, or NULL; and whether nothing before it needs an escape. */
static const char *find_end(struct records *r, const char *line, size_t left)
{
	size_t at = r->scanned;
	unsigned step = 0;

	for (; at < left && (step = count_plain(line + at)) == STEP; at += STEP)
		continue;
	r->is_plain_line = r->scanned == 0 && at + step < left && line[at + step] == '\n';
	for (; at < left; at += STEP) {
		step = first_set(load(line + at) == '\n');
		if (step < STEP)
			return at + step < left ? line + at + step : NULL;
	}
	return NULL;
}

/* False: there is no whole line. */
static bool take_line(struct records *r)
{
	const char *line = r->in + r->in_at;
	size_t left = r->in_length - r->in_at;
	const char *end = find_end(r, line, left);
	size_t length = end ? (size_t)(end - line) : left;

	if (length > (*line == '{' && !r->is_middle ? RECORDS_JSON : RECORDS_LINE)) {
		length = utf8_cut(line, length, RECORDS_LINE);
		put_piece(r, line, length, true);
		next_line(r, length, true);
		return true;
	}
	r->scanned = left;
	if (!end)
		return false;
	bool is_long = r->is_middle || length > RECORDS_LINE;
	if (is_long && (r->is_middle || !put_object(r, line, length))) {
		/* The rest of a line; or the beginning of a long one that only looked like JSON. */
		size_t piece = utf8_cut(line, length, RECORDS_LINE);
		bool is_rest = piece == length;
		put_piece(r, line, piece, !is_rest);
		next_line(r, piece + is_rest, !is_rest);
		return true;
	}
	if (!is_long)
		put_line(r, line, length);
	next_line(r, length + 1, false);
	return true;
}

bool records_work(struct records *r)
{
	if (r->is_plain)
		return true;
	while (r->in_at < r->in_length) {
		if (RECORDS_OUT - r->length < ROOM)
			return false;
		if (!take_line(r))
			break;
	}
	return true;
}

/* --- in and out --- */

size_t records_space(struct records *r, char **at)
{
	if (r->is_plain) {
		*at = r->out + r->length;
		return RECORDS_OUT - r->length;
	}
	if (r->in_at) {
		memmove(r->in, r->in + r->in_at, r->in_length - r->in_at);
		r->in_length -= r->in_at;
		r->in_at = 0;
	}
	*at = r->in + r->in_length;
	return RECORDS_IN - r->in_length;
}

void records_take(struct records *r, size_t count, int64_t wall_ns, int64_t now_ns)
{
	r->read_wall_ns = wall_ns;
	r->read_ns = now_ns;
	if (r->is_plain) {
		r->length += count;
		r->ready = r->length;
		return;
	}
	if (r->in_at == r->in_length) {
		r->line_wall_ns = wall_ns;
		r->line_ns = now_ns;
	}
	r->in_length += count;
}

void records_wrote(struct records *r, size_t count)
{
	r->done += count;
	if (r->done < r->ready)
		return;
	memmove(r->out, r->out + r->ready, r->length - r->ready);
	r->length -= r->ready;
	r->done = r->ready = 0;
}

static bool has_incomplete(const struct records *r)
{
	return r->in_at < r->in_length;
}

int64_t records_deadline_ns(const struct records *r)
{
	int64_t line_ns = has_incomplete(r) ? r->line_ns + RECORDS_HOLD_NS : -1;
	int64_t record_ns = r->is_open ? r->read_ns + RECORDS_HOLD_NS : -1;

	/* Without room it is the reader who is waited for. */
	return RECORDS_OUT - r->length < ROOM ? -1 : earlier_ns(line_ns, record_ns);
}

/* How much of an incomplete line is whole characters. */
static size_t whole_characters(const char *line, size_t length)
{
	for (size_t back = 1; back <= 3 && back < length; back++) {
		unsigned char c = (unsigned char)line[length - back];

		if (c >= 0xc0)
			return back < (c < 0xe0 ? 2u : c < 0xf0 ? 3u : 4u) ? length - back : length;
		if (c < 0x80)
			break;
	}
	return length;
}

void records_check_time(struct records *r, int64_t now_ns)
{
	size_t left = r->in_length - r->in_at;

	if (RECORDS_OUT - r->length < ROOM)
		return;
	if (has_incomplete(r) && now_ns >= r->line_ns + RECORDS_HOLD_NS) {
		size_t length = whole_characters(r->in + r->in_at, left);

		length = utf8_cut(r->in + r->in_at, length, RECORDS_LINE);
		put_piece(r, r->in + r->in_at, length, true);
		next_line(r, length, true);
	}
	if (r->is_open && now_ns >= r->read_ns + RECORDS_HOLD_NS)
		end_fold(r);
}

void records_end(struct records *r)
{
	if (has_incomplete(r)) {
		r->in[r->in_length++] = '\n';
		(void)records_work(r);
	}
	end_fold(r);
}
