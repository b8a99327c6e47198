/*
 * test_drain.c - the kernel's answers taken apart, and real connections on the loopback of a
 * network namespace of our own.
 *
 * Needs root for the namespace; without, the live tests are left out and said so.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sock_diag.h>

#include "../../dialogue.h"
#include "../../drain.h"
#include "../../log.h"
#include "../../owners.h"
#include "../../sockets.h"
#include "../../util.h"

enum { MS = 1000000 };

/* ---- the pure parts ---- */

struct message {
	struct nlmsghdr head;
	struct inet_diag_msg body;
	unsigned char attributes[512];
};

static size_t add_attribute(
	struct message *m, size_t at, uint16_t type, const void *data, size_t size)
{
	struct nlattr head = {.nla_len = (uint16_t)(sizeof(head) + size), .nla_type = type};

	memcpy(m->attributes + at, &head, sizeof(head));
	memcpy(m->attributes + at + sizeof(head), data, size);
	m->head.nlmsg_len =
		(uint32_t)(offsetof(struct message, attributes) + at + sizeof(head) + size);
	return at + ((sizeof(head) + size + 3) & ~(size_t)3);
}

static struct message established(void)
{
	struct message m;
	uint32_t info[34] = {0};
	uint64_t cgroup = 4711;
	uint64_t received = 99;

	memset(&m, 0, sizeof(m));
	m.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	m.head.nlmsg_seq = 7;
	m.body.idiag_family = AF_INET;
	m.body.idiag_state = STATE_ESTABLISHED;
	m.body.id.idiag_sport = htons(8080);
	m.body.id.idiag_dport = htons(40000);
	m.body.idiag_rqueue = 11;
	m.body.idiag_wqueue = 22;
	m.body.idiag_inode = 33;
	info[11] = 100; /* last_data_sent */
	info[13] = 200; /* last_data_recv */
	info[14] = 300; /* last_ack_recv */
	memcpy(&info[32], &received, 8);
	add_attribute(&m, add_attribute(&m, 0, INET_DIAG_INFO, info, sizeof(info)),
		INET_DIAG_CGROUP_ID, &cgroup, 8);
	return m;
}

static enum diag_part parse(const void *data, size_t length, struct tcp_socket *s, int *error)
{
	size_t offset = 0;

	return sockets_parse_diag(data, length, &offset, 7, s, error);
}

START_TEST(diag_message_is_understood)
{
	struct message m = established();
	struct tcp_socket s;
	int error;

	ck_assert_int_eq(parse(&m, m.head.nlmsg_len, &s, &error), DIAG_SOCKET);
	ck_assert_uint_eq(s.state, STATE_ESTABLISHED);
	ck_assert_uint_eq(s.port, 8080);
	ck_assert_uint_eq(s.peer_port, 40000);
	ck_assert_uint_eq(s.unread, 11);
	ck_assert_uint_eq(s.unsent, 22);
	ck_assert_uint_eq(s.inode, 33);
	ck_assert_uint_eq(s.cgroup, 4711);
	ck_assert(s.timed && !s.silent);
	ck_assert_uint_eq(s.sent_ms, 100);
	ck_assert_uint_eq(s.received_ms, 200);
	ck_assert_uint_eq(s.acked_ms, 300);
}
END_TEST

START_TEST(diag_message_of_an_old_kernel)
{
	struct message m = established();
	struct tcp_socket s;
	uint32_t info[15] = {0};
	int error;

	info[13] = 5;
	add_attribute(&m, 0, INET_DIAG_INFO, info,
		sizeof(info)); /* Linux 2.6: no bytes_received, no cgroup */
	ck_assert_int_eq(parse(&m, m.head.nlmsg_len, &s, &error), DIAG_SOCKET);
	ck_assert(s.timed && !s.silent);
	ck_assert_uint_eq(s.received_ms, 5);
	ck_assert_uint_eq(s.cgroup, 0);
	add_attribute(&m, 0, INET_DIAG_INFO, info, 40); /* too short for the times */
	ck_assert_int_eq(parse(&m, m.head.nlmsg_len, &s, &error), DIAG_SOCKET);
	ck_assert(!s.timed);
}
END_TEST

START_TEST(diag_states_of_no_interest_are_skipped)
{
	static const uint8_t states[] = {0, STATE_SYN_SENT, STATE_SYN_RECV, STATE_FIN_WAIT2,
		STATE_TIME_WAIT, STATE_CLOSE, STATE_CLOSE_WAIT, 12, 31, 32, 255};

	for (size_t i = 0; i < sizeof(states); i++) {
		struct message m = established();
		struct tcp_socket s;
		int error;

		m.body.idiag_state = states[i];
		ck_assert_int_eq(parse(&m, m.head.nlmsg_len, &s, &error), DIAG_SKIPPED);
	}
}
END_TEST

