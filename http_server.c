/*
 * http_server.c - the server's half of http.h: one request head in, one small answer out.
 *
 * The whole head is looked at again whenever bytes arrive: it is at most HTTP_HEAD_MAX long, and so
 * nothing but the bytes themselves has to be kept for a connection. Used by the health server.
 */
#include "http.h"

#include "format.h"

#include <string.h>

/* What the header fields say that matters. */
struct fields {
	int hosts;
	bool wants_close;
	bool wants_keep;
	bool has_length;
	bool has_body;
};

enum line { LINE_WHOLE, LINE_PARTIAL, LINE_BAD };

/* Takes one line, without its CRLF, off the front of rest. */
static enum line next_line(struct span *rest, struct span *line)
{
	for (size_t i = 0; i < rest->length; i++) {
		unsigned char c = (unsigned char)rest->at[i];

		if (c == '\r') {
			if (i + 1 == rest->length)
				return LINE_PARTIAL;
			if (rest->at[i + 1] != '\n')
				return LINE_BAD;
			*line = (struct span){rest->at, i};
			*rest = (struct span){rest->at + i + 2, rest->length - i - 2};
			return LINE_WHOLE;
		}
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return LINE_BAD;
	}
	return LINE_PARTIAL;
}

/* Takes what stands before the first stop off the front of text; false when there is none. */
static bool take_until(struct span *text, char stop, struct span *taken)
{
	const char *end = memchr(text->at, stop, text->length);

	if (end == NULL)
		return false;
	*taken = (struct span){text->at, (size_t)(end - text->at)};
	*text = (struct span){end + 1, text->length - taken->length - 1};
	return true;
}

static struct span trim(struct span text)
{
	while (text.length > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
		text.at++;
		text.length--;
	}
	while (text.length > 0 &&
		(text.at[text.length - 1] == ' ' || text.at[text.length - 1] == '\t'))
		text.length--;
	return text;
}

/* The path of "/path?query", or of "http://host/path", which RFC 9112 has every server understand.
 */
static bool parse_request_target(struct span target, struct span *path)
{
	static const char scheme[] = "http://";
	struct span query;
	struct span host;

	for (size_t i = 0; i < target.length; i++)
		if ((unsigned char)target.at[i] <= ' ' || (unsigned char)target.at[i] >= 0x7f)
			return false;
	if (take_until(&target, '?', &query))
		target = query;
	*path = target;
	if (target.length > 0 && target.at[0] == '/')
		return true;
	if (target.length < sizeof scheme - 1 ||
		!span_is_nocase((struct span){target.at, sizeof scheme - 1}, scheme))
		return false;
	target = (struct span){target.at + sizeof scheme - 1, target.length - (sizeof scheme - 1)};
	if (take_until(&target, '/', &host))
		*path = (struct span){target.at - 1, target.length + 1};
	else
		*path = span_of("/");
	return true;
}

/* "GET /path HTTP/1.1": 200, or what to refuse with. */
static int parse_request_line(struct span line, struct http_request *request, int *minor)
{
	struct span method;
	struct span target;

	if (!take_until(&line, ' ', &method) || !http_is_token(method) ||
		!take_until(&line, ' ', &target))
		return 400;
	if (line.length != 8 || memcmp(line.at, "HTTP/", 5) != 0 || line.at[6] != '.')
		return 400;
	if (line.at[5] < '0' || line.at[5] > '9' || line.at[7] < '0' || line.at[7] > '9')
		return 400;
	if (line.at[5] != '1')
		return 505;
	*minor = line.at[7] - '0';
	request->is_head = span_is(method, "HEAD");
	/* Other methods may have other targets: '*', host:port. */
	if (!request->is_head && !span_is(method, "GET"))
		return 405;
	return parse_request_target(target, &request->path) ? 200 : 400;
}

static void parse_connection(struct span value, struct fields *fields)
{
	struct span rest = value;
	struct span word;
	bool is_last;

	do {
		is_last = !take_until(&rest, ',', &word);
		word = trim(is_last ? rest : word);
		fields->wants_close |= span_is_nocase(word, "close");
		fields->wants_keep |= span_is_nocase(word, "keep-alive");
	} while (!is_last);
}

/* A length that is no plain number, or a second one, is how requests are smuggled: refused. */
static bool parse_length(struct span value, struct fields *fields)
{
	if (fields->has_length || value.length == 0 || value.length > 18)
		return false;
	fields->has_length = true;
	for (size_t i = 0; i < value.length; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return false;
		fields->has_body |= value.at[i] != '0';
	}
	return true;
}

static bool parse_field(struct span line, struct fields *fields)
{
	struct span name;
	struct span value = line;

	if (!take_until(&value, ':', &name) || !http_is_token(name))
		return false;
	value = trim(value);
	if (span_is_nocase(name, "host"))
		fields->hosts++;
	else if (span_is_nocase(name, "connection"))
		parse_connection(value, fields);
	else if (span_is_nocase(name, "transfer-encoding"))
		fields->has_body = true;
	else if (span_is_nocase(name, "content-length"))
		return parse_length(value, fields);
	return true;
}

static int parse_head(struct span *rest, struct http_request *request)
{
	struct fields fields = {0};
	struct span line;
	enum line got = next_line(rest, &line);
	int minor = 0;
	int status;

	/* An empty line or none before the request: old clients send one after a body. */
	if (got == LINE_WHOLE && line.length == 0)
		got = next_line(rest, &line);
	if (got != LINE_WHOLE)
		return got == LINE_BAD ? 400 : 0;
	status = parse_request_line(line, request, &minor);
	if (status == 400 || status == 505)
		return status;
	while ((got = next_line(rest, &line)) == LINE_WHOLE && line.length > 0)
		if (!parse_field(line, &fields))
			return 400;
	if (got != LINE_WHOLE)
		return got == LINE_BAD ? 400 : 0;
	if (fields.hosts > 1 || (minor > 0 && fields.hosts == 0))
		return 400;
	request->keep_alive =
		!fields.has_body && !fields.wants_close && (minor > 0 || fields.wants_keep);
	return status;
}

int http_request_parse(const char *data, size_t length, struct http_request *request, size_t *used)
{
	size_t seen = length < HTTP_HEAD_MAX ? length : HTTP_HEAD_MAX;
	struct span rest = {data, seen};
	int status;

	memset(request, 0, sizeof *request);
	status = parse_head(&rest, request);
	if (status == 0 && seen == HTTP_HEAD_MAX)
		status = 431;
	if (status != 200)
		request->keep_alive = false;
	*used = seen - rest.length;
	return status;
}

static const char *status_words(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Unknown";
	}
}

size_t http_reply_build(int status, const struct http_request *request, const char *type,
	struct span body, char *buf, size_t size)
{
	bool has_body = request == NULL || !request->is_head;
	bool keeps = request != NULL && request->keep_alive;
	size_t length;

	if (size == 0)
		return 0;
	length = format_text(buf, size,
		"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %lu\r\nCache-Control: "
		"no-store\r\n"
		"%sConnection: %s\r\n\r\n",
		status, status_words(status), type, (unsigned long)body.length,
		status == 405 ? "Allow: GET, HEAD\r\n" : "", keeps ? "keep-alive" : "close");
	if (length >= size - 1)
		return 0;
	if (!has_body)
		return length;
	if (body.length > size - length)
		return 0;
	memcpy(buf + length, body.at, body.length);
	return length + body.length;
}
