/*
 * health_client.c - what happens to one connection of the health server: read, answer, time out,
 * end.
 *
 * Owns the descriptors and buffers of struct client. Called by health.c. Each function leaves the
 * connection in one of the states of health_client.h; nothing here ever waits.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "format.h"
#include "health_client.h"
#include "shim.h"

enum { DISCARD_READS = 16 };

static const int64_t request_ns =
	5 * NS_PER_S; /* for one request to come, and for one answer to go */
static const int64_t probe_ns = 3 * NS_PER_S; /* the prober ends by itself long before */
static const int64_t linger_ns = 1 * NS_PER_S;

static void set_state(struct server *s, struct client *c, enum client_state state, int64_t limit_ns)
{
	c->state = state;
	c->since_ns = s->now_ns;
	c->deadline_ns = limit_ns < 0 ? -1 : s->now_ns + limit_ns;
}

void client_drop(struct server *s, struct client *c)
{
	(void)close(c->fd); /* the peer has what it could get */
	c->state = CLIENT_NONE;
	c->fd = -1;
	s->connected--;
}

/* Throws away what came. false: nothing more will come. */
static bool discard(struct client *c)
{
	for (int i = 0; i < DISCARD_READS; i++) {
		ssize_t n = recv(c->fd, c->in, sizeof(c->in), MSG_DONTWAIT);

		if (n == 0)
			return false;
		if (n < 0 && errno != EINTR)
			return errno == EAGAIN || errno == EWOULDBLOCK;
	}
	return true;
}

/* close() with data unread makes the kernel send a reset, and the peer may lose the answer to it.
 */
static void finish(struct server *s, struct client *c)
{
	if (shutdown(c->fd, SHUT_WR) < 0 || !discard(c))
		client_drop(s, c);
	else
		set_state(s, c, CLIENT_LINGERING, linger_ns);
}

/* Sends what is there. false: not all of it went, or the connection is gone. */
static bool flush(struct server *s, struct client *c)
{
	while (c->out_sent < c->out_length) {
		ssize_t n = send(c->fd, c->out + c->out_sent, c->out_length - c->out_sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (c->state != CLIENT_WRITING)
				set_state(s, c, CLIENT_WRITING, request_ns);
			return false;
		}
		if (n < 0) {
			client_drop(s, c);
			return false;
		}
		c->out_sent += (size_t)n;
	}
	c->out_length = c->out_sent = 0;
	if (!c->is_closing)
		return true;
	finish(s, c);
	return false;
}

/* false as flush(). */
static bool reply(struct server *s, struct client *c, const struct health_reply *answer)
{
	static const char text[] = "text/plain; charset=utf-8";

	c->is_closing = !c->request.keep_alive;
	c->out_sent = 0;
	c->out_length =
		http_reply_build(answer->status, &c->request, answer->type ? answer->type : text,
			(struct span){answer->body, answer->length}, c->out, sizeof(c->out));
	/* The request is done with: what follows it moves to the front. */
	c->in_length -= c->request_length;
	memmove(c->in, c->in + c->request_length, c->in_length);
	c->request_length = 0;
	return flush(s, c);
}

/* What cannot be answered otherwise: 400, 405, 408, 431, 505. The connection ends with it. */
static void refuse(struct server *s, struct client *c, int status)
{
	static const char words[][20] = {"bad request\n", "only GET and HEAD\n", "too slow\n",
		"too long\n", "only HTTP/1\n"};
	struct health_reply answer = {.status = status};
	const char *text = words[status == 405   ? 1
				 : status == 408 ? 2
				 : status == 431 ? 3
				 : status == 505 ? 4
						 : 0];

	memset(&c->request, 0, sizeof(c->request));
	c->request_length = c->in_length;
	answer.length = strlen(text);
	memcpy(answer.body, text, answer.length);
	(void)reply(s, c, &answer); /* it ends either way */
}

static void ask_probe(struct server *s, struct client *c)
{
	set_state(s, c, CLIENT_PROBING, probe_ns);
	if (s->is_asking) /* its answer is for everybody who waits */
		return;
	s->is_asking = health_prober_ask(s->prober, ++s->question) == 0;
	if (!s->is_asking) /* noticed by clients_take_verdict() at once */
		c->deadline_ns = s->now_ns;
}

