/*
 * probe.c - one try at a target, waiting for one, and --check.
 *
 * A try has one deadline over all it does. Nothing the other side sends is repeated in a reason but
 * the status number, so a reason is safe to log and to keep. Run in children of PID 1, or as `shim
 * --check`.
 */
#include "target.h"

#include "format.h"
#include "log.h"
#include "names.h"
#include "net.h"
#include "shim.h"
#include "tls.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HOST_SIZE = 256, READ_SIZE = 4096 };

/* One try under way. */
struct attempt {
	const struct target *target;
	const struct probe_options *options;
	int64_t deadline_ns;
	int64_t timeout_ns;
	const char *stage; /* for "timed out": what it was busy with */
	char *reason;
	size_t size;
	int fd;
	struct net_address peer;
	struct tls *tls;
};

static int fail(struct attempt *a, const char *words)
{
	format_text(a->reason, a->size, "%s", words);
	return -1;
}

/* "connection refused": the system's words, without their capital. */
static int fail_errno(struct attempt *a, int error)
{
	char duration[DURATION_SIZE];

	if (error == ETIMEDOUT && clock_now_ns() >= a->deadline_ns) {
		format_text(a->reason, a->size, "timed out after %s (%s)",
			format_duration(a->timeout_ns, duration), a->stage);
		return -1;
	}
	(void)fail(a, error_text(error));
	if (a->size > 1 && a->reason[0] >= 'A' && a->reason[0] <= 'Z' && a->reason[1] >= 'a')
		a->reason[0] = (char)(a->reason[0] | 0x20);
	return -1;
}

static int fail_tls(struct attempt *a, int error)
{
	return error == EPROTO && tls_problem(a->tls) != NULL ? fail(a, tls_problem(a->tls))
							      : fail_errno(a, error);
}

static int resolve(struct attempt *a, struct net_addresses *addresses)
{
	a->stage = "looking up the name";
	switch (net_resolve(a->target->host, a->target->port, a->deadline_ns, addresses)) {
	case NET_FOUND:
		return 0;
	case NET_NO_NAME:
		return fail(a, "name not found");
	case NET_NO_ADDRESS:
		return fail(a, "the name has no address");
	case NET_AGAIN:
		return fail(a, "name server not available");
	case NET_TIMED_OUT:
		return fail_errno(a, ETIMEDOUT);
	case NET_FAILED:
	default:
		return fail(a, "the name cannot be looked up");
	}
}

static int connect_host(struct attempt *a)
{
	struct net_addresses addresses;

	if (resolve(a, &addresses) != 0)
		return -1;
	a->stage = "connecting";
	a->fd = net_connect(&addresses, a->deadline_ns);
	if (a->fd < 0)
		return fail_errno(a, errno);
	a->peer.length = sizeof a->peer.v6;
	/* Asked now: after a reset the socket has forgotten it. */
	if (getpeername(a->fd, &a->peer.any, &a->peer.length) != 0)
		return fail_errno(a, errno);
	return 0;
}

/* The host as text for TLS: no zone, and localhost where none was given. */
static void host_text(const struct target *target, char *text)
{
	struct span host = target->host.length > 0 ? target->host : span_of("localhost");
	size_t length = 0;

	while (length < host.length && length < HOST_SIZE - 1 && host.at[length] != '%') {
		text[length] = host.at[length];
		length++;
	}
	text[length] = '\0';
}

static int open_tls(struct attempt *a)
{
	char name[HOST_SIZE];

	if (a->target->kind != TARGET_HTTPS)
		return 0;
	host_text(a->target, name);
	a->stage = "TLS handshake";
	a->tls = tls_open(a->fd, name, a->options->ca_file, a->reason, a->size);
	return a->tls != NULL ? 0 : -1;
}

static int send_request(struct attempt *a)
{
	char request[HTTP_REQUEST_MAX];
	const struct target *t = a->target;
	struct http_call call = {
		.method = t->method,
		.host = t->host,
		.is_bracketed = t->is_bracketed,
		.port = t->has_default_port ? 0 : t->port,
		.path = t->path,
		.headers = a->options->headers,
		.header_count = a->options->header_count,
	};
	size_t length = http_call_build(&call, request, sizeof request);

	if (length == 0)
		return fail(a, "the request is longer than 8 KiB");
	if (a->tls != NULL)
		return tls_write(a->tls, request, length, a->deadline_ns) < 0 ? fail_tls(a, errno)
									      : 0;
	/* A server that is full may answer and close before it has read: what it says counts. */
	if (net_write(a->fd, request, length, a->deadline_ns) < 0 && errno != EPIPE &&
		errno != ECONNRESET)
		return fail_errno(a, errno);
	return 0;
}

/*
 * OpenSSL, and so most servers in Python, Ruby or Node, closes a TLS port that is spoken to in
 * clear without a word. One look with the start of a handshake tells it from a server in trouble:
 * any answer to it is a record.
 */
