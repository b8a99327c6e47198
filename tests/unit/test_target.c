/*
 * test_target.c - target.h: texts taken apart and refused, tries at servers of the test's own that
 * behave and that do not, waiting. Loopback only; every server ends with its test, after ten
 * seconds at the latest.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "net.h"
#include "shim.h"
#include "target.h"
#include "util.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { SERVER_SECONDS = 10 };

static char reason[TARGET_REASON_SIZE];

/* --- texts
 * ----------------------------------------------------------------------------------------------------
 */

static const struct {
	const char *text;
	enum target_kind kind;
	const char *host;
	uint16_t port;
	const char *path;
	bool is_bracketed, has_default_port;
} good[] = {
	{"tcp://db:5432", TARGET_TCP, "db", 5432, "", false, false},
	{"TCP://db.example.:1", TARGET_TCP, "db.example.", 1, "", false, false},
	{"tcp://:65535", TARGET_TCP, "", 65535, "", false, false},
	{"tcp://[::1]:80", TARGET_TCP, "::1", 80, "", true, false},
	{"tcp://10.0.0.1:080", TARGET_TCP, "10.0.0.1", 80, "", false, false},
	{"tcp://[fe80::1%eth0]:80", TARGET_TCP, "fe80::1%eth0", 80, "", true, false},
	{"http://a_b-c/", TARGET_HTTP, "a_b-c", 80, "/", false, true},
	{"http://h", TARGET_HTTP, "h", 80, "", false, true},
	{"http://:8080/quit", TARGET_HTTP, "", 8080, "/quit", false, false},
	{"http:///quit", TARGET_HTTP, "", 80, "/quit", false, true},
	{"http://h:80/a?b#c", TARGET_HTTP, "h", 80, "/a?b", false, false},
	{"http://h?b:c@d", TARGET_HTTP, "h", 80, "?b:c@d", false, true},
	{"http://h#c", TARGET_HTTP, "h", 80, "", false, true},
	{"https://h/x", TARGET_HTTPS, "h", 443, "/x", false, true},
	{"https://[2001:db8::1]/x", TARGET_HTTPS, "2001:db8::1", 443, "/x", true, true},
	{"unix:/run/a b.sock", TARGET_UNIX, "", 0, "/run/a b.sock", false, false},
	{"unix:@name", TARGET_UNIX, "", 0, "@name", false, false},
	{"file:/tmp/x:y", TARGET_FILE, "", 0, "/tmp/x:y", false, false},
	{"file:rel", TARGET_FILE, "", 0, "rel", false, false},
};

START_TEST(parse_good)
{
	struct target t;

	ck_assert_int_eq(target_parse(good[_i].text, &t, reason, sizeof reason), 0);
	ck_assert_int_eq(t.kind, good[_i].kind);
	ck_assert_ptr_eq(t.text, good[_i].text);
	ck_assert(span_is(t.host, good[_i].host));
	ck_assert_uint_eq(t.port, good[_i].port);
	ck_assert(span_is(t.path, good[_i].path));
	ck_assert_int_eq(t.is_bracketed, good[_i].is_bracketed);
	ck_assert_int_eq(t.has_default_port, good[_i].has_default_port);
}
END_TEST

#define KINDS "tcp://HOST:PORT"
#define PORTS "a port from 1 to 65535"

static const struct {
	const char *text, *expected;
} bad[] = {
	{"", KINDS},
	{"db:5432", KINDS},
	{"ftp://h/", KINDS},
	{"tcp:db:1", KINDS},
	{" http://h/", KINDS},
	{"tcp://db", PORTS},
	{"tcp://db:", PORTS},
	{"tcp://db:0", PORTS},
	{"tcp://db:65536", PORTS},
	{"tcp://db:100000", PORTS},
	{"tcp://db:4294967297", PORTS},
	{"tcp://db:+1", PORTS},
	{"tcp://db:-1", PORTS},
	{"tcp://db:8o", PORTS},
	{"tcp://[::1]", PORTS},
	{"http://h:/", PORTS},
	{"tcp://db:1/", "nothing after the port"},
	{"tcp://db:1?x", "nothing after the port"},
	{"tcp://::1:80", "brackets"},
	{"tcp://[::1:80", "']'"},
	{"tcp://[h]:80", "an IPv6 address"},
	{"tcp://[]:80", "an IPv6 address"},
	{"tcp://[1.2.3.4]:80", "an IPv6 address"},
	{"tcp://[::1%]:80", "an IPv6 address"},
	{"tcp://[::1]80", "after the ']'"},
	{"tcp://a b:80", "no blank"},
	{"tcp://a,b:80", "a host name"},
	{"tcp://a%20b:80", "a host name"},
	{"http://user:pass@h/", "no user name"},
	{"http://h/a b", "no blank"},
	{"http://h/a\r\nX: y", "no control"},
	{"http://h/\x7f", "no control"},
	{"http://h\n/", "no control"},
	{"unix:", "a path"},
	{"file:", "a path"},
	{"file:/a\nb", "no control"},
};

