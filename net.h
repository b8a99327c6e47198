/*
 * net.h - names, connections and bytes, each with one absolute deadline (CLOCK_MONOTONIC,
 * nanoseconds). For children of PID 1 only.
 */
#ifndef NET_H
#define NET_H

#include "http.h"

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

enum { NET_ADDRESSES_MAX = 16 };

struct net_address {
	socklen_t length;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
	};
};

struct net_addresses {
	size_t count;
	struct net_address list[NET_ADDRESSES_MAX];
};

enum net_lookup {
	NET_FOUND,
	NET_NO_NAME,    /* there is no such name */
	NET_NO_ADDRESS, /* the name has no address */
	NET_AGAIN,      /* no name server answered, or it could not say */
	NET_FAILED,
	NET_TIMED_OUT, /* the deadline passed */
};

/*
 * All addresses of a host. Empty and "localhost" are 127.0.0.1, then ::1, without asking anyone.
 * Names go to getaddrinfo() in a process of its own, for it cannot be told to stop; where no
 * process can be made, in this one.
 */
enum net_lookup net_resolve(
	struct span host, uint16_t port, int64_t deadline_ns, struct net_addresses *addresses);

/* The text as an IPv4 or IPv6 address (with %zone): true, and *address without a port. */
bool net_parse_address(struct span host, struct net_address *address);

/*
 * Connects to the first that answers: they are tried in order, the next one a quarter second after
 * the last or as soon as that failed. Returns a non-blocking descriptor, or -1 with errno:
 * ETIMEDOUT, or why the first one that was reachable said no.
 */
int net_connect(const struct net_addresses *addresses, int64_t deadline_ns);

/* One socket of this type (SOCK_STREAM, ...), as net_connect(). */
int net_connect_one(const struct net_address *address, int type, int64_t deadline_ns);

/* Waits for poll events; 0, or -1 with errno ETIMEDOUT or another. fd < 0: merely lets the time
 * pass. */
int net_wait(int fd, short events, int64_t deadline_ns);

/* Writes all of it; reads some, 0 at the end. -1 with errno: ETIMEDOUT when the deadline has
 * passed. */
ssize_t net_write(int fd, const void *data, size_t length, int64_t deadline_ns);
ssize_t net_read(int fd, void *data, size_t size, int64_t deadline_ns);

#endif