static bool speaks_tls(struct attempt *a)
{
	static const unsigned char hello[] = {
		0x16, 0x03, 0x01, 0x00, 0x2f, /* record: handshake, 47 bytes */
		0x01, 0x00, 0x00, 0x2b,       /* ClientHello, 43 bytes */
		0x03, 0x03,  /* TLS 1.2; 32 bytes of random, of which none is needed here */
		[43] = 0x00, /* no session */
		0x00, 0x04, 0xc0, 0x2f, 0x00, 0xff, /* two suites */
		0x01, 0x00,                         /* one compression: none */
	};
	int64_t limit = clock_now_ns() + NS_PER_S;
	unsigned char answer[2] = {0};
	ssize_t n = -1;
	int fd;

	limit = limit < a->deadline_ns ? limit : a->deadline_ns;
	fd = net_connect_one(&a->peer, SOCK_STREAM, limit);
	if (fd < 0)
		return false;
	if (net_write(fd, hello, sizeof hello, limit) > 0)
		n = net_read(fd, answer, sizeof answer, limit);
	(void)close(fd); /* the answer is in hand */
	return n == sizeof answer && (answer[0] == 0x15 || answer[0] == 0x16) && answer[1] == 3;
}

/* The server closed; error is 0 or how reading failed. */
static int judge_close(struct attempt *a, const struct http_answer *answer, int error)
{
	if (answer->count == 0 && a->tls == NULL && speaks_tls(a))
		return fail(a, "the port speaks TLS");
	if (error != 0)
		return fail_errno(a, error);
	return fail(a, answer->count == 0 ? "connection closed without an answer"
					  : "connection closed within the answer");
}

static int judge_status(struct attempt *a, int status)
{
	if (http_is_success(status))
		return 0;
	format_text(a->reason, a->size, "status %d", status);
	return -1;
}

static int read_status(struct attempt *a)
{
	struct http_answer answer = {.state = 0};
	enum http_verdict verdict = HTTP_MORE;
	char data[READ_SIZE];

	a->stage = "waiting for the answer";
	while (verdict == HTTP_MORE) {
		ssize_t n = a->tls != NULL ? tls_read(a->tls, data, sizeof data, a->deadline_ns)
					   : net_read(a->fd, data, sizeof data, a->deadline_ns);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return judge_close(a, &answer, n < 0 ? errno : 0);
		if (n < 0)
			return a->tls != NULL ? fail_tls(a, errno) : fail_errno(a, errno);
		verdict = http_answer_feed(&answer, data, (size_t)n);
	}
	switch (verdict) {
	case HTTP_STATUS:
		return judge_status(a, answer.status);
	case HTTP_SPEAKS_TLS:
		return fail(a, "the port speaks TLS");
	case HTTP_TOO_LONG:
		return fail(a, "no status in 16 KiB of answer");
	case HTTP_NOT_HTTP:
	case HTTP_MORE:
	default:
		return fail(a, "not HTTP");
	}
}

static int probe_http(struct attempt *a)
{
	char rest[READ_SIZE];
	int result = -1;

	if (connect_host(a) != 0)
		return -1;
	if (open_tls(a) == 0 && send_request(a) == 0)
		result = read_status(a);
	/* What has come already is taken: closing over unread bytes would tell the server that its
	 * answer was lost. More is not waited for. */
	if (result == 0 && a->tls == NULL)
		(void)recv(a->fd, rest, sizeof rest, MSG_DONTWAIT);
	return result;
}

/* Whether it is a stream, datagram or packet socket is the server's to know. */
static int probe_unix(struct attempt *a)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
	struct span path = a->target->path;
	struct net_address address = {.length = 0};
	int error = 0;

	a->stage = "connecting";
	address.local.sun_family = AF_UNIX;
	if (path.length >= sizeof address.local.sun_path)
		return fail_errno(a, ENAMETOOLONG);
	memcpy(address.local.sun_path, path.at, path.length);
	address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.length + 1);
	if (path.at[0] == '@') { /* the abstract namespace, whose names begin with a NUL and do not
				    end with one */
		address.local.sun_path[0] = '\0';
		address.length--;
	}
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		a->fd = net_connect_one(&address, types[i], a->deadline_ns);
		if (a->fd >= 0)
			return 0;
		if (error == 0 || error == EPROTOTYPE)
			error = errno;
		/* Of another type: a path says so, in the abstract namespace it is simply not
		 * found. */
		if (errno != EPROTOTYPE && errno != ECONNREFUSED)
			break;
	}
	return fail_errno(a, error);
}

static int probe_file(struct attempt *a)
{
	struct stat st;

	return stat(a->target->path.at, &st) == 0 ? 0 : fail_errno(a, errno);
}

static int probe(struct attempt *a)
{
	switch (a->target->kind) {
	case TARGET_TCP:
		return connect_host(a);
	case TARGET_UNIX:
		return probe_unix(a);
	case TARGET_FILE:
		return probe_file(a);
	case TARGET_HTTP:
	case TARGET_HTTPS:
	default:
		return probe_http(a);
	}
}

int target_probe(
	const struct target *target, const struct probe_options *options, char *reason, size_t size)
{
	static const struct probe_options defaults = {0};
	struct attempt a = {
		.target = target, .options = options != NULL ? options : &defaults, .fd = -1};
	int result;

	a.reason = reason;
	a.size = size;
	a.timeout_ns = a.options->timeout_ns > 0 ? a.options->timeout_ns : TARGET_TIMEOUT_NS;
	a.deadline_ns = clock_now_ns() + a.timeout_ns;
	result = probe(&a);
	if (a.tls != NULL)
		tls_close(a.tls);
	if (a.fd >= 0)
		(void)close(a.fd); /* the verdict stands */
	return result;
}
