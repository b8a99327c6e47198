/*
 * fuzz_health.c - the connections of the health server, with the input as the clients, the prober
 * and the clock.
 *
 * Three connections run the real state machine over socket pairs; the script sends pieces of
 * requests, reads or does not, closes halves, lets time pass and answers for the prober. Whatever
 * it does: every answer is whole, has a status that the server knows, says its own length, and none
 * follows one that closes; and in the end nobody is connected.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../health_client.h"
#include "../shim.h"
#include "../status.h"
#include "fuzz.h"

enum { PEERS = 3, KEPT = 1 << 16 };

struct peer {
	int fd; /* the client's end; -1: closed */
	size_t length;
	char answers[KEPT];
};

static struct client clients[CLIENTS];
static struct peer peers[PEERS];
static struct status_page *page;
static struct server server;
static int prober = -1;

static const char *const requests[] = {"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n",
	"HEAD /readyz HTTP/1.1\r\nHost: h\r\n\r\n", "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /status HTTP/1.0\r\n\r\n", "GET http://h/startupz?x HTTP/1.1\r\nHost: h\r\n",
	"Connection: close\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
	"\r\n"};

/* Takes what has come; false at the end. */
static bool take(struct peer *p)
{
	ssize_t n;

	if (p->fd < 0)
		return false;
	if (p->length == KEPT) /* enough seen: an answer may be cut from here on */
		return false;
	n = recv(p->fd, p->answers + p->length, KEPT - p->length, MSG_DONTWAIT);
	if (n > 0)
		p->length += (size_t)n;
	return n > 0;
}

static bool is_known(int status)
{
	static const int known[] = {200, 400, 404, 405, 408, 431, 503, 505};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i] == status)
			return true;
	return false;
}

/* Whole answers one after another; the last may be cut where the connection was. was_head cannot be
 * known from here: an answer without its body is followed by another one or by nothing. */
static void check_answers(const struct peer *p)
{
	char *text = copy_text(p->answers, p->length);
	const char *at = text, *end = text + p->length;
	bool is_closed = false;

	while (at < end) {
		const char *head_end = strstr(at, "\r\n\r\n");
		const char *length;
		int status = 0;
		unsigned body = 0;

		require(!is_closed);
		if (head_end == NULL)
			break;
		require(sscanf(at, "HTTP/1.1 %d ", &status) == 1 && is_known(status));
		length = strstr(at, "Content-Length: ");
		require(length != NULL && length < head_end &&
			sscanf(length, "Content-Length: %u\r\n", &body) == 1);
		is_closed = memmem(at, (size_t)(head_end - at), "Connection: close", 17) != NULL;
		at = head_end + 4;
		require(body > 0);
		if (at < end && strncmp(at, "HTTP/1.1 ", 9) != 0) {
			if ((size_t)(end - at) < body)
				break;
			require(at[body - 1] == '\n');
			at += body;
		}
	}
	free(text);
}

static void check_server(void)
{
	size_t connected = 0;

	for (size_t i = 0; i < CLIENTS; i++) {
		const struct client *c = &clients[i];

		if (c->state == CLIENT_NONE)
			continue;
		connected++;
		require(c->fd >= 0 && c->in_length <= sizeof c->in && c->out_sent <= c->out_length);
		require(c->state == CLIENT_IDLE ? c->in_length == 0 : c->deadline_ns >= 0);
		require(c->deadline_ns <= server.now_ns + 5 * NS_PER_S);
	}
	require(connected == server.connected);
}