START_TEST(diag_lengths_are_checked)
{
	struct message m = established();
	struct tcp_socket s;
	size_t whole = m.head.nlmsg_len;
	int error = 0;

	for (size_t n = 0; n < whole; n++) {
		unsigned char *copy =
			malloc(n ? n : 1); /* exact, so that ASan sees a read behind it */

		memcpy(copy, &m, n);
		ck_assert_int_eq(
			parse(copy, n, &s, &error), n < sizeof(m.head) ? DIAG_END : DIAG_FAILED);
		free(copy);
	}
	for (uint32_t n = 0; n < whole; n++) { /* the header lies */
		enum diag_part part;

		m.head.nlmsg_len = n;
		part = parse(&m, whole, &s, &error);
		ck_assert(part == DIAG_FAILED || part == DIAG_SOCKET);
		if (n < sizeof(m.head) + sizeof(m.body)) {
			ck_assert_int_eq(part, DIAG_FAILED);
			ck_assert_int_eq(error, EBADMSG);
		}
	}
	m = established();
	m.attributes[0] = 255; /* an attribute longer than the message */
	m.attributes[1] = 255;
	ck_assert_int_eq(parse(&m, whole, &s, &error), DIAG_FAILED);
	m.attributes[0] = 0; /* one of no length: no endless loop */
	m.attributes[1] = 0;
	ck_assert_int_eq(parse(&m, whole, &s, &error), DIAG_FAILED);
}
END_TEST

START_TEST(diag_ends_and_errors)
{
	struct {
		struct nlmsghdr head;
		int32_t number;
	} m = {.head = {.nlmsg_len = sizeof(m), .nlmsg_seq = 7}};
	struct tcp_socket s;
	int error = 0;

	m.head.nlmsg_type = NLMSG_DONE;
	ck_assert_int_eq(parse(&m, sizeof(m), &s, &error), DIAG_DONE);
	m.number = -ENOENT;
	ck_assert_int_eq(parse(&m, sizeof(m), &s, &error), DIAG_FAILED);
	ck_assert_int_eq(error, ENOENT);
	m.head.nlmsg_type = NLMSG_ERROR;
	m.number = -EPERM;
	ck_assert_int_eq(parse(&m, sizeof(m), &s, &error), DIAG_FAILED);
	ck_assert_int_eq(error, EPERM);
	m.number = INT_MIN;
	ck_assert_int_eq(parse(&m, sizeof(m), &s, &error), DIAG_FAILED);
	ck_assert_int_eq(error, EBADMSG);
	m.head.nlmsg_seq = 6; /* an answer to an earlier question */
	ck_assert_int_eq(parse(&m, sizeof(m), &s, &error), DIAG_SKIPPED);
	m.head.nlmsg_seq = 7;
	m.head.nlmsg_type = NLMSG_NOOP;
	ck_assert_int_eq(parse(&m, sizeof(m), &s, &error), DIAG_SKIPPED);
}
END_TEST

static bool proc(const char *line, struct tcp_socket *s)
{
	size_t length = strlen(line);
	char *copy = malloc(length ? length : 1);
	bool result;

	memcpy(copy, line, length);
	result = sockets_parse_proc(copy, length, s);
	free(copy);
	return result;
}

START_TEST(proc_lines)
{
	static const char v4[] =
		"   0: 0100007F:1F90 0100007F:9C40 01 00000010:00000020 02:000AFC7A 00000000  1000"
		"        0 636 1 0000000053d0e493 20 4 30 10 -1                     ";
	static const char v6[] =
		"4096: 00000000000000000000000000000000:0050 "
		"00000000000000000000000000000000:0000 0A 00000000:00000003 "
		"00:00000000 00000000     0        0 18446744073 1 00000000 100 0 0 10 0";
	struct tcp_socket s;
	char cut[256];

	ck_assert(proc(v4, &s));
	ck_assert_uint_eq(s.port, 8080);
	ck_assert_uint_eq(s.peer_port, 40000);
	ck_assert_uint_eq(s.state, STATE_ESTABLISHED);
	ck_assert_uint_eq(s.unsent, 0x10);
	ck_assert_uint_eq(s.unread, 0x20);
	ck_assert_uint_eq(s.inode, 636);
	ck_assert(!s.timed);
	ck_assert(proc(v6, &s));
	ck_assert_uint_eq(s.port, 80);
	ck_assert_uint_eq(s.state, STATE_LISTEN);
	ck_assert_uint_eq(s.unread, 3);
	ck_assert_uint_eq(s.inode, 18446744073);
	for (size_t n = 0; n < strlen(v4) - 60; n++) {
		memcpy(cut, v4, n);
		cut[n] = '\0';
		(void)proc(cut, &s); /* ASan looks */
		ck_assert(n > 90 || !proc(cut, &s));
	}
	ck_assert(
		!proc("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
		      "   uid  timeout inode",
			&s));
	ck_assert(!proc("", &s));
	ck_assert(!proc("0: 0100007F:1F90 0100007F:9C40 06 00000000:00000000 03:00001000 00000000 "
			"0 0 0 3 0",
		&s)); /* TIME_WAIT */
	ck_assert(!proc("0: 0100007F:FFFFF 0100007F:9C40 01 0:0 00:0 0 0 0 1", &s));
	ck_assert(
		!proc("0: 0100007F:1F90 0100007F:9C40 01 0:0 00:0 0 0 0 99999999999999999999", &s));
	ck_assert(proc("0: 0100007F:1F90 0100007F:9C40 01 0:0 00:0 0 0 0 1", &s));
}
END_TEST