START_TEST(parse_bad)
{
	struct target t;

	ck_assert_int_eq(target_parse(bad[_i].text, &t, reason, sizeof reason), -1);
	ck_assert_msg(strstr(reason, bad[_i].expected) != NULL, "'%s': %s", bad[_i].text, reason);
}
END_TEST

/* The longest that is allowed, and one more. */
START_TEST(parse_lengths)
{
	static const struct {
		const char *before, *after;
		size_t most;
	} limits[] = {{"unix:", "", 107}, {"file:", "", 4095}, {"http://h/", "", 4095},
		{"tcp://", ":1", 253}};
	char text[8192];
	struct target t;

	for (size_t extra = 0; extra < 2; extra++) {
		char middle[4200];

		memset(middle, 'a', sizeof middle);
		middle[limits[_i].most + extra] = '\0';
		snprintf(text, sizeof text, "%s%s%s", limits[_i].before, middle, limits[_i].after);
		ck_assert_int_eq(
			target_parse(text, &t, reason, sizeof reason), extra == 0 ? 0 : -1);
	}
}
END_TEST

static const struct {
	const char *text, *method, *path;
} hooks[] = {
	{"http://h/p", "", "/p"},
	{"POST http://:15020/quitquitquit", "POST", "/quitquitquit"},
	{"DELETE   https://h", "DELETE", ""},
	{"X http://h/", "X", "/"},
};

START_TEST(hook_good)
{
	struct target t;

	ck_assert(target_is_hook_url(hooks[_i].text));
	ck_assert_int_eq(target_parse_hook(hooks[_i].text, &t, reason, sizeof reason), 0);
	ck_assert(span_is(t.method, hooks[_i].method));
	ck_assert(span_is(t.path, hooks[_i].path));
}
END_TEST

static const char *const commands[] = {"", "curl http://h/", "post http://h/", "GET", "GET ",
	"GET curl", "GET\thttp://h/", "/bin/http://h", "ABCDEFGHIJKLMNOPQ http://h/", "tcp://h:1",
	"HTTP", "GET POST http://h/"};

START_TEST(hook_commands)
{
	ck_assert(!target_is_hook_url(commands[_i]));
}
END_TEST

static const char *const bad_hooks[] = {"POST http://h/ x", "GET http://h:0/", "http://h/\r\n",
	"CONNECT http://h/", "GET tcp://h:1", "sleep 1"};

START_TEST(hook_bad)
{
	struct target t;

	ck_assert_int_eq(target_parse_hook(bad_hooks[_i], &t, reason, sizeof reason), -1);
	ck_assert_str_ne(reason, "");
}
END_TEST

/* --- servers
 * ---------------------------------------------------------------------------------------------------
 */

static pid_t server;
static char request_file[64];

