/*
 * test_http.c - http.h: requests as they are written, answers fed in every split, heads the server
 * takes and refuses.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "shim.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *build(const struct http_call *call)
{
	static char text[HTTP_REQUEST_MAX + 1];

	text[http_call_build(call, text, HTTP_REQUEST_MAX)] = '\0';
	return text;
}

#define AGENT "User-Agent: shim/" SHIM_VERSION "\r\n"

START_TEST(call_plain)
{
	struct http_call call = {.host = span_of("db"), .path = span_of("/healthz?full=1")};

	ck_assert_str_eq(build(&call), "GET /healthz?full=1 HTTP/1.1\r\nHost: db\r\n" AGENT
				       "Accept: */*\r\nConnection: close\r\n\r\n");
	call.port = 8080;
	call.method = span_of("POST");
	call.path = span_of("?x");
	ck_assert_str_eq(build(&call),
		"POST /?x HTTP/1.1\r\nHost: db:8080\r\n" AGENT
		"Accept: */*\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}
END_TEST

START_TEST(call_hosts)
{
	struct http_call call = {.port = 65535};

	ck_assert_ptr_nonnull(strstr(build(&call), "GET / HTTP/1.1\r\nHost: localhost:65535\r\n"));
	call.is_bracketed = true;
	call.host = span_of("fe80::1%eth0");
	ck_assert_ptr_nonnull(strstr(build(&call), "\r\nHost: [fe80::1]:65535\r\n"));
	call.host = span_of("::1");
	call.port = 0;
	ck_assert_ptr_nonnull(strstr(build(&call), "\r\nHost: [::1]\r\n"));
}
END_TEST

START_TEST(call_lengths)
{
	static const char *const with[] = {"POST", "PUT", "PATCH"};
	static const char *const without[] = {"GET", "HEAD", "DELETE", "OPTIONS"};
	struct http_call call = {.port = 0};

	for (size_t i = 0; i < COUNT(with); i++) {
		call.method = span_of(with[i]);
		ck_assert_ptr_nonnull(strstr(build(&call), "\r\nContent-Length: 0\r\n"));
	}
	for (size_t i = 0; i < COUNT(without); i++) {
		call.method = span_of(without[i]);
		ck_assert_ptr_null(strstr(build(&call), "Content-Length"));
	}
}
END_TEST

START_TEST(call_headers)
{
	static const char *const headers[] = {
		"hOST: app.example", "X-Token: a:b", "user-agent: me", "Accept:"};
	struct http_call call = {
		.path = span_of("/\xc3\xa4"), .headers = headers, .header_count = COUNT(headers)};

	ck_assert_str_eq(build(&call), "GET /%C3%A4 HTTP/1.1\r\nhOST: app.example\r\nX-Token: "
				       "a:b\r\nuser-agent: me\r\nAccept:\r\n"
				       "Connection: close\r\n\r\n");
}
END_TEST

/* Any size that is too small gives 0, and nothing is written behind it. */
START_TEST(call_too_large)
{
	struct http_call call = {.host = span_of("h"), .path = span_of("/p")};
	size_t length = strlen(build(&call));

	for (size_t size = 0; size <= length; size++) {
		char *buf = malloc(size + 1);

		ck_assert_uint_eq(http_call_build(&call, buf, size), size == length ? length : 0);
		free(buf);
	}
}
END_TEST

static const char *const good_headers[] = {
	"A: b", "A:b", "A:", "X-1: \t\xc3\xa4 ~", "Host: x", "Authorization: Basic eDp5"};
static const char *const bad_headers[] = {"", "A", ": b", "A B: c", "A : b", "A: b\r\nC: d",
	"A: b\n", "A: \x01", "A: \x7f", "(a): b", "\xc3\xa4: b", "Connection: close",
	"content-length: 1", "Transfer-Encoding: chunked"};

START_TEST(header_good)
{
	ck_assert_ptr_null(http_header_problem(good_headers[_i]));
}
END_TEST

START_TEST(header_bad)
{
	ck_assert_ptr_nonnull(http_header_problem(bad_headers[_i]));
}
END_TEST

START_TEST(header_long)
{
	char header[HTTP_REQUEST_MAX];

	memset(header, 'a', sizeof header);
	header[1] = ':';
	header[HTTP_REQUEST_MAX / 4] = '\0';
	ck_assert_ptr_null(http_header_problem(header));
	header[HTTP_REQUEST_MAX / 4] = 'a';
	header[HTTP_REQUEST_MAX / 4 + 1] = '\0';
	ck_assert_ptr_nonnull(http_header_problem(header));
}
END_TEST

static const struct {
	const char *text;
	enum http_verdict verdict;
	int status;
} answers[] = {
	{"HTTP/1.1 200 OK\r\n", HTTP_STATUS, 200},
	{"HTTP/1.0 204\r\n", HTTP_STATUS, 204},
	{"HTTP/1.1 301 Moved\n", HTTP_STATUS, 301},
	{"HTTP/1.1 503\n", HTTP_STATUS, 503},
	{"HTTP/1.1 999 \r\n", HTTP_STATUS, 999},
	{"HTTP/1.1 200 \xc3\xa4\t\r\n", HTTP_STATUS, 200},
	{"HTTP/1.1 101 Switching\r\n", HTTP_STATUS, 101},
	{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", HTTP_STATUS, 200},
	{"HTTP/1.1 100\n\nHTTP/1.0 404\n", HTTP_STATUS, 404},
	{"HTTP/1.1 103 Early\r\nLink: x\r\nA: b\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 500 No\r\n",
		HTTP_STATUS, 500},
	{"HTTP/1.1 200 OK", HTTP_MORE, 0},
	{"HTTP/1.1 200", HTTP_MORE, 0},
	{"HTTP", HTTP_MORE, 0},
	{"HTTP/1.1 100 Continue\r\n\r\n", HTTP_MORE, 0},
	{"HTTP/1.1 100 Continue\r\nHTTP/1.1 200 OK\r\n", HTTP_MORE, 0},
	{"\x15\x03\x03", HTTP_SPEAKS_TLS, 0},
	{"\x16\x03\x01", HTTP_SPEAKS_TLS, 0},
	{"\x15\x04", HTTP_NOT_HTTP, 0},
	{"\x15", HTTP_MORE, 0},
	{"SSH-2.0-OpenSSH\r\n", HTTP_NOT_HTTP, 0},
	{"\n", HTTP_NOT_HTTP, 0},
	{"\r\nHTTP/1.1 200 OK\r\n", HTTP_NOT_HTTP, 0},
	{" HTTP/1.1 200 OK\r\n", HTTP_NOT_HTTP, 0},
	{"http/1.1 200 OK\r\n", HTTP_NOT_HTTP, 0},
	{"HTTP/2.0 200 OK\r\n", HTTP_NOT_HTTP, 0},
	{"HTTP/1.1  200 OK\r\n", HTTP_NOT_HTTP, 0},
	{"HTTP/1.1 20 OK\r\n", HTTP_NOT_HTTP, 0},
	{"HTTP/1.1 2000 OK\r\n", HTTP_NOT_HTTP, 0},
	{"HTTP/1.1 20\r\n", HTTP_NOT_HTTP, 0},
	{"HTTP/1.1 20\n", HTTP_NOT_HTTP, 0},
	{"HTTP/1.1 \n", HTTP_NOT_HTTP, 0},
	{"HTTP/1.1 099 OK\r\n", HTTP_NOT_HTTP, 0},
	{"HTTP/1.1 -20 OK\r\n", HTTP_NOT_HTTP, 0},
	{"HTTP/1.1 200\tOK\r\n", HTTP_NOT_HTTP, 0},
	{"HTTP/1.1 200 \x01\r\n", HTTP_NOT_HTTP, 0},
	{"HTTP/1.1 100 Continue\r\n\r\n\x15\x03", HTTP_NOT_HTTP, 0},
	{"220 smtp ESMTP\r\n", HTTP_NOT_HTTP, 0},
};

/* In one piece, byte by byte, and split at each place: always the same verdict. */
START_TEST(answer_splits)
{
	const char *text = answers[_i].text;
	size_t length = strlen(text);

	for (size_t split = 0; split <= length; split++) {
		struct http_answer answer = {.state = 0};
		enum http_verdict verdict = http_answer_feed(&answer, text, split);

		if (verdict == HTTP_MORE)
			verdict = http_answer_feed(&answer, text + split, length - split);
		ck_assert_int_eq(verdict, answers[_i].verdict);
		ck_assert_int_eq(answer.status, answers[_i].status);
	}
}
END_TEST

/* No line end, heads without end, 1xx without end: all end at the limit. */
START_TEST(answer_limits)
{
	static const struct {
		const char *first, *again;
	} floods[] = {{"HTTP/1.1 200 ", "x"}, {"HTTP/1.1 100 Continue\r\n", "A: b\r\n"},
		{"", "HTTP/1.1 100 Continue\r\n\r\n"}, {"HTTP/1.1 100 ", " "}};
	struct http_answer answer = {.state = 0};
	enum http_verdict verdict;
	size_t fed = strlen(floods[_i].first);

	verdict = http_answer_feed(&answer, floods[_i].first, fed);
	while (verdict == HTTP_MORE && fed < 2 * HTTP_ANSWER_MAX) {
		verdict = http_answer_feed(&answer, floods[_i].again, strlen(floods[_i].again));
		fed += strlen(floods[_i].again);
	}
	ck_assert_int_eq(verdict, HTTP_TOO_LONG);
	ck_assert_uint_le(fed, HTTP_ANSWER_MAX + 64);
}
END_TEST

START_TEST(success_edges)
{
	ck_assert(!http_is_success(101));
	ck_assert(!http_is_success(199));
	ck_assert(http_is_success(200));
	ck_assert(http_is_success(399));
	ck_assert(!http_is_success(400));
}
END_TEST

#define HOST "Host: h\r\n"

static const struct {
	const char *text;
	int status;
	const char *path;
	bool is_head, keep_alive;
} requests[] = {
	{"GET / HTTP/1.1\r\n" HOST "\r\n", 200, "/", false, true},
	{"HEAD /readyz HTTP/1.1\r\n" HOST "\r\n", 200, "/readyz", true, true},
	{"GET /a?b=c?d HTTP/1.1\r\n" HOST "\r\n", 200, "/a", false, true},
	{"\r\nGET /x HTTP/1.1\r\n" HOST "\r\n", 200, "/x", false, true},
	{"GET /x HTTP/1.0\r\n\r\n", 200, "/x", false, false},
	{"GET /x HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 200, "/x", false, true},
	{"GET /x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 200, "/x", false, false},
	{"GET /x HTTP/1.1\r\n" HOST "connection: foo ,\tCLOSE\r\n\r\n", 200, "/x", false, false},
	{"GET /x HTTP/1.1\r\nhOsT:\r\n\r\n", 200, "/x", false, true},
	{"GET http://h/x?y HTTP/1.1\r\n" HOST "\r\n", 200, "/x", false, true},
	{"GET HTTP://h HTTP/1.1\r\n" HOST "\r\n", 200, "/", false, true},
	{"GET http://h?q HTTP/1.1\r\n" HOST "\r\n", 200, "/", false, true},
	{"GET /x HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 200, "/x", false, true},
	{"GET /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", 200, "/x", false, false},
	{"GET /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 200, "/x", false, false},
	{"GET /x HTTP/1.1\r\n" HOST "X: \xc3\xa4\ty\r\n\r\n", 200, "/x", false, true},
	{"POST / HTTP/1.1\r\n" HOST "\r\n", 405, NULL, false, false},
	{"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 405, NULL, false, false},
	{"get / HTTP/1.1\r\n" HOST "\r\n", 405, NULL, false, false},
	{"GET / HTTP/2.0\r\n" HOST "\r\n", 505, NULL, false, false},
	{"GET / HTTP/1.1\r\n\r\n", 400, NULL, false, false},
	{"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400, NULL, false, false},
	{"GET /\r\n\r\n", 400, NULL, false, false},
	{"GET / HTTP/1.1 \r\n" HOST "\r\n", 400, NULL, false, false},
	{"GET  / HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false, false},
	{" GET / HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false, false},
	{"GET x HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false, false},
	{"GET * HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false, false},
	{"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false, false},
	{"GET / HTTP/1.1\n" HOST "\n", 400, NULL, false, false},
	{"GET / HTTP/1.1\r\n" HOST "A b: c\r\n\r\n", 400, NULL, false, false},
	{"GET / HTTP/1.1\r\n" HOST "A : c\r\n\r\n", 400, NULL, false, false},
	{"GET / HTTP/1.1\r\n" HOST "A: b\r\n folded\r\n\r\n", 400, NULL, false, false},
	{"GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 400, NULL, false, false},
	{"GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", 400, NULL, false, false},
	{"GET / HTTP/1.1\r\n" HOST "A: \x01\r\n\r\n", 400, NULL, false, false},
	{"GET / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400, NULL, false, false},
	{"GET / HTTP/1.1\r\n" HOST "Content-Length: \r\n\r\n", 400, NULL, false, false},
	{"GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, NULL,
		false, false},
	{"\x16\x03\x01\x02", 400, NULL, false, false},
	{"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400, NULL, false, false},
};

START_TEST(request_whole)
{
	const char *text = requests[_i].text;
	struct http_request request;
	size_t used;

	ck_assert_int_eq(
		http_request_parse(text, strlen(text), &request, &used), requests[_i].status);
	ck_assert_int_eq(request.keep_alive, requests[_i].keep_alive);
	if (requests[_i].status != 200)
		return;
	ck_assert_uint_eq(used, strlen(text));
	ck_assert_int_eq(request.is_head, requests[_i].is_head);
	ck_assert(span_is(request.path, requests[_i].path));
}
END_TEST

/* What is good in the end is never refused half-way, and never taken too soon; what follows it does
 * not matter. */
START_TEST(request_pieces)
{
	const char *text = requests[_i].text;
	size_t length = strlen(text);
	struct http_request request;
	size_t used;

	for (size_t part = 0; part < length; part++) {
		char *exact =
			malloc(part > 0 ? part : 1); /* for the sanitizer to see a byte too much */
		int status;

		memcpy(exact, text, part);
		status = http_request_parse(exact, part, &request, &used);
		free(exact);
		if (requests[_i].status == 200)
			ck_assert_int_eq(status, 0);
		else
			ck_assert(status == 0 || status == requests[_i].status);
	}
	if (requests[_i].status == 200) {
		char two[512];

		snprintf(two, sizeof two, "%s%s", text, "GET / HTTP/1.1\r\n");
		ck_assert_int_eq(http_request_parse(two, strlen(two), &request, &used), 200);
		ck_assert_uint_eq(used, length);
	}
}
END_TEST

START_TEST(request_limit)
{
	static const char head[] = "GET / HTTP/1.1\r\n" HOST "X: ";
	char text[HTTP_HEAD_MAX + 100];
	struct http_request request;
	size_t used;

	memset(text, 'x', sizeof text);
	memcpy(text, head, sizeof head - 1);
	ck_assert_int_eq(http_request_parse(text, HTTP_HEAD_MAX - 1, &request, &used), 0);
	ck_assert_int_eq(http_request_parse(text, HTTP_HEAD_MAX, &request, &used), 431);
	ck_assert_int_eq(http_request_parse(text, sizeof text, &request, &used), 431);
	memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	ck_assert_int_eq(http_request_parse(text, HTTP_HEAD_MAX, &request, &used), 200);
	ck_assert_uint_eq(used, HTTP_HEAD_MAX);
	memset(text, 'G', HTTP_HEAD_MAX);
	ck_assert_int_eq(http_request_parse(text, HTTP_HEAD_MAX, &request, &used), 431);
}
END_TEST

START_TEST(reply)
{
	struct http_request request = {.keep_alive = true};
	char buf[512];
	size_t length =
		http_reply_build(200, &request, "text/plain", span_of("ok\n"), buf, sizeof buf - 1);

	buf[length] = '\0';
	ck_assert_str_eq(buf, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
			      "Cache-Control: no-store\r\nConnection: keep-alive\r\n\r\nok\n");
	for (size_t size = 0; size < length; size++)
		ck_assert_uint_eq(
			http_reply_build(200, &request, "text/plain", span_of("ok\n"), buf, size),
			0);
	request.is_head = true;
	length =
		http_reply_build(503, &request, "text/plain", span_of("no\n"), buf, sizeof buf - 1);
	buf[length] = '\0';
	ck_assert_str_eq(buf, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: "
			      "text/plain\r\nContent-Length: 3\r\n"
			      "Cache-Control: no-store\r\nConnection: keep-alive\r\n\r\n");
	length = http_reply_build(405, NULL, "text/plain", span_of("x"), buf, sizeof buf - 1);
	buf[length] = '\0';
	ck_assert_str_eq(buf,
		"HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\nContent-Length: "
		"1\r\n"
		"Cache-Control: no-store\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\nx");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http");
	TCase *client = tcase_create("client");
	TCase *server = tcase_create("server");
	SRunner *runner;
	int failed;

	tcase_add_test(client, call_plain);
	tcase_add_test(client, call_hosts);
	tcase_add_test(client, call_lengths);
	tcase_add_test(client, call_headers);
	tcase_add_test(client, call_too_large);
	tcase_add_loop_test(client, header_good, 0, COUNT(good_headers));
	tcase_add_loop_test(client, header_bad, 0, COUNT(bad_headers));
	tcase_add_test(client, header_long);
	tcase_add_loop_test(client, answer_splits, 0, COUNT(answers));
	tcase_add_loop_test(client, answer_limits, 0, 4);
	tcase_add_test(client, success_edges);
	suite_add_tcase(suite, client);
	tcase_add_loop_test(server, request_whole, 0, COUNT(requests));
	tcase_add_loop_test(server, request_pieces, 0, COUNT(requests));
	tcase_add_test(server, request_limit);
	tcase_add_test(server, reply);
	suite_add_tcase(suite, server);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
