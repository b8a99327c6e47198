/*
 * drain.c - waits until the connections that a stop would break are gone or idle.
 *
 * Owns struct drain. Called by shim.c in a forked child. The clock is CLOCK_MONOTONIC; the kernel
 * says for each connection how long ago data came and went, dialogue.c whether an answer is due.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dialogue.h"
#include "drain.h"
#include "format.h"
#include "log.h"
#include "names.h"
#include "owners.h"
#include "util.h"

enum { PORTS = 65536, LISTENERS = 1024, FAILURES = 8 };

/* A look at 50,000 sockets takes tens of milliseconds: it may cost a tenth of a processor, not
 * more. */
enum { COST_DIVISOR = 10 };
static const int64_t first_interval_ns = 100 * NS_PER_MS;
static const int64_t later_interval_ns = 250 * NS_PER_MS;
static const int64_t later_ns = 5 * NS_PER_S;
static const int64_t longest_interval_ns = NS_PER_S;

/* How the container's own listening sockets are known. */
enum method {
	BY_OPTION, /* --drain-port */
	BY_CGROUP, /* made in our cgroup; new ones are seen at once */
	BY_FILES,  /* found once, among our processes' descriptors */
	BY_NOTHING /* all are taken for ours */
};

struct drain {
	struct drain_options options;
	struct sockets sockets;
	struct dialogues dialogues;
	bool is_blind;
	enum method method;
	uint64_t cgroup;
	unsigned char ports[PORTS / 8]; /* those that connections count on. Never taken out again: a
					 * server that stops to listen still has its connections */
	/* Of the look that is going on. */
	int64_t now_ns;
	uint32_t active;
	uint32_t open;
	/* Since the start. */
	int64_t busy_ns;
	int64_t reported_ns;
	unsigned failures;
};

struct listeners {
	struct listener list[LISTENERS];
	size_t count;
	bool overflow;
};

static bool has_port(const struct drain *d, uint16_t port)
{
	return port != d->options.health_port && (d->ports[port / 8] >> port % 8 & 1) != 0;
}