/* A listening socket on a port of the kernel's choice (0), or on that one. */
static int listen_on(const char *address, uint16_t *port)
{
	struct net_address a;
	int on = 1;
	int fd;

	ck_assert(net_parse_address(span_of(address), &a));
	if (a.any.sa_family == AF_INET)
		a.v4.sin_port = htons(*port);
	else
		a.v6.sin6_port = htons(*port);
	fd = socket(a.any.sa_family, SOCK_STREAM, 0);
	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	ck_assert_int_eq(bind(fd, &a.any, a.length), 0);
	ck_assert_int_eq(getsockname(fd, &a.any, &a.length), 0);
	*port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

enum manner { SAYS, SAYS_AND_HOLDS, DRIPS, FLOODS, RESETS };

struct script {
	enum manner manner;
	const char *text;
	const char *reason; /* what target_probe() says; NULL: success */
};

static void wait_for_peer(int fd)
{
	char c[512];

	while (read(fd, c, sizeof c) > 0)
		;
}

static void behave(int fd, const struct script *s)
{
	struct linger hard = {1, 0};
	char request[4096];
	ssize_t n = s->manner == RESETS ? 0 : read(fd, request, sizeof request);
	FILE *f = fopen(request_file, "w");

	if (f != NULL) {
		fwrite(request, 1, n > 0 ? (size_t)n : 0, f);
		fclose(f);
	}
	if (s->manner == RESETS)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	if (s->manner == DRIPS)
		for (const char *c = s->text; *c != '\0' && write(fd, c, 1) == 1; c++)
			usleep(100000);
	else if (write(fd, s->text, strlen(s->text)) < 0)
		return;
	while (s->manner == FLOODS && write(fd, s->text, strlen(s->text)) > 0)
		;
	if (s->manner == SAYS_AND_HOLDS)
		wait_for_peer(fd);
}

/* Serves every connection alike until the test ends. */
static void serve(int listener, const struct script *script)
{
	server = fork();
	ck_assert_int_ge(server, 0);
	if (server != 0) {
		close(listener);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	alarm(SERVER_SECONDS);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		behave(fd, script);
		close(fd);
	}
}

static void setup(void)
{
	server = 0;
	snprintf(request_file, sizeof request_file, "/tmp/test_target.%d", (int)getpid());
	log_init(NULL, LEVEL_FATAL);
}

static void teardown(void)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	unlink(request_file);
}

static int probe_ms(const char *text, int ms)
{
	struct probe_options options = {.timeout_ns = ms * NS_PER_MS};
	struct target t;

	memset(reason, 0, sizeof reason);
	ck_assert_int_eq(target_parse(text, &t, reason, sizeof reason), 0);
	return target_probe(&t, &options, reason, sizeof reason);
}

static int probe_port(const char *format, uint16_t port, int ms)
{
	char text[128];

	snprintf(text, sizeof text, format, port);
	return probe_ms(text, ms);
}

