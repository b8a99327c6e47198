/*
 * net.c - connections and bytes with a deadline.
 *
 * Every socket is non-blocking and every wait is one poll() against the same absolute deadline, so
 * a server that drips cannot win time with each byte. Used by probe.c and tls.c, in children of
 * PID 1.
 */
#include "net.h"

#include "shim.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* How long an address may be silent before the next one is tried beside it. */
static const int64_t stagger_ns = 250 * NS_PER_MS;

/* Attempts that are under way, and what came of those that are not. */
struct race {
	struct pollfd fds[NET_ADDRESSES_MAX];
	nfds_t count;
	int error;
};

/* Milliseconds for poll(), rounded up: waking a moment early would only spin. */
static int timeout_ms(int64_t deadline_ns)
{
	int64_t left = deadline_ns - clock_now_ns();

	if (left <= 0)
		return 0;
	left = (left + NS_PER_MS - 1) / NS_PER_MS;
	return left > INT_MAX ? INT_MAX : (int)left;
}

int net_wait(int fd, short events, int64_t deadline_ns)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		int ms = timeout_ms(deadline_ns);
		int n = poll(&p, 1, ms);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -1;
		if (n == 0 && ms == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
}

ssize_t net_write(int fd, const void *data, size_t length, int64_t deadline_ns)
{
	const char *rest = data;
	size_t left = length;

	while (left > 0) {
		ssize_t n = send(fd, rest, left, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			rest += n;
			left -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (net_wait(fd, POLLOUT, deadline_ns) != 0)
				return -1;
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return (ssize_t)length;
}

ssize_t net_read(int fd, void *data, size_t size, int64_t deadline_ns)
{
	for (;;) {
		ssize_t n;

		/* Asked before each read: bytes that are always there must not hide the deadline.
		 */
		if (net_wait(fd, POLLIN, deadline_ns) != 0)
			return -1;
		if (clock_now_ns() >= deadline_ns) {
			errno = ETIMEDOUT;
			return -1;
		}
		n = recv(fd, data, size, MSG_DONTWAIT);
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			return n;
	}
}

/* A connection to a free local port can meet itself, when the kernel picks that same port for our
 * end: that is no server (TCP's simultaneous open). */
static bool is_self(int fd)
{
	struct net_address ours = {.length = sizeof(struct sockaddr_in6)};
	struct net_address theirs = ours;

	if (getsockname(fd, &ours.any, &ours.length) != 0 ||
		getpeername(fd, &theirs.any, &theirs.length) != 0)
		return false;
	if (ours.any.sa_family == AF_INET)
		return ours.v4.sin_port == theirs.v4.sin_port &&
		       ours.v4.sin_addr.s_addr == theirs.v4.sin_addr.s_addr;
	return ours.any.sa_family == AF_INET6 && ours.v6.sin6_port == theirs.v6.sin6_port &&
	       memcmp(&ours.v6.sin6_addr, &theirs.v6.sin6_addr, sizeof ours.v6.sin6_addr) == 0;
}

/* What an attempt came to: 0 or an errno. */
static int connect_result(int fd)
{
	int error = 0;
	socklen_t length = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
		return errno;
	return error == 0 && is_self(fd) ? ECONNREFUSED : error;
}

static int start_connect(const struct net_address *address, int type)
{
	int fd = socket(address->any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -1;
	/* Interrupted, a non-blocking connect goes on by itself all the same. */
	if (connect(fd, &address->any, address->length) == 0 || errno == EINPROGRESS ||
		errno == EINTR)
		return fd;
	error = errno;
	(void)close(fd); /* nothing was written to it */
	errno = error;
	return -1;
}

/* That there is no IPv6 here tells less than what the server said on IPv4. */
static void note_error(struct race *race, int error)
{
	bool is_weak = race->error == ENETUNREACH || race->error == EADDRNOTAVAIL ||
		       race->error == EAFNOSUPPORT;

	if (race->error == 0 || is_weak)
		race->error = error;
}

static void start(struct race *race, const struct net_address *address, int type)
{
	int fd = start_connect(address, type);

	if (fd < 0)
		note_error(race, errno);
	else
		race->fds[race->count++] = (struct pollfd){.fd = fd, .events = POLLOUT};
}

/* Looks at those that are decided: the winner's descriptor, or -1. *failed: one of them has lost.
 */
static int judge(struct race *race, bool *failed)
{
	nfds_t i = 0;

	while (i < race->count) {
		int fd = race->fds[i].fd;
		int error;

		if (race->fds[i].revents == 0) {
			i++;
			continue;
		}
		error = connect_result(fd);
		race->fds[i] = race->fds[--race->count];
		if (error == 0)
			return fd;
		(void)close(fd); /* nothing was written to it */
		note_error(race, error);
		*failed = true;
	}
	return -1;
}

static void end_race(struct race *race)
{
	for (nfds_t i = 0; i < race->count; i++)
		(void)close(race->fds[i].fd); /* nothing was written to it */
	race->count = 0;
}

static int run_race(
	struct race *race, const struct net_addresses *addresses, int type, int64_t deadline_ns)
{
	int64_t next_ns = 0;
	size_t next = 0;
	int fd = -1;

	while (fd < 0) {
		int64_t now = clock_now_ns();
		bool has_next = next < addresses->count;
		bool failed = false;

		if (now >= deadline_ns) {
			race->error = ETIMEDOUT;
			return -1;
		}
		if (has_next && (race->count == 0 || now >= next_ns)) {
			start(race, &addresses->list[next++], type);
			next_ns = now + stagger_ns;
			continue;
		}
		if (race->count == 0)
			return -1;
		if (poll(race->fds, race->count,
			    timeout_ms(has_next && next_ns < deadline_ns ? next_ns
									 : deadline_ns)) <= 0)
			continue;
		fd = judge(race, &failed);
		if (failed)
			next_ns = now;
	}
	return fd;
}

static int connect_any(const struct net_addresses *addresses, int type, int64_t deadline_ns)
{
	struct race race = {.error = 0};
	int fd = run_race(&race, addresses, type, deadline_ns);

	end_race(&race);
	errno = race.error != 0 ? race.error : EADDRNOTAVAIL;
	return fd;
}

int net_connect(const struct net_addresses *addresses, int64_t deadline_ns)
{
	return connect_any(addresses, SOCK_STREAM, deadline_ns);
}

int net_connect_one(const struct net_address *address, int type, int64_t deadline_ns)
{
	struct net_addresses one = {.count = 1, .list = {*address}};

	return connect_any(&one, type, deadline_ns);
}
