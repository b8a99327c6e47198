/*
 * health_answer.c - where the health server listens and what it says: addresses, routes, texts.
 *
 * Pure but for health_bind(), which PID 1 calls before it starts anything. Called by shim.c and
 * health.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "format.h"
#include "health.h"
#include "names.h"
#include "out.h"
#include "parse.h"
#include "shim.h"

enum { BACKLOG = 128 };

int health_parse(const char *text, struct health_address *address, const char **expected)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon == NULL ? text : colon + 1;
	unsigned char binary[sizeof(struct in6_addr)];
	size_t length = colon == NULL ? 0 : (size_t)(colon - text);
	bool is_bracketed = length >= 2 && text[0] == '[' && text[length - 1] == ']';
	long number;

	*expected = "[ADDRESS:]PORT with a port from 1 to 65535";
	if (parse_number(port, 1, 65535, &number) < 0)
		return -1;
	if (is_bracketed) {
		text++;
		length -= 2;
	}
	*expected = "a numeric address before the port, IPv6 in brackets";
	if (length >= HEALTH_HOST_SIZE || (colon != NULL && length == 0))
		return -1;
	memcpy(address->host, text, length);
	address->host[length] = '\0';
	address->port = (uint16_t)number;
	if (length > 0 && inet_pton(is_bracketed ? AF_INET6 : AF_INET, address->host, binary) != 1)
		return -1;
	return 0;
}

/* family AF_INET6 without a host takes IPv4 as well. */
static int bind_one(int family, const char *host, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const int one = 1, both = 0;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int failed;

	if (fd < 0)
		return -1;
	/* A container that starts again at once finds connections of its predecessor in TIME_WAIT.
	 */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET) {
		if (host[0] != '\0')
			(void)inet_pton(AF_INET, host, &v4.sin_addr); /* was checked */
		failed = bind(fd, (struct sockaddr *)&v4, sizeof(v4));
	} else {
		if (host[0] != '\0')
			(void)inet_pton(AF_INET6, host, &v6.sin6_addr); /* was checked */
		else
			(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof(both));
		failed = bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	}
	if (failed == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	failed = errno;
	(void)close(fd); /* nothing was written to it */
	errno = failed;
	return -1;
}

int health_bind(const struct health_address *address, char *error, size_t size)
{
	const char *host = address->host;
	bool is_v6 = strchr(host, ':') != NULL;
	int fd = -1;

	if (is_v6 || host[0] == '\0')
		fd = bind_one(AF_INET6, host, address->port);
	/* No IPv6 in this kernel or namespace; EADDRINUSE would be hidden by a second try. */
	if (fd < 0 && !is_v6 && (host[0] != '\0' || (errno != EADDRINUSE && errno != EACCES)))
		fd = bind_one(AF_INET, host, address->port);
	if (fd < 0 && errno == EADDRINUSE)
		format_text(error, size, "port %u is in use", address->port);
	else if (fd < 0)
		format_text(error, size, "cannot listen on %s%sport %u: %s", host,
			host[0] != '\0' ? " " : "", address->port, error_text(errno));
	return fd;
}

uint16_t health_port(int listener)
{
	struct sockaddr_in6 address; /* the port is at the same place in an IPv4 one */
	socklen_t size = sizeof(address);

	memset(&address, 0, sizeof(address));
	(void)getsockname(listener, (struct sockaddr *)&address, &size); /* failed: 0 */
	return ntohs(address.sin6_port);
}

static void say(struct health_reply *reply, int status, const char *text)
{
	struct out out = {.buf = reply->body, .limit = sizeof(reply->body)};

	out_part(&out, text, false, sizeof(reply->body) - 8);
	out_put(&out, "\n", 1);
	reply->status = status;
	reply->type = NULL;
	reply->length = out.length;
}