static const struct script scripts[] = {
	{SAYS, "HTTP/1.1 200 OK\r\n\r\n", NULL},
	{SAYS, "HTTP/1.0 204 No Content\r\n", NULL},
	{SAYS, "HTTP/1.1 301 Moved\r\nLocation: http://nowhere.invalid/\r\n\r\n", NULL},
	{SAYS_AND_HOLDS, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", NULL},
	{SAYS_AND_HOLDS, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", NULL},
	{DRIPS, "HTTP/1.1 200\n", NULL},
	{SAYS, "HTTP/1.1 503 No\r\n\r\n", "status 503"},
	{SAYS, "HTTP/1.1 405 No\r\n\r\n", "status 405"},
	{SAYS, "\x15\x03\x03\x00\x02\x02\x16", "the port speaks TLS"},
	{SAYS, "SSH-2.0-x\r\n", "not HTTP"},
	{SAYS, "", "connection closed without an answer"},
	{SAYS, "HTTP/1.1 200 OK", "connection closed within the answer"},
	{RESETS, "", "connection reset by peer"},
	{FLOODS, "HTTP/1.1 100 Continue\r\n\r\n", "no status in 16 KiB of answer"},
	{SAYS_AND_HOLDS, "", "timed out after 0.5s (waiting for the answer)"},
	{SAYS_AND_HOLDS, "HTTP/1.1 200 OK", "timed out after 0.5s (waiting for the answer)"},
	{DRIPS, "HTTP/1.1 200 a reason that never comes to its end",
		"timed out after 0.5s (waiting for the answer)"},
	{DRIPS, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
		"timed out after 0.5s (waiting for the answer)"},
};

START_TEST(http_answers)
{
	const struct script *s = &scripts[_i];
	bool is_timeout = s->reason != NULL && strncmp(s->reason, "timed out", 9) == 0;
	uint16_t port = 0;
	int64_t began;
	int result;

	serve(listen_on("127.0.0.1", &port), s);
	began = clock_now_ns();
	result = probe_port("http://127.0.0.1:%d/x", port, is_timeout ? 500 : 5000);
	began = clock_now_ns() - began;
	ck_assert_msg(result == (s->reason == NULL ? 0 : -1), "%d: %s", result, reason);
	ck_assert_str_eq(reason, s->reason != NULL ? s->reason : "");
	ck_assert_int_lt(began, 4 * NS_PER_S);
	if (is_timeout)
		ck_assert_int_ge(began, 500 * NS_PER_MS);
}
END_TEST

/* The request arrives as built: method, host, the user's headers. */
START_TEST(http_request)
{
	static const char *const headers[] = {"X-A: b"};
	static const struct script ok = {SAYS, "HTTP/1.1 200 OK\r\n\r\n", NULL};
	struct probe_options options = {.headers = headers, .header_count = 1};
	struct target t;
	uint16_t port = 0;
	char text[64];
	char expected[128];
	char got[512] = "";
	FILE *f;

	serve(listen_on("127.0.0.1", &port), &ok);
	snprintf(text, sizeof text, "POST http://:%d/quitquitquit", port);
	ck_assert_int_eq(target_parse_hook(text, &t, reason, sizeof reason), 0);
	ck_assert_int_eq(target_probe(&t, &options, reason, sizeof reason), 0);
	f = fopen(request_file, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_gt(fread(got, 1, sizeof got - 1, f), 0);
	fclose(f);
	snprintf(expected, sizeof expected, "POST /quitquitquit HTTP/1.1\r\nHost: localhost:%d\r\n",
		port);
	ck_assert_uint_eq(strncmp(got, expected, strlen(expected)), 0);
	ck_assert_ptr_nonnull(strstr(got, "\r\nX-A: b\r\n"));
	ck_assert_ptr_nonnull(strstr(got, "\r\nContent-Length: 0\r\n"));
}
END_TEST

static const struct {
	const char *listens, *target;
} families[] = {{"127.0.0.1", "http://:%d/"}, {"::1", "http://:%d/"}, {"0.0.0.0", "http://:%d/"},
	{"::1", "http://localhost:%d/"}, {"::1", "http://[::1]:%d/"},
	{"127.0.0.1", "tcp://LOCALHOST:%d"}, {"::1", "tcp://:%d"}};

START_TEST(family)
{
	static const struct script ok = {SAYS, "HTTP/1.1 200 OK\r\n\r\n", NULL};
	uint16_t port = 0;

	serve(listen_on(families[_i].listens, &port), &ok);
	ck_assert_msg(probe_port(families[_i].target, port, 5000) == 0, "%s", reason);
}
END_TEST

static uint16_t closed_port(void)
{
	uint16_t port = 0;

	close(listen_on("127.0.0.1", &port));
	return port;
}

START_TEST(refused)
{
	static const char *const texts[] = {
		"tcp://127.0.0.1:%d", "tcp://:%d", "tcp://[::1]:%d", "http://:%d/", "https://:%d/"};

	ck_assert_int_eq(probe_port(texts[_i], closed_port(), 5000), -1);
	ck_assert_str_eq(reason, "connection refused");
}
END_TEST

/* A full backlog: the kernel drops our SYN, as a firewall would. */
START_TEST(silent_address)
{
	uint16_t port = 0;
	int listener = listen_on("127.0.0.1", &port);
	struct net_address a;
	int fds[8];

	ck_assert_int_eq(listen(listener, 0), 0);
	net_parse_address(span_of("127.0.0.1"), &a);
	a.v4.sin_port = htons(port);
	for (size_t i = 0; i < COUNT(fds); i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fds[i], &a.any, a.length);
	}
	ck_assert_int_eq(probe_port("tcp://127.0.0.1:%d", port, 300), -1);
	ck_assert_str_eq(reason, "timed out after 0.3s (connecting)");
	/* ... and does not keep the next address from being tried. */
	{
		struct net_addresses two = {.count = 2, .list = {a}};
		uint16_t other = 0;
		int second = listen_on("127.0.0.1", &other);
		int fd = dup(0);
		int lowest = fd;

		close(fd);

		two.list[1] = a;
		two.list[1].v4.sin_port = htons(other);
		fd = net_connect(&two, clock_now_ns() + 5 * NS_PER_S);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(getpeername(fd, &a.any, &a.length), 0);
		ck_assert_uint_eq(ntohs(a.v4.sin_port), other);
		ck_assert_int_eq(dup(0), lowest); /* the one that lost is closed */
		close(lowest);
		close(second);
		close(fd);
	}
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
	close(listener);
}
END_TEST

/* Bytes that are there do not hide that the time is up. */
START_TEST(deadline_before_data)
{
	int fds[2];
	char c;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert_int_eq(net_read(fds[0], &c, 1, clock_now_ns() - 1), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(net_read(fds[0], &c, 1, clock_now_ns() + NS_PER_S), 1);
	ck_assert_int_eq(net_read(fds[0], &c, 1, clock_now_ns() + NS_PER_MS), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	close(fds[1]);
	ck_assert_int_eq(net_read(fds[0], &c, 1, clock_now_ns() + NS_PER_S), 0);
	ck_assert_int_eq(net_write(fds[0], "x", 1, clock_now_ns() + NS_PER_S), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(fds[0]);
}
END_TEST

/* A reader that reads nothing. */
START_TEST(write_is_bounded)
{
	char *much = calloc(1, 8 << 20);
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(net_write(fds[0], much, 8 << 20, clock_now_ns() + 200 * NS_PER_MS), -1);
	ck_assert_int_eq(errno, ETIMEDOUT);
	close(fds[0]);
	close(fds[1]);
	free(much);
}
END_TEST

/* What the first address said counts, not that the second has no route. */
START_TEST(first_error_counts)
{
	struct net_addresses two = {.count = 2};

	net_parse_address(span_of("127.0.0.1"), &two.list[0]);
	two.list[0].v4.sin_port = htons(closed_port());
	net_parse_address(span_of("224.0.0.1"), &two.list[1]); /* ENETUNREACH: no TCP there */
	two.list[1].v4.sin_port = htons(1);
	ck_assert_int_eq(net_connect(&two, clock_now_ns() + 2 * NS_PER_S), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	two.list[0] = two.list[1];
	net_parse_address(span_of("127.0.0.1"), &two.list[1]);
	two.list[1].v4.sin_port = htons(closed_port());
	ck_assert_int_eq(net_connect(&two, clock_now_ns() + 2 * NS_PER_S), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
}
END_TEST

static void bind_unix(const char *path, int type)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type, 0);
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) +
				       (path[0] != '@'));

	strcpy(a.sun_path, path);
	if (path[0] == '@')
		a.sun_path[0] = '\0';
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, length), 0);
	if (type != SOCK_DGRAM)
		ck_assert_int_eq(listen(fd, 4), 0);
}

START_TEST(unix_sockets)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
	char text[128];

	snprintf(text, sizeof text, "unix:%s", request_file);
	ck_assert_int_eq(probe_ms(text, 1000), -1);
	ck_assert_str_eq(reason, "no such file or directory");
	bind_unix(request_file, types[_i]);
	ck_assert_msg(probe_ms(text, 1000) == 0, "%s", reason);
	snprintf(text, sizeof text, "unix:@test_target.%d", (int)getpid());
	ck_assert_int_eq(probe_ms(text, 1000), -1);
	ck_assert_str_eq(reason, "connection refused");
	bind_unix(text + 5, types[_i]);
	ck_assert_msg(probe_ms(text, 1000) == 0, "%s", reason);
}
END_TEST

