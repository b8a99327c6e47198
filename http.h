/*
 * http.h - the little HTTP/1 that a hook, a check and the health server need. Pure: text in,
 * verdicts out, no descriptor, no heap, every input bounded. Redirects are not followed, bodies are
 * not read.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HTTP_REQUEST_MAX = 8192, /* the largest request that is sent */
	HTTP_ANSWER_MAX = 16384, /* of an answer, 1xx heads included: more is not read */
	HTTP_HEAD_MAX = 4096,    /* the largest head the server side takes */
};

/* A piece of a longer text. */
struct span {
	const char *at;
	size_t length;
};

struct span span_of(const char *text);
bool span_is(struct span span, const char *text);        /* byte for byte */
bool span_is_nocase(struct span span, const char *text); /* ASCII letters in either case */

/* The client: one request. */
struct http_call {
	struct span method; /* of length 0: GET */
	struct span host;   /* what goes into Host; of length 0: localhost */
	bool is_bracketed;  /* the host is an IPv6 address and goes in brackets, its %zone left out
			     */
	uint16_t port;      /* 0: the scheme's own, not named in Host */
	struct span path;   /* may be empty or begin with '?' */
	const char *const
		*headers; /* "Name: value", checked by http_header_problem(); they replace ours */
	size_t header_count;
};

/* Writes the whole request, not NUL-terminated. Returns its length, or 0 when size is too small. */
size_t http_call_build(const struct http_call *call, char *buf, size_t size);

/* What is wrong with a "Name: value" given by a user, in words that fit after "expected "; NULL:
 * nothing. */
const char *http_header_problem(const char *header);

/* Letters that RFC 9110 calls a token: methods and header names. */
bool http_is_token(struct span span);

/* The client: the answer, fed as it comes in pieces of any size. Zero it to begin. */
struct http_answer {
	uint8_t state;
	uint8_t known; /* characters of line that are filled */
	char line[13]; /* "HTTP/1.1 200 " */
	bool is_blank; /* in a 1xx head: nothing stood on this line yet */
	size_t count;
	int status; /* valid after HTTP_STATUS */
};

enum http_verdict {
	HTTP_MORE,       /* nothing decided yet */
	HTTP_STATUS,     /* a final status line has come */
	HTTP_SPEAKS_TLS, /* the other side answered with a TLS record */
	HTTP_NOT_HTTP,
	HTTP_TOO_LONG, /* HTTP_ANSWER_MAX bytes and no final status line */
};

enum http_verdict http_answer_feed(struct http_answer *answer, const char *data, size_t length);

/* As the kubelet: 200 to 399. */
bool http_is_success(int status);

/* The server: one request head. */
struct http_request {
	bool is_head;     /* HEAD, else GET */
	bool keep_alive;  /* the connection may serve another request */
	struct span path; /* within the data, no query */
};

/*
 * Strict: CRLF line ends, no folding, one Host for HTTP/1.1, GET and HEAD only. Returns 0 when more
 * bytes are needed; 200 when *request is filled and *used bytes belong to it; else the status (400,
 * 405, 431, 505) to refuse with, after which the connection is to be closed. A request with a body
 * is taken, but never kept alive.
 */
int http_request_parse(const char *data, size_t length, struct http_request *request, size_t *used);

/*
 * The answer to one request: head, and the body unless the request was a HEAD. allow names methods
 * for 405. Returns the length, or 0 when size is too small.
 */
size_t http_reply_build(int status, const struct http_request *request, const char *type,
	struct span body, char *buf, size_t size);

#endif