/* The app's own words below ours. */
static void add_line(struct health_reply *reply, const char *text)
{
	struct out out = {
		.buf = reply->body, .limit = sizeof(reply->body), .length = reply->length};

	if (*text == '\0')
		return;
	out_part(&out, text, false, STATUS_TEXT_SIZE);
	out_put(&out, "\n", 1);
	reply->length = out.length;
}

void health_refuse(struct health_reply *reply, const char *reason)
{
	say(reply, 503, reason);
}

static const char *why_not(const struct status *s)
{
	if (s->reason[0] != '\0')
		return s->reason;
	return s->phase[0] != '\0' ? s->phase : "starting";
}

static void put_string(struct out *out, const char *name, const char *text)
{
	out_format(out, ",\"%s\":\"", name);
	out_part(out, text, true,
		(size_t)6 * STATUS_TEXT_SIZE); /* the longest escape: nothing is cut */
	out_put(out, "\"", 1);
}

static void put_start(struct out *out, const struct status *s, int64_t now_ns)
{
	int64_t up_ms = (now_ns - s->started_ns) / NS_PER_MS;
	char started[TIME_SIZE];

	if (s->started_ns == 0) {
		out_format(out, ",\"startedAt\":null,\"uptimeSeconds\":null");
		return;
	}
	format_time(s->started_wall_ns, started);
	started[sizeof "2026-11-26T17:45:42" - 1] = '\0'; /* to the second */
	out_format(out, ",\"startedAt\":\"%sZ\",\"uptimeSeconds\":%lld.%03lld", started,
		(long long)(up_ms / 1000), (long long)(up_ms % 1000));
}

static unsigned count_hooks(const struct status *s, bool failed)
{
	unsigned count = 0;

	for (int kind = 0; kind < HOOK_KINDS; kind++)
		count += s->hook_counts[kind][failed];
	return count;
}

static void tell_status(const struct status *s, const struct health_numbers *n, int64_t now_ns,
	struct health_reply *reply)
{
	struct out out = {.buf = reply->body, .limit = sizeof(reply->body)};

	out_format(&out, "{\"ready\":%s,\"started\":%s", s->is_ready ? "true" : "false",
		s->was_running ? "true" : "false");
	put_string(&out, "phase", s->phase);
	put_string(&out, "reason", s->is_ready ? "" : why_not(s));
	if (s->app_pid > 0)
		out_format(&out, ",\"pid\":%d", s->app_pid);
	else
		out_format(&out, ",\"pid\":null");
	put_start(&out, s, now_ns);
	out_format(&out, ",\"activeConnections\":%u,\"hooks\":{\"done\":%u,\"failed\":%u",
		n->active, count_hooks(s, false), count_hooks(s, true));
	put_string(&out, "running", s->hook);
	out_put(&out, "}", 1);
	if (n->said[0] != '\0')
		put_string(&out, "appStatus", n->said);
	out_put(&out, "}\n", 2);
	reply->status = 200;
	reply->type = "application/json";
	reply->length = out.length;
	if (out.full) /* hundreds of control characters in a name: no half JSON */
		say(reply, 500, "too long");
}

void health_answer(const struct status *s, const struct health_numbers *numbers, int64_t now_ns,
	struct span path, struct health_reply *reply)
{
	reply->needs_probe = false;
	if (span_is(path, "/livez")) {
		say(reply, 200, "ok");
	} else if (span_is(path, "/readyz")) {
		say(reply, s->is_ready ? 200 : 503, s->is_ready ? "ok" : why_not(s));
		add_line(reply, numbers->said);
		reply->needs_probe = s->is_ready;
	} else if (span_is(path, "/startupz")) {
		say(reply, s->was_running ? 200 : 503, s->was_running ? "ok" : why_not(s));
	} else if (span_is(path, "/status")) {
		tell_status(s, numbers, now_ns, reply);
	} else if (span_is(path, "/metrics")) {
		health_metrics(s, numbers, now_ns, reply);
	} else {
		say(reply, 404,
			"not found: there are /livez, /readyz, /startupz, /status and /metrics");
	}
}
