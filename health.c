/*
 * health.c - the health server's loop: one process, one poll, 64 connections.
 *
 * Owns the connections and their buffers (one mapping, given back to the kernel when nobody is
 * connected). Runs in a forked child of PID 1. With no request under way it sleeps without a
 * deadline, however many idle connections there are.
 */
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "health_client.h"
#include "log.h"
#include "shim.h"
#include "util.h"

enum { ACCEPTS = 32 };

static const int64_t pause_ns = 200 * NS_PER_MS; /* no descriptor left: try again */

/* Is a to give way before b? Of the kind that is needed least the one that has been so for longest.
 * Those that are being served go by the age of their connection: who begins one request after the
 * other on old connections must not crowd out one that has just come. */
static bool is_before(const struct client *a, const struct client *b)
{
	if (a->state >= CLIENT_READING && b->state >= CLIENT_READING)
		return a->begun_ns < b->begun_ns;
	return a->state != b->state ? a->state < b->state : a->since_ns < b->since_ns;
}

static struct client *find_victim(struct server *s)
{
	struct client *victim = NULL;

	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *c = &s->clients[i];

		if (c->state != CLIENT_NONE && (victim == NULL || is_before(c, victim)))
			victim = c;
	}
	return victim;
}

static struct client *find_slot(struct server *s)
{
	if (s->connected == CLIENTS)
		client_drop(s, find_victim(s));
	for (size_t i = 0; i < CLIENTS; i++) {
		if (s->clients[i].state == CLIENT_NONE)
			return &s->clients[i];
	}
	return NULL; /* cannot be */
}

static void greet(struct server *s, int fd)
{
	struct client *c = find_slot(s);

	if (c == NULL) {
		(void)close(fd);
		return;
	}
	s->is_touched = true;
	client_begin(s, c, fd);
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void accept_some(struct server *s)
{
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(s->options->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			greet(s, fd);
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		/* The listener stays readable: without a pause this would spin. */
		if (!is_shortage(errno) || s->connected == 0) {
			s->accept_at_ns = s->now_ns + pause_ns;
			return;
		}
		client_drop(s, find_victim(s));
	}
}

static int64_t nearest_deadline(const struct server *s)
{
	int64_t nearest = s->accept_at_ns;

	for (size_t i = 0; i < CLIENTS; i++) {
		const struct client *c = &s->clients[i];

		if (c->state != CLIENT_NONE && c->deadline_ns >= 0 &&
			(nearest < 0 || c->deadline_ns < nearest))
			nearest = c->deadline_ns;
	}
	return nearest;
}

static short wanted_events(enum client_state state)
{
	if (state == CLIENT_WRITING)
		return POLLOUT;
	return state == CLIENT_PROBING ? 0 : POLLIN; /* 0: still told of a hang-up */
}

/* What to wait for. No holes: ppoll() refuses more places than the process may have descriptors. */
struct watch {
	size_t count;
	struct pollfd places[CLIENTS + 2];
	struct client *clients[CLIENTS + 2]; /* NULL: the listener or the prober */
};

static void watch_add(struct watch *w, int fd, short events, struct client *c)
{
	w->places[w->count] = (struct pollfd){fd, events, 0};
	w->clients[w->count++] = c;
}

static bool has_happened(const struct watch *w, int fd)
{
	for (size_t i = 0; i < w->count && fd >= 0; i++) {
		if (w->clients[i] == NULL && w->places[i].fd == fd)
			return w->places[i].revents != 0;
	}
	return false;
}

/* Sleeps until something happens. */
static int wait_for(struct server *s, struct watch *w)
{
	int64_t deadline = s->connected > 0 ? nearest_deadline(s) : s->accept_at_ns;
	int64_t left = deadline < 0 ? -1 : deadline - clock_now_ns();
	struct timespec time = {0};

	w->count = 0;
	if (s->accept_at_ns < 0)
		watch_add(w, s->options->listener, POLLIN, NULL);
	if (s->prober >= 0)
		watch_add(w, s->prober, POLLIN, NULL);
	for (size_t i = 0; i < CLIENTS && s->connected > 0; i++) {
		struct client *c = &s->clients[i];

		if (c->state != CLIENT_NONE)
			watch_add(w, c->fd, wanted_events(c->state), c);
	}
	if (left > 0)
		time = (struct timespec){(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
	if (ppoll(w->places, w->count, deadline < 0 ? NULL : &time, NULL) < 0 && errno != EINTR)
		return -1;
	s->now_ns = clock_now_ns();
	return 0;
}

/* Nobody is connected: the memory goes back, an attack leaves nothing behind. */
static void give_back(struct server *s)
{
	if (s->is_touched && madvise(s->clients, CLIENTS * sizeof(*s->clients), MADV_DONTNEED) == 0)
		s->is_touched = false; /* zeroes are CLIENT_NONE */
}

static int loop(struct server *s)
{
	struct watch watch;

	for (;;) {
		if (s->connected == 0)
			give_back(s);
		if (wait_for(s, &watch) < 0)
			return EXIT_SHIM;
		for (size_t i = 0; i < watch.count; i++) {
			if (watch.clients[i] != NULL)
				client_attend(s, watch.clients[i], watch.places[i].revents);
		}
		if (has_happened(&watch, s->prober) && clients_take_verdict(s) < 0) {
			log_at(LEVEL_WARN, "health: the process that asks %s is gone",
				s->options->probe_name);
			return EXIT_SHIM; /* a new server brings a new one */
		}
		if (s->accept_at_ns >= 0 && s->accept_at_ns <= s->now_ns)
			s->accept_at_ns = -1;
		if (has_happened(&watch, s->options->listener))
			accept_some(s);
	}
}

int health_serve(const struct health_options *options)
{
	struct server s = {.options = options, .accept_at_ns = -1, .prober = -1};

	status_protect(options->page);
	if (options->probe != NULL) {
		s.prober = health_prober_start(options);
		if (s.prober < 0)
			return EXIT_SHIM;
	}
	s.clients = mmap(NULL, CLIENTS * sizeof(*s.clients), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s.clients == MAP_FAILED)
		return EXIT_SHIM;
	if (options->seal != NULL && options->seal(HEALTH_SERVER) < 0)
		return EXIT_SHIM;
	return loop(&s);
}