static void answer_to(const struct server *s, struct span path, struct health_reply *answer)
{
	struct status_page *page = s->options->page;
	struct status status;
	struct health_numbers numbers = {
		.active = atomic_load_explicit(&page->active, memory_order_relaxed),
		.signals =
			atomic_load_explicit(&page->counters[COUNT_SIGNALS], memory_order_relaxed),
		.orphans =
			atomic_load_explicit(&page->counters[COUNT_ORPHANS], memory_order_relaxed),
		.oom_kills = -1,
	};

	for (size_t i = 0; i + 1 < sizeof(numbers.said); i++)
		numbers.said[i] = (char)atomic_load_explicit(&page->said[i], memory_order_relaxed);
	if (s->options->oom_kills != NULL && span_is(path, "/metrics"))
		numbers.oom_kills = s->options->oom_kills();
	status_read(page, &status);
	health_answer(&status, &numbers, s->now_ns, path, answer);
}

/* false as flush(), also while the probe runs. */
static bool serve(struct server *s, struct client *c)
{
	struct health_reply answer;

	answer_to(s, c->request.path, &answer);
	if (answer.needs_probe && s->prober >= 0) {
		ask_probe(s, c);
		return false;
	}
	return reply(s, c, &answer);
}

/* Serves every whole request in the buffer. */
static void advance(struct server *s, struct client *c)
{
	for (;;) {
		int status = 0;

		if (c->in_length > 0)
			status = http_request_parse(
				c->in, c->in_length, &c->request, &c->request_length);
		if (status == 0) {
			if (c->in_length == 0)
				set_state(s, c, CLIENT_IDLE, -1);
			else if (c->state != CLIENT_READING)
				set_state(s, c, CLIENT_READING, request_ns);
			return;
		}
		if (status != 200) {
			refuse(s, c, status);
			return;
		}
		if (!serve(s, c))
			return;
		c->state = CLIENT_IDLE; /* so that what is left begins with a new deadline */
	}
}

/* One read a turn: who sends all the time does not keep the others waiting. */
static void receive(struct server *s, struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_length, sizeof(c->in) - c->in_length, MSG_DONTWAIT);

	if (n > 0) {
		c->in_length += (size_t)n;
		advance(s, c);
	} else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
		client_drop(s, c);
	}
}

int clients_take_verdict(struct server *s)
{
	char reason[HEALTH_REASON_SIZE], line[2 * HEALTH_REASON_SIZE];
	uint32_t number;
	bool passed;
	int taken = health_prober_take(s->prober, &number, &passed, reason);

	if (taken <= 0 || number != s->question)
		return taken;
	s->is_asking = false;
	format_text(line, sizeof(line), "probe %s: %s", s->options->probe_name, reason);
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *c = &s->clients[i];
		struct health_reply answer = {.length = 0};

		if (c->state != CLIENT_PROBING)
			continue;
		/* A stop may have come in the meantime. */
		answer_to(s, span_of("/readyz"), &answer);
		if (answer.needs_probe && !passed)
			health_refuse(&answer, line);
		c->state = CLIENT_IDLE;
		if (reply(s, c, &answer))
			advance(s, c);
	}
	return 0;
}

static void time_out(struct server *s, struct client *c)
{
	struct health_reply answer = {.status = 503};
	char line[HEALTH_REASON_SIZE];

	if (c->state == CLIENT_READING) {
		refuse(s, c, 408);
	} else if (c->state == CLIENT_PROBING) {
		s->is_asking = false; /* an answer that is late has an old number */
		format_text(line, sizeof(line), "probe %s: timed out", s->options->probe_name);
		health_refuse(&answer, line);
		c->state = CLIENT_IDLE;
		if (reply(s, c, &answer))
			advance(s, c);
	} else {
		client_drop(s, c);
	}
}

void client_attend(struct server *s, struct client *c, short events)
{
	if (c->state == CLIENT_NONE)
		return;
	if (events != 0 && c->state == CLIENT_WRITING) {
		if (flush(s, c)) {
			c->state = CLIENT_IDLE;
			advance(s, c);
		}
	} else if (events != 0 && c->state == CLIENT_LINGERING) {
		if (!discard(c))
			client_drop(s, c);
	} else if (events != 0 && c->state == CLIENT_PROBING) {
		client_drop(s, c); /* hung up: nothing else was asked for */
	} else if (events != 0) {
		receive(s, c);
	}
	if (c->state != CLIENT_NONE && c->deadline_ns >= 0 && c->deadline_ns <= s->now_ns)
		time_out(s, c);
}

void client_begin(struct server *s, struct client *c, int fd)
{
	c->fd = fd;
	c->in_length = c->out_length = c->out_sent = c->request_length = 0;
	c->is_closing = false;
	c->begun_ns = s->now_ns;
	s->connected++;
	set_state(s, c, CLIENT_READING, request_ns);
	receive(s, c); /* as a rule the request is there already */
}