static void add_port(struct drain *d, uint16_t port)
{
	d->ports[port / 8] = (unsigned char)(d->ports[port / 8] | 1U << port % 8);
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t drain_quiet_ns(const struct tcp_socket *s, bool is_owing)
{
	int64_t data_ms = smaller(s->sent_ms, s->received_ms);

	if (s->state == STATE_ESTABLISHED) {
		if (!s->timed || s->inode == 0 || s->unread > 0)
			return 0;
		if (is_owing)
			return 0;
		if (s->unsent > 0) /* a slow reader is busy as long as it acknowledges */
			data_ms = smaller(data_ms, s->acked_ms);
		return data_ms * NS_PER_MS;
	}
	if (s->state == STATE_FIN_WAIT1 || s->state == STATE_LAST_ACK ||
		s->state == STATE_CLOSING) {
		/* Closed by the server, the rest of the answer still on its way: with the network
		 * namespace it would be lost. The FIN itself counts as one byte. */
		if (s->timed && s->unsent > 1)
			return smaller(s->sent_ms, s->acked_ms) * NS_PER_MS;
	}
	return -1;
}

int64_t drain_next_ns(
	const struct drain_options *o, int64_t now_ns, int64_t busy_ns, int64_t look_ns)
{
	int64_t interval = now_ns - o->start_ns < later_ns ? first_interval_ns : later_interval_ns;
	int64_t quiet_at = INT64_MIN;
	int64_t earliest = o->start_ns + o->min_ns;
	int64_t next;

	if (busy_ns != INT64_MIN) /* at least 1 ms, so that what is busy now is not over now */
		quiet_at = busy_ns + (o->idle_ns > 0 ? o->idle_ns : NS_PER_MS);
	if (o->max_ns >= 0 && now_ns >= o->start_ns + o->max_ns)
		return now_ns;
	if (now_ns >= earliest && now_ns >= quiet_at)
		return now_ns;
	if (interval < look_ns * COST_DIVISOR)
		interval = smaller(look_ns * COST_DIVISOR, longest_interval_ns);
	/* What happens long before min cannot matter: one look a second is for the reader of the
	 * log. */
	if (earliest - now_ns > o->idle_ns + longest_interval_ns)
		interval = longest_interval_ns;
	next = now_ns + interval;
	/* Not later than the moment at which it may be over. */
	next = smaller(next, earliest > quiet_at ? earliest : quiet_at);
	if (next <= now_ns)
		next = now_ns + NS_PER_MS;
	if (o->max_ns >= 0)
		next = smaller(next, o->start_ns + o->max_ns);
	return next;
}

static void take_socket(void *context, const struct tcp_socket *socket)
{
	struct drain *d = context;
	int64_t quiet;

	if (socket->state == STATE_LISTEN) {
		if (d->method == BY_NOTHING ||
			(d->method == BY_CGROUP && socket->cgroup == d->cgroup))
			add_port(d, socket->port);
		return;
	}
	if (!has_port(d, socket->port))
		return;
	quiet = drain_quiet_ns(socket, socket->state == STATE_ESTABLISHED && socket->timed &&
					       dialogue_owes(&d->dialogues, socket));
	if (quiet < 0)
		return;
	d->open++;
	if (quiet < d->options.idle_ns || quiet == 0)
		d->active++;
	if (d->busy_ns < d->now_ns - quiet)
		d->busy_ns = d->now_ns - quiet;
}

static int look(struct drain *d)
{
	d->now_ns = clock_now_ns();
	d->active = 0;
	d->open = 0;
	if (sockets_list(&d->sockets, take_socket, d) < 0)
		return -1;
	if (d->options.active != NULL)
		atomic_store_explicit(d->options.active, d->active, memory_order_relaxed);
	return 0;
}

int drain_count(struct drain *d, uint32_t *active, uint32_t *open)
{
	if (d->is_blind || look(d) < 0)
		return -1;
	*active = d->active;
	if (open != NULL)
		*open = d->open;
	return 0;
}

static void collect_listener(void *context, const struct tcp_socket *socket)
{
	struct listeners *found = context;

	if (socket->state != STATE_LISTEN)
		return;
	if (found->count == LISTENERS)
		found->overflow = true;
	else
		found->list[found->count++] =
			(struct listener){.inode = socket->inode, .port = socket->port};
}

/* -1: the container's own ones cannot be told from others. */
static int find_by_files(struct drain *d)
{
	struct listeners *found = calloc(1, sizeof(*found));
	int result = -1;

	if (found == NULL)
		return -1;
	if (sockets_list(&d->sockets, collect_listener, found) == 0 && !found->overflow)
		result = owners_mark(found->list, found->count);
	for (size_t i = 0; i < found->count; i++) {
		if (found->list[i].ours)
			add_port(d, found->list[i].port);
	}
	free(found);
	return result;
}

static bool has_any_port(const struct drain *d)
{
	for (unsigned port = 1; port < PORTS; port++) {
		if (has_port(d, (uint16_t)port))
			return true;
	}
	return false;
}

static void find_own_ports(struct drain *d)
{
	uint32_t active;

	for (size_t i = 0; i < d->options.port_count; i++)
		add_port(d, d->options.ports[i]);
	d->method = BY_OPTION;
	if (d->options.port_count > 0)
		return;
	d->method = BY_CGROUP;
	d->cgroup = owners_cgroup(&d->sockets);
	if (d->cgroup != 0) {
		/* Nothing in our cgroup: the app may have been put in one below it. */
		if (drain_count(d, &active, NULL) == 0 && !has_any_port(d))
			(void)find_by_files(d); /* what it finds is more than we had */
		return;
	}
	d->method = find_by_files(d) == 0 ? BY_FILES : BY_NOTHING;
}

struct drain *drain_open(const struct drain_options *options)
{
	struct drain *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->options = *options;
	d->busy_ns = INT64_MIN;
	d->reported_ns = INT64_MIN;
	if (sockets_open(&d->sockets, options->sources) < 0) {
		log_at(LEVEL_WARN, "cannot count connections (neither netlink nor /proc/net/tcp): "
				   "the drain is a fixed delay");
		d->is_blind = true;
	} else {
		find_own_ports(d);
	}
	return d;
}

void drain_close(struct drain *d)
{
	sockets_close(&d->sockets);
	free(d);
}

static void sleep_until(int64_t at_ns)
{
	for (;;) {
		int64_t left = at_ns - clock_now_ns();
		struct timespec time = {
			.tv_sec = (time_t)(left / NS_PER_S), .tv_nsec = (long)(left % NS_PER_S)};

		if (left <= 0)
			return;
		(void)ppoll(NULL, 0, &time, NULL); /* interrupted or not: the clock decides */
	}
}

static void report(struct drain *d, bool last)
{
	char took[DURATION_SIZE];

	(void)format_duration(d->now_ns - d->options.start_ns, took);
	if (last) {
		if (d->active > 0)
			log_at(LEVEL_WARN,
				"drain: the limit of %s is reached, connections still active: %u",
				took, d->active);
		else
			log_at(LEVEL_INFO, "drain: no connection active after %s, idle: %u", took,
				d->open);
		return;
	}
	if (d->reported_ns != INT64_MIN && d->now_ns - d->reported_ns < NS_PER_S)
		return;
	d->reported_ns = d->now_ns;
	log_at(LEVEL_INFO, "drain: connections active: %u, idle: %u, after %s", d->active,
		d->open - d->active, took);
}

int drain_watch(struct drain *d)
{
	const struct drain_options *o = &d->options;

	while (!d->is_blind) {
		int64_t next;

		if (look(d) < 0) {
			/* Taken for busy: rather wait too long than cut a request off. */
			d->busy_ns = d->now_ns;
			d->is_blind = ++d->failures == FAILURES;
			if (d->is_blind)
				log_at(LEVEL_WARN, "cannot count connections any more: %s",
					error_text(errno));
		} else {
			d->failures = 0;
		}
		next = drain_next_ns(o, d->now_ns, d->busy_ns, clock_now_ns() - d->now_ns);
		report(d, next <= d->now_ns);
		if (next <= d->now_ns)
			return 0;
		sleep_until(next);
	}
	sleep_until(o->start_ns + o->min_ns);
	return 0;
}