START_TEST(files)
{
	char text[128];
	FILE *f;

	snprintf(text, sizeof text, "file:%s", request_file);
	ck_assert_int_eq(probe_ms(text, 1000), -1);
	ck_assert_str_eq(reason, "no such file or directory");
	f = fopen(request_file, "w");
	fclose(f);
	ck_assert_int_eq(probe_ms(text, 1000), 0);
	ck_assert_int_eq(probe_ms("file:/", 1000), 0);
}
END_TEST

/* No descriptor and no process is left, whatever came of it. */
START_TEST(nothing_is_left)
{
	uint16_t port = 0;
	int listener = listen_on("127.0.0.1", &port);
	int lowest = dup(0);

	close(lowest);
	(void)probe_port("tcp://:%d", closed_port(), 1000);
	(void)probe_ms("tcp://nosuch.invalid:1", 2000);
	(void)probe_port("http://:%d/", port, 200);
	(void)probe_port("https://:%d/", port, 200);
	ck_assert_int_eq(probe_port("tcp://:%d", port, 1000), 0);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(dup(0), lowest);
	close(lowest);
	close(listener);
}
END_TEST

/* --- waiting
 * ---------------------------------------------------------------------------------------------------
 */

static int wait_ms(const char *text, int interval, int ms)
{
	struct target t;

	ck_assert_int_eq(target_parse(text, &t, reason, sizeof reason), 0);
	return target_wait(&t, NULL, interval * NS_PER_MS, clock_now_ns() + ms * NS_PER_MS, reason,
		sizeof reason);
}