START_TEST(quiet_rules)
{
	struct tcp_socket idle = {.state = STATE_ESTABLISHED,
		.inode = 1,
		.timed = true,
		.sent_ms = 3000,
		.received_ms = 3010,
		.acked_ms = 3000};
	struct tcp_socket s = idle;

	ck_assert_int_eq(drain_quiet_ns(&s, false), 3000LL * MS); /* answered, then silence */
	ck_assert_int_eq(drain_quiet_ns(&s, true), 0);            /* a request without an answer */
	s.received_ms = 2990;
	ck_assert_int_eq(drain_quiet_ns(&s, false), 2990LL * MS);
	s = idle;
	s.unread = 1;
	ck_assert_int_eq(drain_quiet_ns(&s, false), 0);
	s = idle;
	s.inode = 0;
	ck_assert_int_eq(drain_quiet_ns(&s, false), 0); /* not accepted */
	s = idle;
	s.unsent = 1;
	s.acked_ms = 50;
	ck_assert_int_eq(drain_quiet_ns(&s, false), 50LL * MS); /* a slow reader */
	s = idle;
	s.timed = false;
	ck_assert_int_eq(drain_quiet_ns(&s, false), 0); /* /proc/net/tcp does not say */
	s = idle;
	s.state = STATE_FIN_WAIT1;
	s.unsent = 1;
	ck_assert_int_eq(drain_quiet_ns(&s, false), -1); /* only the FIN is left */
	s.unsent = 2;
	ck_assert_int_eq(drain_quiet_ns(&s, false), 3000LL * MS);
	s.timed = false;
	ck_assert_int_eq(drain_quiet_ns(&s, false), -1);
	s.state = STATE_CLOSE_WAIT;
	ck_assert_int_eq(drain_quiet_ns(&s, false), -1);
	s.state = STATE_TIME_WAIT;
	ck_assert_int_eq(drain_quiet_ns(&s, false), -1);
	s.state = STATE_LISTEN;
	ck_assert_int_eq(drain_quiet_ns(&s, false), -1);
}
END_TEST

static struct dialogues dialogues;

static bool owes(uint64_t cookie, uint32_t in, uint32_t out, uint32_t received_ms, uint32_t sent_ms)
{
	struct tcp_socket s = {.state = STATE_ESTABLISHED,
		.inode = 1,
		.timed = true,
		.cookie = cookie,
		.segments_in = in,
		.segments_out = out,
		.mute = out == 0,
		.silent = in == 0,
		.received_ms = received_ms,
		.sent_ms = sent_ms};

	return dialogue_owes(&dialogues, &s);
}

START_TEST(who_spoke_last)
{
	memset(&dialogues, 0, sizeof(dialogues));
	ck_assert(!owes(1, 0, 0, 50, 50)); /* connected and said nothing */
	ck_assert(owes(1, 1, 0, 50, 50));  /* a first request, in the same tick */
	ck_assert(owes(1, 1, 0, 150, 150));
	ck_assert(!owes(1, 1, 1, 250, 10)); /* answered */
	ck_assert(owes(1, 2, 1, 5, 20));    /* the next one, which is slow */
	ck_assert(owes(1, 2, 1, 105, 120));
	ck_assert(owes(1, 3, 2, 10, 10)); /* its answer, and in that tick a request */
	ck_assert(owes(1, 3, 2, 110, 110));
	ck_assert(owes(1, 4, 3, 10, 10)); /* and again */
	ck_assert(!owes(1, 4, 4, 110, 10));
	ck_assert(!owes(1, 5, 5, 10, 10)); /* asked and answered in one tick */
	ck_assert(!owes(1, 5, 5, 90, 90));
	ck_assert(owes(1, 6, 5, 5, 90)); /* seen waiting once only: a fast server */
	ck_assert(!owes(1, 9, 9, 10, 10));
	ck_assert(!owes(2, 9, 9, 10, 10)); /* never seen before: idle */
	ck_assert(!owes(0, 9, 9, 10, 10)); /* a kernel without cookies */
	ck_assert(owes(0, 9, 9, 10, 11));
	for (uint64_t i = 1; i < 20000; i++) /* more than there is room for */
		ck_assert(owes(i * 77, 1, 0, 1, 1));
}
END_TEST

