/*
 * resolve.c - the addresses of a name, by a deadline.
 *
 * getaddrinfo() has its own timeouts (5 s for each search domain and more) and no way to end it
 * sooner. So a process of its own runs it and writes what it found to a pipe; at the deadline a
 * timer ends that process. Addresses as numbers and localhost need neither process nor file. Used
 * by probe.c.
 */
#include "net.h"

#include "parse.h"
#include "shim.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HOST_SIZE = 256 };

/* What the process that asks writes. Both sides run the same code, so no layout needs to be agreed
 * on. */
struct reply {
	enum net_lookup verdict;
	struct net_addresses addresses;
};

static void add_v4(struct net_addresses *addresses, struct in_addr address, uint16_t port)
{
	struct net_address *a = &addresses->list[addresses->count++];

	*a = (struct net_address){.length = sizeof a->v4};
	a->v4 = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = address};
}

static void add_v6(
	struct net_addresses *addresses, struct in6_addr address, uint32_t zone, uint16_t port)
{
	struct net_address *a = &addresses->list[addresses->count++];

	*a = (struct net_address){.length = sizeof a->v6};
	a->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = address,
		.sin6_scope_id = zone};
}

static uint32_t parse_zone(const char *zone)
{
	long index;

	return parse_number(zone, 1, INT32_MAX, &index) == 0 ? (uint32_t)index
							     : if_nametoindex(zone);
}

bool net_parse_address(struct span host, struct net_address *address)
{
	struct net_addresses found = {.count = 0};
	char text[HOST_SIZE];
	struct in_addr v4;
	struct in6_addr v6;
	char *zone;

	if (host.length == 0 || host.length >= sizeof text)
		return false;
	memcpy(text, host.at, host.length);
	text[host.length] = '\0';
	zone = strchr(text, '%');
	if (zone != NULL)
		*zone++ = '\0';
	if (zone == NULL && inet_pton(AF_INET, text, &v4) == 1)
		add_v4(&found, v4, 0);
	else if (inet_pton(AF_INET6, text, &v6) == 1)
		add_v6(&found, v6, zone != NULL ? parse_zone(zone) : 0, 0);
	*address = found.list[0];
	return found.count == 1;
}

static enum net_lookup verdict_of(int code)
{
	switch (code) {
	case 0:
		return NET_FOUND;
	case EAI_NONAME:
		return NET_NO_NAME;
	case EAI_NODATA:
		return NET_NO_ADDRESS;
	case EAI_AGAIN:
		return NET_AGAIN;
	default:
		return NET_FAILED;
	}
}

static void ask(const char *host, uint16_t port, struct reply *reply)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;

	memset(reply, 0, sizeof *reply);
	reply->verdict = verdict_of(getaddrinfo(host, NULL, &hints, &list));
	if (reply->verdict != NET_FOUND)
		return;
	for (struct addrinfo *i = list; i != NULL && reply->addresses.count < NET_ADDRESSES_MAX;
		i = i->ai_next) {
		struct net_address a = {.length = 0};

		if (i->ai_addrlen > sizeof a.local)
			continue;
		memcpy(&a.any, i->ai_addr, i->ai_addrlen);
		if (i->ai_family == AF_INET)
			add_v4(&reply->addresses, a.v4.sin_addr, port);
		else if (i->ai_family == AF_INET6)
			add_v6(&reply->addresses, a.v6.sin6_addr, a.v6.sin6_scope_id, port);
	}
	/* The list is not freed: mostly this process ends now, and a build without TLS needs no
	 * heap manager. */
	if (reply->addresses.count == 0)
		reply->verdict = NET_NO_ADDRESS;
}

/* Ends at the deadline by itself: the one who asks is sealed, and so may not kill. */
static void limit_life(int64_t deadline_ns)
{
	int64_t left = deadline_ns - clock_now_ns() + NS_PER_MS; /* who asks is to see it first */
	struct itimerval timer = {.it_value = {.tv_sec = (time_t)(left / NS_PER_S),
					  .tv_usec = (suseconds_t)(left % NS_PER_S / 1000)}};
	sigset_t alarm_only;

	(void)sigemptyset(&alarm_only);
	(void)sigaddset(&alarm_only, SIGALRM);
	if (left < NS_PER_MS) /* 0 would be never */
		timer.it_value = (struct timeval){.tv_usec = 1000};
	(void)setitimer(ITIMER_REAL, &timer, NULL);
	(void)sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
}

static _Noreturn void ask_and_exit(
	const char *host, uint16_t port, int fd, pid_t parent, int64_t deadline_ns)
{
	struct reply reply;
	ssize_t n;

	/* Dies with the one who asked. That one may be gone already, before this was set. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(1);
	limit_life(deadline_ns);
	ask(host, port, &reply);
	do
		n = write(fd, &reply, sizeof reply); /* fits a pipe at once */
	while (n < 0 && errno == EINTR);
	_exit(n == (ssize_t)sizeof reply ? 0 : 1);
}

static enum net_lookup read_reply(int fd, int64_t deadline_ns, struct reply *reply)
{
	char *at = (char *)reply;
	size_t have = 0;

	while (have < sizeof *reply) {
		ssize_t n;

		if (net_wait(fd, POLLIN, deadline_ns) != 0)
			return errno == ETIMEDOUT ? NET_TIMED_OUT : NET_FAILED;
		n = read(fd, at + have, sizeof *reply - have);
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			return clock_now_ns() >= deadline_ns ? NET_TIMED_OUT : NET_FAILED;
		if (n > 0)
			have += (size_t)n;
	}
	return reply->verdict;
}

/* Asks in a process of its own; false when there could be none (pids limit, seccomp). */
static bool ask_beside(const char *host, uint16_t port, int64_t deadline_ns, struct reply *reply)
{
	pid_t parent = getpid();
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	pid = _Fork();
	if (pid == 0)
		ask_and_exit(host, port, ends[1], parent, deadline_ns);
	(void)close(ends[1]);
	if (pid > 0) {
		reply->verdict = read_reply(ends[0], deadline_ns, reply);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	(void)close(ends[0]);
	return pid > 0;
}

enum net_lookup net_resolve(
	struct span host, uint16_t port, int64_t deadline_ns, struct net_addresses *addresses)
{
	struct net_address address;
	struct reply reply;
	char text[HOST_SIZE];

	addresses->count = 0;
	if (host.length == 0 || span_is_nocase(host, "localhost")) {
		add_v4(addresses, (struct in_addr){htonl(INADDR_LOOPBACK)}, port);
		add_v6(addresses, (struct in6_addr)IN6ADDR_LOOPBACK_INIT, 0, port);
		return NET_FOUND;
	}
	if (net_parse_address(host, &address)) {
		if (address.any.sa_family == AF_INET)
			add_v4(addresses, address.v4.sin_addr, port);
		else
			add_v6(addresses, address.v6.sin6_addr, address.v6.sin6_scope_id, port);
		return NET_FOUND;
	}
	if (host.length >= sizeof text)
		return NET_NO_NAME;
	memcpy(text, host.at, host.length);
	text[host.length] = '\0';
	if (!ask_beside(text, port, deadline_ns, &reply))
		ask(text, port, &reply);
	if (reply.verdict == NET_FOUND)
		*addresses = reply.addresses;
	return reply.verdict;
}