START_TEST(wait_in_vain)
{
	int64_t began = clock_now_ns();
	char text[64];

	snprintf(text, sizeof text, "http://127.0.0.1:%d/", closed_port());
	ck_assert_int_eq(wait_ms(text, 50, 700), -1);
	ck_assert_str_eq(reason, "connection refused");
	began = clock_now_ns() - began;
	ck_assert_int_ge(began, 700 * NS_PER_MS);
	ck_assert_int_lt(began, 4 * NS_PER_S);
}
END_TEST

/* A hanging try is cut at the end of all waiting. */
START_TEST(wait_cut_short)
{
	static const struct script silent = {SAYS_AND_HOLDS, "", NULL};
	int64_t began = clock_now_ns();
	uint16_t port = 0;
	char text[64];

	serve(listen_on("127.0.0.1", &port), &silent);
	snprintf(text, sizeof text, "http://127.0.0.1:%d/", port);
	ck_assert_int_eq(wait_ms(text, 1000, 400), -1);
	ck_assert_ptr_nonnull(strstr(reason, "timed out after 0.4s"));
	ck_assert_int_lt(clock_now_ns() - began, 4 * NS_PER_S);
}
END_TEST

START_TEST(wait_comes_up)
{
	char text[128];

	snprintf(text, sizeof text, "file:%s", request_file);
	server = fork();
	if (server == 0) {
		usleep(400000);
		_exit(fopen(request_file, "w") == NULL);
	}
	ck_assert_int_eq(wait_ms(text, 100, 9000), 0);
	ck_assert_str_eq(reason, "no such file or directory");
}
END_TEST

static Suite *target_suite(void)
{
	Suite *suite = suite_create("target");
	TCase *texts = tcase_create("texts");
	TCase *tries = tcase_create("tries");

	tcase_add_loop_test(texts, parse_good, 0, COUNT(good));
	tcase_add_loop_test(texts, parse_bad, 0, COUNT(bad));
	tcase_add_loop_test(texts, parse_lengths, 0, 4);
	tcase_add_loop_test(texts, hook_good, 0, COUNT(hooks));
	tcase_add_loop_test(texts, hook_commands, 0, COUNT(commands));
	tcase_add_loop_test(texts, hook_bad, 0, COUNT(bad_hooks));
	suite_add_tcase(suite, texts);
	tcase_add_checked_fixture(tries, setup, teardown);
	tcase_set_timeout(tries, 30);
	tcase_add_loop_test(tries, http_answers, 0, COUNT(scripts));
	tcase_add_test(tries, http_request);
	tcase_add_loop_test(tries, family, 0, COUNT(families));
	tcase_add_loop_test(tries, refused, 0, 5);
	tcase_add_test(tries, silent_address);
	tcase_add_test(tries, deadline_before_data);
	tcase_add_test(tries, write_is_bounded);
	tcase_add_test(tries, first_error_counts);
	tcase_add_loop_test(tries, unix_sockets, 0, 3);
	tcase_add_test(tries, files);
	tcase_add_test(tries, nothing_is_left);
	tcase_add_test(tries, wait_in_vain);
	tcase_add_test(tries, wait_cut_short);
	tcase_add_test(tries, wait_comes_up);
	suite_add_tcase(suite, tries);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(target_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
