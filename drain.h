/*
 * drain.h - which connections are still active, and the child that waits until none is.
 *
 * Runs in a forked child of PID 1, whose exit status 0 says that the connections may go. Owns its
 * netlink socket and, in the status page, one number.
 */
#ifndef DRAIN_H
#define DRAIN_H

#include <stdatomic.h>
#include <stddef.h>

#include "shim.h"
#include "sockets.h"

struct drain_options {
	int64_t start_ns;      /* CLOCK_MONOTONIC, when the stop signal came */
	int64_t min_ns;        /* at least this long: load balancers need it */
	int64_t max_ns;        /* at most this long; < 0: no limit */
	int64_t idle_ns;       /* a connection without data for this long holds nothing up */
	const uint16_t *ports; /* only these; none: all that this container listens on */
	size_t port_count;
	uint16_t health_port;     /* never counts; 0: none */
	_Atomic uint32_t *active; /* where the number of active connections goes, or NULL */
	unsigned sources;         /* SOCKETS_ANY but in tests */
};

struct drain;

/* Everything that needs descriptors, memory or /proc: before the child is sealed. NULL: no memory.
 * Where the kernel tells nothing about connections, it warns, and drain_watch() will wait for min
 * and no more. */
struct drain *drain_open(const struct drain_options *options);

/* Waits for min, then until no connection has been active for idle, at most for max. Says how many
 * are left once a second at LEVEL_INFO. 0: they may go (also when max has come: that is warned of).
 */
int drain_watch(struct drain *drain);

/* One look, for tests: how many connections are active, how many there are (open may be NULL). -1:
 * it cannot be told. */
int drain_count(struct drain *drain, uint32_t *active, uint32_t *open);

void drain_close(struct drain *drain);

/*
 * The pure parts.
 *
 * For how long has this socket done nothing, if it is a connection that can hold up the end? < 0:
 * it is none. 0 while something is under way: not accepted yet, data unread, a request without an
 * answer (is_owing), or no way to tell.
 */
int64_t drain_quiet_ns(const struct tcp_socket *socket, bool is_owing);

/* Until when to sleep; <= now: it is over. busy_ns: when a connection was last busy (INT64_MIN:
 * never). look_ns: how long the last look took. */
int64_t drain_next_ns(
	const struct drain_options *o, int64_t now_ns, int64_t busy_ns, int64_t look_ns);

#endif