START_TEST(when_it_is_over)
{
	const int64_t s = NS_PER_S;
	struct drain_options o = {
		.start_ns = 100 * s, .min_ns = 3 * s, .max_ns = 20 * s, .idle_ns = 2 * s};
	int64_t never = INT64_MIN;

#define OVER(now, busy) (drain_next_ns(&o, now, busy, 0) <= (now))
	ck_assert(!OVER(100 * s, never));
	ck_assert(!OVER(103 * s - 1, never));
	ck_assert(OVER(103 * s, never));
	ck_assert(OVER(103 * s, 101 * s)); /* quiet for long enough at min */
	ck_assert(!OVER(103 * s, 101 * s + 1));
	ck_assert(!OVER(119 * s, 119 * s));
	ck_assert(OVER(120 * s, 120 * s)); /* max */
	o.max_ns = -1;
	ck_assert(!OVER(1000 * s, 1000 * s));
	o.min_ns = 0;
	ck_assert(OVER(100 * s, never));
	o.idle_ns = 0;
	ck_assert(!OVER(100 * s, 100 * s)); /* busy right now */
	ck_assert(OVER(100 * s, 99 * s));
	/* The next look: never in the past, never past the moment of decision, less often when
	 * looks are dear. */
	o.min_ns = 60 * s;
	o.idle_ns = 2 * s;
	o.max_ns = 70 * s;
	ck_assert_int_eq(drain_next_ns(&o, 101 * s, never, 0), 102 * s);
	ck_assert_int_eq(drain_next_ns(&o, 160 * s - 5, never, 0), 160 * s);
	ck_assert_int_eq(drain_next_ns(&o, 161 * s, 161 * s, 0), 161 * s + 250 * MS);
	ck_assert_int_eq(drain_next_ns(&o, 161 * s, 161 * s, 50 * MS), 161 * s + 500 * MS);
	ck_assert_int_eq(drain_next_ns(&o, 161 * s, 161 * s, 5 * s), 162 * s);
	ck_assert_int_eq(drain_next_ns(&o, 169 * s + 900 * MS, 169 * s, 0), 170 * s);
	ck_assert_int_eq(drain_next_ns(&o, 162 * s, 160 * s + 5 * MS, 0), 162 * s + 5 * MS);
}
END_TEST

START_TEST(cgroup_texts)
{
	ck_assert(owners_same_cgroup("0::/a\n", "0::/a\n"));
	ck_assert(owners_same_cgroup("0::/a\n", "0::/a/b\n"));
	ck_assert(!owners_same_cgroup("0::/a\n", "0::/ab\n"));
	ck_assert(!owners_same_cgroup("0::/a\n", "0::/\n"));
	ck_assert(owners_same_cgroup("0::/\n", "0::/init\n"));
	ck_assert(!owners_same_cgroup("0::/\n", "0::/../other\n"));
	ck_assert(owners_same_cgroup("2:cpu:/x\n1:pids:/\n0::/\n", "2:cpu:/x/y\n1:pids:/\n0::/\n"));
	ck_assert(!owners_same_cgroup("2:cpu:/x\n1:pids:/\n0::/\n", "2:cpu:/z\n1:pids:/\n0::/\n"));
	ck_assert(owners_same_cgroup("", ""));
	ck_assert(!owners_same_cgroup("0::/\n", ""));
	ck_assert(!owners_same_cgroup("", "0::/\n"));
}
END_TEST

/* ---- on a real kernel ---- */

static bool is_live; /* a network namespace of our own */
static const struct timespec tick = {.tv_nsec = 20 * MS};

static void enter_network(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "live tests left out: unshare: %s\n", strerror(errno));
		return;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	is_live = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	close(fd);
	/* ::1 needs some milliseconds */
	for (int i = 0; i < 100; i++) {
		struct sockaddr_in6 a = {
			.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
		int six = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int result = bind(six, (struct sockaddr *)&a, sizeof(a));

		close(six);
		if (result == 0)
			return;
		nanosleep(&tick, NULL);
	}
}

/* family 0: IPv6 that takes IPv4 as well. */
static int server(int family, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int one = 1;
	int only = family == AF_INET6;
	int fd = socket(family == AF_INET ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET) {
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&v4, sizeof(v4)), 0);
	} else {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&v6, sizeof(v6)), 0);
	}
	ck_assert_int_eq(listen(fd, 16), 0);
	return fd;
}

static int client(int family, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
				       : connect(fd, (struct sockaddr *)&v6, sizeof(v6));

	ck_assert_msg(result == 0, "connect: %s", strerror(errno));
	return fd;
}