static void connect_peer(size_t i, struct script *s)
{
	int ends[2];
	const int small = 1;

	if (peers[i].fd >= 0 || clients[i].state != CLIENT_NONE)
		return;
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	if (script_byte(s) & 1) /* a peer that reads nothing is soon full */
		(void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	peers[i].fd = ends[0];
	peers[i].length = 0;
	client_begin(&server, &clients[i], ends[1]);
}

static void send_piece(struct peer *p, struct script *s, bool is_known_request)
{
	size_t length;
	const uint8_t *bytes;

	if (is_known_request) {
		const char *text = requests[script_byte(s) % (sizeof requests / sizeof *requests)];
		unsigned times = 1 + (script_byte(s) & 31);

		for (unsigned i = 0; i < times; i++)
			(void)send(p->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
		return;
	}
	length = script_byte(s);
	bytes = script_bytes(s, length, &length);
	(void)send(p->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void close_peer(struct peer *p)
{
	if (p->fd < 0)
		return;
	while (take(p))
		;
	check_answers(p);
	close(p->fd);
	p->fd = -1;
}

/* What poll() would say, to those who would be asked. */
static void attend(size_t i)
{
	struct client *c = &clients[i];
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	if (c->state == CLIENT_NONE)
		return;
	if (c->state == CLIENT_WRITING)
		p.events = POLLOUT;
	if (c->state == CLIENT_PROBING)
		p.events = 0;
	(void)poll(&p, 1, 0);
	client_attend(&server, c, p.revents);
}

/* The answers of a prober: right ones, late ones, ones of a wrong size. */
static void answer_probe(struct script *s)
{
	struct {
		uint32_t number;
		int32_t result;
		char reason[HEALTH_REASON_SIZE];
	} answer;
	size_t length;
	const uint8_t *reason;
	unsigned how = script_byte(s);

	memset(&answer, 'r', sizeof answer);
	while (recv(prober, &answer.number, sizeof answer.number, MSG_DONTWAIT) > 0)
		;
	answer.number = server.question - (how >> 6);
	answer.result = how & 1 ? -1 : 0;
	reason = script_bytes(s, how & 31, &length);
	memcpy(answer.reason, reason, length);
	if (how & 2)
		answer.reason[length] = '\0';
	(void)send(prober, &answer, how & 32 ? length : sizeof answer, MSG_DONTWAIT);
	if (clients_take_verdict(&server) < 0) { /* health.c ends then; here it goes on without */
		close(server.prober);
		server.prober = -1;
	}
}

static void set_status(struct script *s)
{
	struct status status = {.phase = "running", .app_pid = 7, .started_ns = 1};
	size_t length;
	const uint8_t *text;

	status.is_ready = script_byte(s) & 1;
	status.was_running = status.is_ready;
	text = script_bytes(s, 40, &length);
	memcpy(status.reason, text, length);
	if (status.reason[0] == 'H') /* "HTTP/1.1 " as a body would look like the next answer */
		status.reason[0] = 'h';
	status_publish(page, &status);
}

static void begin(struct script *s)
{
	static struct health_options options = {.probe_name = "http://t/"};
	int ends[2];

	if (page == NULL)
		page = status_create();
	require(page != NULL);
	options.page = page;
	memset(clients, 0, sizeof clients);
	server = (struct server){.options = &options,
		.clients = clients,
		.now_ns = NS_PER_S,
		.accept_at_ns = -1,
		.prober = -1};
	for (size_t i = 0; i < PEERS; i++)
		peers[i].fd = -1;
	if (script_byte(s) & 1) {
		require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
		server.prober = ends[0];
		prober = ends[1];
	}
	set_status(s);
}

/* Everybody leaves, and time goes by. */
static void end(void)
{
	for (size_t i = 0; i < PEERS; i++)
		close_peer(&peers[i]);
	for (int turn = 0; turn < 400 && server.connected > 0; turn++) {
		server.now_ns += NS_PER_S;
		for (size_t i = 0; i < PEERS; i++)
			attend(i);
		check_server();
	}
	require(server.connected == 0);
	if (server.prober >= 0)
		close(server.prober);
	if (prober >= 0)
		close(prober);
	prober = -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = {data, size};

	begin(&s);
	while (s.left > 0) {
		unsigned what = script_byte(&s);
		size_t i = what >> 6 < PEERS ? what >> 6 : 0;

		connect_peer(i, &s);
		switch (what & 7) {
		case 0:
		case 1:
			if (peers[i].fd >= 0)
				send_piece(&peers[i], &s, what & 1);
			break;
		case 2:
			server.now_ns += (int64_t)script_byte(&s) * 50 * NS_PER_MS;
			break;
		case 3:
			(void)take(&peers[i]);
			break;
		case 4:
			if (peers[i].fd >= 0)
				(void)shutdown(peers[i].fd, SHUT_WR);
			break;
		case 5:
			close_peer(&peers[i]);
			break;
		case 6:
			if (prober >= 0 && server.prober >= 0)
				answer_probe(&s);
			break;
		default:
			set_status(&s);
			break;
		}
		for (size_t k = 0; k < PEERS; k++)
			attend(k);
		check_server();
	}
	end();
	return 0;
}
