/*
 * http.c - the client's half of http.h: one request out, one status line in.
 *
 * The answer is judged byte by byte with a few words of state, so a server that drips, sends heads
 * without end or never ends a line costs no memory. Used by probe.c, in children of PID 1 only.
 */
#include "http.h"

#include "shim.h"

#include <string.h>

struct writer {
	char *buf;
	size_t size;
	size_t length;
	bool is_full;
};

struct span span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

bool span_is(struct span span, const char *text)
{
	return span.length == strlen(text) &&
	       (span.length == 0 || memcmp(span.at, text, span.length) == 0);
}

static char lower(char c)
{
	if (c >= 'A' && c <= 'Z')
		return "abcdefghijklmnopqrstuvwxyz"[c - 'A'];
	return c;
}

bool span_is_nocase(struct span span, const char *text)
{
	if (span.length != strlen(text))
		return false;
	for (size_t i = 0; i < span.length; i++)
		if (lower(span.at[i]) != lower(text[i]))
			return false;
	return true;
}

static bool is_token_char(char c)
{
	if ((lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9'))
		return true;
	return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool http_is_token(struct span span)
{
	for (size_t i = 0; i < span.length; i++)
		if (!is_token_char(span.at[i]))
			return false;
	return span.length > 0;
}

/* The part of a header before its colon. */
static struct span header_name(const char *header)
{
	const char *colon = strchr(header, ':');

	return (struct span){header, colon != NULL ? (size_t)(colon - header) : 0};
}

const char *http_header_problem(const char *header)
{
	/* What frames the request is ours to say: a second one would let a header smuggle a
	 * request. */
	static const char ours[][20] = {"Connection", "Content-Length", "Transfer-Encoding"};
	struct span name = header_name(header);

	if (!http_is_token(name))
		return "'Name: value'";
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (span_is_nocase(name, ours[i]))
			return "a header other than Connection, Content-Length and "
			       "Transfer-Encoding";
	for (const char *c = header + name.length + 1; *c != '\0'; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == '\x7f')
			return "a value without control characters";
	if (strlen(header) > HTTP_REQUEST_MAX / 4)
		return "at most 2048 characters";
	return NULL;
}

static void put(struct writer *w, struct span text)
{
	if (w->is_full || text.length > w->size - w->length) {
		w->is_full = true;
		return;
	}
	memcpy(w->buf + w->length, text.at, text.length);
	w->length += text.length;
}

static void put_text(struct writer *w, const char *text)
{
	put(w, span_of(text));
}

static void put_number(struct writer *w, size_t n)
{
	char digits[24];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	put(w, (struct span){digits + at, sizeof digits - at});
}

/* Bytes above ASCII are what a browser would escape too. */
static void put_path(struct writer *w, struct span path)
{
	static const char hex[] = "0123456789ABCDEF";

	if (path.length == 0 || path.at[0] != '/')
		put_text(w, "/");
	for (size_t i = 0; i < path.length; i++) {
		unsigned char c = (unsigned char)path.at[i];

		if (c < 0x80)
			put(w, (struct span){path.at + i, 1});
		else
			put(w, (struct span){(char[]){'%', hex[c >> 4], hex[c & 15]}, 3});
	}
}

static void put_host(struct writer *w, const struct http_call *call)
{
	const char *zone =
		call->is_bracketed ? memchr(call->host.at, '%', call->host.length) : NULL;
	struct span host = call->host;

	if (zone != NULL)
		host.length = (size_t)(zone - host.at);
	put_text(w, "Host: ");
	put_text(w, call->is_bracketed ? "[" : "");
	put(w, host.length > 0 ? host : span_of("localhost"));
	put_text(w, call->is_bracketed ? "]" : "");
	if (call->port != 0) {
		put_text(w, ":");
		put_number(w, call->port);
	}
	put_text(w, "\r\n");
}

static bool has_header(const struct http_call *call, const char *name)
{
	for (size_t i = 0; i < call->header_count; i++)
		if (span_is_nocase(header_name(call->headers[i]), name))
			return true;
	return false;
}

/* Methods whose request has content: without a length some servers wait for it, others answer 411.
 */
static bool has_content(struct span method)
{
	return span_is(method, "POST") || span_is(method, "PUT") || span_is(method, "PATCH");
}

size_t http_call_build(const struct http_call *call, char *buf, size_t size)
{
	struct writer w = {buf, size, 0, false};
	struct span method = call->method.length > 0 ? call->method : span_of("GET");

	put(&w, method);
	put_text(&w, " ");
	put_path(&w, call->path);
	put_text(&w, " HTTP/1.1\r\n");
	if (!has_header(call, "Host"))
		put_host(&w, call);
	if (!has_header(call, "User-Agent"))
		put_text(&w, "User-Agent: shim/" SHIM_VERSION "\r\n");
	if (!has_header(call, "Accept"))
		put_text(&w, "Accept: */*\r\n");
	for (size_t i = 0; i < call->header_count; i++) {
		put_text(&w, call->headers[i]);
		put_text(&w, "\r\n");
	}
	if (has_content(method))
		put_text(&w, "Content-Length: 0\r\n");
	put_text(&w, "Connection: close\r\n\r\n");
	return w.is_full ? 0 : w.length;
}

enum { STATUS_LINE, MAYBE_TLS, REASON, INTERIM };

/* The shape of a status line as far as it decides anything: d is a digit, s a blank or the line's
 * end. */
static bool fits_status_line(size_t i, char c)
{
	static const char shape[] = "HTTP/1.d ddds";

	switch (shape[i]) {
	case 'd':
		return c >= '0' && c <= '9';
	case 's':
		return c == ' ' || c == '\r';
	default:
		return c == shape[i];
	}
}

static enum http_verdict end_status_line(struct http_answer *a)
{
	enum { DIGITS = 9, COMPLETE = 12 };
	int status;

	if (a->known < COMPLETE)
		return HTTP_NOT_HTTP;
	status = (a->line[DIGITS] - '0') * 100 + (a->line[DIGITS + 1] - '0') * 10 +
		 (a->line[DIGITS + 2] - '0');
	if (status < 100)
		return HTTP_NOT_HTTP;
	a->known = 0;
	/* 100 Continue and its like announce another head; 101 is the last word in HTTP. */
	if (status < 200 && status != 101) {
		a->state = INTERIM;
		a->is_blank = true;
		return HTTP_MORE;
	}
	a->status = status;
	return HTTP_STATUS;
}

static enum http_verdict feed_status_line(struct http_answer *a, char c)
{
	if (c == '\n')
		return end_status_line(a);
	/* The first byte of a TLS alert or handshake; its second is the version's 3. */
	if (a->count == 1 && (c == 0x15 || c == 0x16)) {
		a->state = MAYBE_TLS;
		return HTTP_MORE;
	}
	if (!fits_status_line(a->known, c))
		return HTTP_NOT_HTTP;
	a->line[a->known++] = c;
	if (a->known == sizeof a->line)
		a->state = REASON;
	return HTTP_MORE;
}

static enum http_verdict feed_reason(struct http_answer *a, char c)
{
	if (c == '\n') {
		a->state = STATUS_LINE;
		return end_status_line(a);
	}
	if ((unsigned char)c < ' ' && c != '\t' && c != '\r')
		return HTTP_NOT_HTTP;
	return HTTP_MORE;
}

static enum http_verdict feed_interim(struct http_answer *a, char c)
{
	if (c == '\n') {
		if (a->is_blank)
			a->state = STATUS_LINE;
		a->is_blank = true;
	} else if (c != '\r') {
		a->is_blank = false;
	}
	return HTTP_MORE;
}

static enum http_verdict feed(struct http_answer *a, char c)
{
	if (a->count >= HTTP_ANSWER_MAX)
		return HTTP_TOO_LONG;
	a->count++;
	switch (a->state) {
	case STATUS_LINE:
		return feed_status_line(a, c);
	case MAYBE_TLS:
		return c == 3 ? HTTP_SPEAKS_TLS : HTTP_NOT_HTTP;
	case REASON:
		return feed_reason(a, c);
	default:
		return feed_interim(a, c);
	}
}

enum http_verdict http_answer_feed(struct http_answer *answer, const char *data, size_t length)
{
	enum http_verdict verdict = HTTP_MORE;

	for (size_t i = 0; i < length && verdict == HTTP_MORE; i++)
		verdict = feed(answer, data[i]);
	return verdict;
}

bool http_is_success(int status)
{
	return status >= 200 && status <= 399;
}