struct pair {
	int client;
	int server;
};

static struct pair connection(int listener, int family, uint16_t port)
{
	struct pair p = {.client = client(family, port)};

	p.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(p.server, 0);
	return p;
}

static void hang_up(struct pair p)
{
	struct linger hard = {.l_onoff = 1};

	setsockopt(p.server, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(p.client);
	close(p.server);
}

static void move_bytes(int from, int to)
{
	char c = 'x';

	ck_assert_int_eq(write(from, &c, 1), 1);
	ck_assert_int_eq(read(to, &c, 1), 1);
}

static struct drain_options plain(void)
{
	return (struct drain_options){.start_ns = clock_now_ns(),
		.max_ns = 20 * NS_PER_S,
		.idle_ns = 2 * NS_PER_S,
		.sources = SOCKETS_ANY};
}

/* "active/open", from a fresh look. */
static const char *counted(struct drain_options o)
{
	static char text[32];
	struct drain *d = drain_open(&o);
	uint32_t active, all;

	ck_assert_ptr_nonnull(d);
	ck_assert_int_eq(drain_count(d, &active, &all), 0);
	snprintf(text, sizeof(text), "%u/%u", active, all);
	drain_close(d);
	return text;
}

#define LIVE()                                                                                     \
	if (!is_live)                                                                              \
	return

/* The same by netlink and by /proc/net/tcp. */
START_TEST(live_what_counts)
{
	struct drain_options o = plain();
	uint16_t only[] = {8002};
	int a, b, dual;
	struct pair p[4];

	LIVE();
	o.sources = _i == 0 ? SOCKETS_DIAG : SOCKETS_PROC;
	a = server(AF_INET, 8001);
	b = server(AF_INET6, 8002);
	dual = server(0, 8003);
	ck_assert_str_eq(counted(o), "0/0");
	p[0] = connection(a, AF_INET, 8001);
	ck_assert_str_eq(counted(o), "1/1"); /* the client's end does not count */
	p[1] = connection(b, AF_INET6, 8002);
	ck_assert_str_eq(counted(o), "2/2");
	p[2] = connection(dual, AF_INET, 8003); /* mapped: once */
	ck_assert_str_eq(counted(o), "3/3");
	p[3] = connection(dual, AF_INET6, 8003);
	ck_assert_str_eq(counted(o), "4/4");
	o.ports = only;
	o.port_count = 1;
	ck_assert_str_eq(counted(o), "1/1");
	o.port_count = 0;
	o.health_port = 8003;
	ck_assert_str_eq(counted(o), "2/2");
	o.health_port = 0;
	shutdown(p[0].client, SHUT_WR); /* the server's end is CLOSE_WAIT now */
	ck_assert_str_eq(counted(o), "3/3");
	close(p[1].server); /* FIN_WAIT2, then TIME_WAIT */
	ck_assert_str_eq(counted(o), "2/2");
	close(p[1].client);
	ck_assert_str_eq(counted(o), "2/2");
	close(p[0].client);
	close(p[0].server);
	hang_up(p[2]);
	hang_up(p[3]);
	close(a);
	close(b);
	close(dual);
}
END_TEST

START_TEST(live_not_accepted_yet)
{
	struct drain_options o = plain();
	int a, c;

	LIVE();
	o.idle_ns = 0;
	o.sources = _i == 0 ? SOCKETS_DIAG : SOCKETS_PROC;
	a = server(AF_INET, 8001);
	c = client(AF_INET, 8001);
	nanosleep(&tick, NULL);
	ck_assert_str_eq(counted(o), "1/1");
	close(c);
	close(a);
}
END_TEST

/* A listening server in a process of its own, in the cgroup whose cgroup.procs is given and / or
 * behind a PID namespace. Returns when it listens; its end comes with ours. */
static pid_t start_sidecar(const char *procs, uint16_t port)
{
	int ready[2];
	char c;
	pid_t pid;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int fd = procs ? open(procs, O_WRONLY | O_CLOEXEC) : -1;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (procs && write(fd, "0", 1) != 1)
			_exit(1);
		(void)server(AF_INET, port);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#define UNIFIED "/sys/fs/cgroup/unified/shim-test"
#define PURE    "/sys/fs/cgroup/shim-test"

static const char *make_cgroup(const char *name)
{
	static char path[2][PATH_MAX];
	static int turn;
	const char *base =
		access("/sys/fs/cgroup/unified/cgroup.procs", W_OK) == 0 ? UNIFIED : PURE;
	char *p = path[turn++ % 2];

	snprintf(p, PATH_MAX, "%s-%d-%s", base, (int)getpid(), name);
	if (mkdir(p, 0755) < 0)
		return NULL;
	strcat(p, "/cgroup.procs");
	if (access(p, W_OK) < 0) {
		*strrchr(p, '/') = '\0';
		rmdir(p);
		return NULL;
	}
	return p;
}

static void remove_cgroup(const char *procs)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", procs);
	*strrchr(path, '/') = '\0';
	for (int i = 0; i < 50 && rmdir(path) < 0; i++)
		nanosleep(&tick, NULL);
}

/* A pod: ours and a sidecar's server in one network namespace, told apart by cgroup. A child moves,
 * so that the test itself stays where it is. */
START_TEST(live_sidecar_by_cgroup)
{
	const char *ours, *theirs;
	pid_t sidecar, us;
	int status;

	LIVE();
	ours = make_cgroup("ours");
	theirs = make_cgroup("theirs");
	if (ours == NULL || theirs == NULL) {
		fprintf(stderr, "left out: no cgroup v2 to write to\n");
		return;
	}
	sidecar = start_sidecar(theirs, 8001);
	us = fork();
	if (us == 0) {
		int fd = open(ours, O_WRONLY | O_CLOEXEC);
		struct drain_options o = plain();
		uint16_t port[] = {8001};
		int a;

		if (write(fd, "0", 1) != 1)
			_exit(9);
		a = server(AF_INET, 8002);
		(void)client(AF_INET, 8001);
		(void)client(AF_INET, 8001);
		(void)connection(a, AF_INET, 8002);
		if (strcmp(counted(o), "1/1") != 0)
			_exit(1);
		o.ports = port; /* the user knows better */
		o.port_count = 1;
		_exit(strcmp(counted(o), "2/2") == 0 ? 0 : 2);
	}
	waitpid(us, &status, 0);
	stop(sidecar);
	remove_cgroup(ours);
	remove_cgroup(theirs);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* The same without cgroups: the sidecar's processes are not in our /proc. */
START_TEST(live_sidecar_by_files)
{
	pid_t sidecar, us;
	int status;

	LIVE();
	sidecar = start_sidecar(NULL, 8001);
	us = fork();
	if (us == 0) {
		pid_t inner;

		if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
			_exit(9);
		inner = fork();
		if (inner == 0) {
			struct drain_options o = plain();
			int a;

			if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
				mount("proc", "/proc", "proc", 0, NULL) < 0)
				_exit(9);
			a = server(AF_INET, 8002);
			(void)client(AF_INET, 8001);
			(void)connection(a, AF_INET, 8002);
			o.sources = _i == 0 ? SOCKETS_DIAG : SOCKETS_PROC;
			if (strcmp(counted(o), "1/1") != 0)
				_exit(1);
			/* No /proc: all count, rather than none. */
			if (mount("none", "/proc", "tmpfs", 0, NULL) < 0)
				_exit(9);
			o.sources = SOCKETS_DIAG;
			_exit(strcmp(counted(o), "2/2") == 0 ? 0 : 2);
		}
		waitpid(inner, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
	}
	waitpid(us, &status, 0);
	stop(sidecar);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* As nobody, beside processes of root's: what they hold cannot be seen, so that all may be the
 * container's. */
START_TEST(live_other_users_processes_are_hidden)
{
	struct drain_options o = plain();
	pid_t sidecar, us;
	int status;

	LIVE();
	sidecar = start_sidecar(NULL, 8001);
	us = fork();
	if (us == 0) {
		int a = server(AF_INET, 8002);

		(void)client(AF_INET, 8001);
		(void)connection(a, AF_INET, 8002);
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(9);
		_exit(strcmp(counted(o), "2/2") == 0 ? 0 : 1);
	}
	waitpid(us, &status, 0);
	stop(sidecar);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- the watcher ---- */

static double watch(struct drain_options o)
{
	int64_t from = clock_now_ns();
	struct drain *d = drain_open(&o);

	ck_assert_ptr_nonnull(d);
	ck_assert_int_eq(drain_watch(d), 0);
	drain_close(d);
	return (double)(clock_now_ns() - from) / 1e9;
}

static double fraction(int64_t ns)
{
	return (double)ns / 1e9;
}

START_TEST(live_watch_without_connections)
{
	struct drain_options o = plain();
	int a;
	double took;

	LIVE();
	a = server(AF_INET, 8001);
	o.min_ns = 300 * MS;
	o.start_ns = clock_now_ns();
	took = watch(o);
	ck_assert_msg(took >= 0.25 && took < 1.5, "%.2f", took);
	o.start_ns = clock_now_ns();
	o.min_ns = 0;
	took = watch(o);
	ck_assert_msg(took < 0.5, "%.2f", took);
	close(a);
}
END_TEST

START_TEST(live_watch_idle_keep_alive)
{
	struct drain_options o = plain();
	struct pair p;
	int a;
	double took;

	LIVE();
	a = server(AF_INET, 8001);
	p = connection(a, AF_INET, 8001);
	move_bytes(p.client, p.server);
	nanosleep(&tick, NULL);
	move_bytes(p.server, p.client);
	o.start_ns = clock_now_ns();
	o.idle_ns = 1000 * MS;
	took = watch(o);
	ck_assert_msg(took > 0.8 && took < 3, "%.2f", took);
	o.start_ns = clock_now_ns();
	took = watch(o); /* has been idle all the time */
	ck_assert_msg(took < 0.9, "%.2f", took);
	hang_up(p);
	close(a);
}
END_TEST

/* In a child, after so many milliseconds: what is to happen. */
#define LATER(pid, ms, what)                                                                       \
	pid_t pid = fork();                                                                        \
	if (pid == 0) {                                                                            \
		const struct timespec pause_ = {                                                   \
			.tv_sec = (ms) / 1000, .tv_nsec = (ms) % 1000 * MS};                       \
		nanosleep(&pause_, NULL);                                                          \
		what;                                                                              \
		_exit(0);                                                                          \
	}

START_TEST(live_watch_waits_for_the_answer)
{
	struct drain_options o = plain();
	struct pair p;
	int a;
	double took;

	LIVE();
	a = server(AF_INET, 8001);
	p = connection(a, AF_INET, 8001);
	move_bytes(p.client, p.server); /* read by the server, which thinks for longer than idle */
	o.idle_ns = 200 * MS;
	LATER(answer, 1000, move_bytes(p.server, p.client));
	took = watch(o);
	waitpid(answer, NULL, 0);
	ck_assert_msg(took > 1.1 && took < 3, "%.2f", took);
	hang_up(p);
	close(a);
}
END_TEST

START_TEST(live_watch_busy_until_max)
{
	struct drain_options o = plain();
	struct pair p;
	int a;
	double took;

	LIVE();
	a = server(AF_INET, 8001);
	p = connection(a, AF_INET, 8001);
	o.idle_ns = 500 * MS;
	o.max_ns = 1500 * MS;
	LATER(
		busy, 0, for (int i = 0; i < 30; i++) {
			move_bytes(p.client, p.server);
			move_bytes(p.server, p.client);
			nanosleep(&(struct timespec){.tv_nsec = 100 * MS}, NULL);
		});
	o.start_ns = clock_now_ns();
	took = watch(o);
	ck_assert_msg(took > 1.4 && took < 2.5, "%.2f", took);
	waitpid(busy, NULL, 0);
	hang_up(p);
	close(a);
}
END_TEST

/* Answers five requests, each after longer than idle; true when the next one came at once, as far
 * as a busy machine let it. */
static bool answer_slowly(struct pair p)
{
	bool at_once = true;

	for (int i = 0; i < 5; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 700 * MS}, NULL);
		int64_t begun_ns = clock_now_ns();
		move_bytes(p.server, p.client);
		if (i < 4)
			move_bytes(p.client, p.server);
		at_once = at_once && clock_now_ns() - begun_ns < 100 * MS;
	}
	return at_once;
}

/* A client that sends the next request at once to a server that takes longer than idle: in one tick
 * of the kernel's clock the answer goes and the request comes. */
START_TEST(live_watch_slow_and_back_to_back)
{
	struct drain_options o = plain();
	struct pair p;
	int a, status = -1;
	double took = 0;

	LIVE();
	a = server(AF_INET, 8001);
	p = connection(a, AF_INET, 8001);
	o.idle_ns = 300 * MS;
	for (int tries = 0; tries < 5 && status != 0; tries++) {
		move_bytes(p.client, p.server);
		LATER(busy, 0, _exit(answer_slowly(p) ? 0 : 1));
		o.start_ns = clock_now_ns();
		took = watch(o);
		waitpid(busy, &status, 0);
	}
	ck_assert_msg(status == 0, "the machine is too busy");
	ck_assert_msg(took > 3.4 && took < 6, "%.2f", took);
	hang_up(p);
	close(a);
}
END_TEST

/* netlink refused, as by SELinux, gVisor or a seccomp profile: /proc/net/tcp does. */
START_TEST(live_netlink_refused)
{
	static const int errors[] = {EPERM, ENOSYS, EPROTONOSUPPORT, EAFNOSUPPORT, EACCES};
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)errors[_i]),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	struct drain_options o = plain();
	struct pair p;
	int a;

	LIVE();
	a = server(AF_INET, 8001);
	p = connection(a, AF_INET, 8001);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	o.sources = SOCKETS_DIAG;
	struct drain *d = drain_open(&o);
	uint32_t n;
	ck_assert_int_eq(drain_count(d, &n, NULL), -1); /* the filter works */
	drain_close(d);
	o.sources = SOCKETS_ANY;
	ck_assert_str_eq(counted(o), "1/1");
	hang_up(p);
	close(a);
}
END_TEST

/* One that comes while it drains counts, also when the server no longer listens. */
START_TEST(live_watch_new_connection)
{
	struct drain_options o = plain();
	_Atomic uint32_t active = 99;
	struct pair p = {-1, -1};
	struct drain *d;
	uint32_t n, all;
	int a;

	LIVE();
	o.active = &active;
	a = server(AF_INET, 8001);
	d = drain_open(&o);
	ck_assert_int_eq(drain_count(d, &n, &all), 0);
	ck_assert_uint_eq(n, 0);
	p = connection(a, AF_INET, 8001);
	close(a);
	ck_assert_int_eq(drain_count(d, &n, &all), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(atomic_load(&active), 1);
	hang_up(p);
	ck_assert_int_eq(drain_count(d, &n, &all), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(atomic_load(&active), 0);
	drain_close(d);
}
END_TEST

/* The server has closed, its answer is not through: a reader that takes its time. */
START_TEST(live_rest_of_an_answer_counts)
{
	struct drain_options o = plain();
	static char block[1 << 16];
	struct pair p;
	int small = 4096;
	int a;

	LIVE();
	o.sources = SOCKETS_DIAG;
	a = server(AF_INET, 8001);
	p = connection(a, AF_INET, 8001);
	setsockopt(p.client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(p.server, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	fcntl(p.server, F_SETFL, O_NONBLOCK);
	while (write(p.server, block, sizeof(block)) > 0)
		;
	close(p.server);
	ck_assert_str_eq(counted(o), "1/1");
	while (read(p.client, block, sizeof(block)) > 0)
		;
	ck_assert_str_eq(counted(o), "0/0");
	close(p.client);
	close(a);
}
END_TEST

/* 800 sockets: more than one datagram of netlink, more than one read of /proc. */
START_TEST(live_many)
{
	struct drain_options o = plain();
	static struct pair p[1000];
	int a;

	LIVE();
	o.sources = _i == 0 ? SOCKETS_DIAG : SOCKETS_PROC;
	a = server(AF_INET, 8001);
	for (int i = 0; i < 400; i++)
		p[i] = connection(a, AF_INET, 8001);
	ck_assert_str_eq(counted(o), "400/400");
	for (int i = 0; i < 400; i++)
		hang_up(p[i]);
	ck_assert_str_eq(counted(o), "0/0");
	close(a);
}
END_TEST

START_TEST(live_blind_waits_for_min)
{
	struct drain_options o = plain();
	struct drain *d;
	uint32_t n;
	double took;

	LIVE();
	o.sources = 0; /* as if neither were there */
	o.min_ns = 300 * MS;
	d = drain_open(&o);
	ck_assert_ptr_nonnull(d);
	ck_assert_int_eq(drain_count(d, &n, NULL), -1);
	ck_assert_int_eq(drain_watch(d), 0);
	took = fraction(clock_now_ns() - o.start_ns);
	ck_assert_msg(took >= 0.3 && took < 1.5, "%.2f", took);
	drain_close(d);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("drain");
	TCase *pure = tcase_create("pure");
	TCase *live = tcase_create("live");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(pure, diag_message_is_understood);
	tcase_add_test(pure, diag_message_of_an_old_kernel);
	tcase_add_test(pure, diag_states_of_no_interest_are_skipped);
	tcase_add_test(pure, diag_lengths_are_checked);
	tcase_add_test(pure, diag_ends_and_errors);
	tcase_add_test(pure, proc_lines);
	tcase_add_test(pure, quiet_rules);
	tcase_add_test(pure, who_spoke_last);
	tcase_add_test(pure, when_it_is_over);
	tcase_add_test(pure, cgroup_texts);
	tcase_add_unchecked_fixture(live, enter_network, NULL);
	tcase_set_timeout(live, 20);
	tcase_add_loop_test(live, live_what_counts, 0, 2);
	tcase_add_loop_test(live, live_not_accepted_yet, 0, 2);
	tcase_add_test(live, live_sidecar_by_cgroup);
	tcase_add_loop_test(live, live_sidecar_by_files, 0, 2);
	tcase_add_test(live, live_other_users_processes_are_hidden);
	tcase_add_test(live, live_watch_without_connections);
	tcase_add_test(live, live_watch_idle_keep_alive);
	tcase_add_test(live, live_watch_waits_for_the_answer);
	tcase_add_test(live, live_watch_busy_until_max);
	tcase_add_test(live, live_watch_slow_and_back_to_back);
	tcase_add_loop_test(live, live_netlink_refused, 0, 5);
	tcase_add_test(live, live_watch_new_connection);
	tcase_add_test(live, live_rest_of_an_answer_counts);
	tcase_add_loop_test(live, live_many, 0, 2);
	tcase_add_test(live, live_blind_waits_for_min);
	suite_add_tcase(suite, pure);
	suite_add_tcase(suite, live);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
