/*
 * fuzz_sockets.c - what the kernel (or whoever plays it) answers about its sockets, any bytes. The
 * first byte chooses: netlink messages, whole dumps of many datagrams, the files /proc/net/tcp and
 * tcp6, or two texts of /proc/PID/cgroup.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dialogue.h"
#include "drain.h"
#include "owners.h"

static ssize_t answer_request(void);
static ssize_t give_datagram(void *buf, size_t size, struct sockaddr *from, socklen_t *from_size);

/* The kernel is played by the input. */
#define sendto(fd, buf, size, flags, to, to_size)       ((void)(to), answer_request())
#define recvfrom(fd, buf, size, flags, from, from_size) give_datagram(buf, size, from, from_size)
#include "../sockets.c"
#undef sendto
#undef recvfrom

enum { SEQUENCE = 1 };

static struct dialogues dialogues;

static void check_socket(const struct tcp_socket *s)
{
	int64_t quiet;

	require(s->state < 32 && (SOCKETS_STATES >> s->state & 1) != 0);
	quiet = drain_quiet_ns(s, s->timed && dialogue_owes(&dialogues, s));
	require(quiet >= -1 && quiet <= (int64_t)UINT32_MAX * 1000000);
	require(s->timed || quiet <= 0);
	if (s->state == STATE_LISTEN)
		require(quiet == -1);
}

static void fuzz_diag(const uint8_t *data, size_t size)
{
	size_t offset = 0;
	enum diag_part part;

	do {
		struct tcp_socket s;
		size_t before = offset;
		int error = 0;

		part = sockets_parse_diag(data, size, &offset, SEQUENCE, &s, &error);
		if (part == DIAG_SOCKET)
			check_socket(&s);
		if (part == DIAG_FAILED)
			require(error > 0 && error < 4096);
		if (part == DIAG_SOCKET || part == DIAG_SKIPPED)
			require(offset > before); /* else it would never end */
	} while (part == DIAG_SOCKET || part == DIAG_SKIPPED);
}

static struct script datagrams;
static struct sockets sockets = {.diag = -1, .proc = {-1, -1}};

static ssize_t answer_request(void)
{
	if (script_byte(&datagrams) != 1)
		return 1;
	errno = ENOBUFS;
	return -1;
}

/* A datagram: its length in two bytes (bit 15: cut off; bit 14: of another process), then itself.
 * The sequence number of a message is set right where the script says so, else nothing but the
 * first dump would ever be read. */
static ssize_t give_datagram(void *buf, size_t size, struct sockaddr *from, socklen_t *from_size)
{
	struct sockaddr_nl *sender = (struct sockaddr_nl *)(void *)from;
	unsigned head;
	const uint8_t *bytes;
	size_t length;

	if (datagrams.left < 2) {
		errno = EAGAIN; /* SO_RCVTIMEO */
		return -1;
	}
	head = script_byte(&datagrams) | script_byte(&datagrams) << 8;
	bytes = script_bytes(&datagrams, head & 0xfff, &length);
	require(length <= size);
	memcpy(buf, bytes, length);
	if (length >= sizeof(struct nlmsghdr) && (head & 0x2000) == 0)
		memcpy((char *)buf + offsetof(struct nlmsghdr, nlmsg_seq), &sockets.sequence, 4);
	memset(sender, 0, sizeof *sender);
	sender->nl_pid = (head & 0x4000) != 0;
	*from_size = sizeof *sender;
	return (head & 0x8000) != 0 ? (ssize_t)size + 1 : (ssize_t)length;
}

static void visit_checked(void *context, const struct tcp_socket *socket)
{
	++*(size_t *)context;
	check_socket(socket);
}

/* Whatever comes, the list ends; and it cannot hold more than was sent. */
static void fuzz_dump(const uint8_t *data, size_t size)
{
	size_t seen = 0;
	int result;

	datagrams = (struct script){data, size};
	sockets.diag = 1000;
	errno = 0;
	result = sockets_list(&sockets, visit_checked, &seen);
	require(result == 0 || (result == -1 && errno != 0));
	require(seen <= size / (sizeof(struct nlmsghdr) + sizeof(struct inet_diag_msg)));
	sockets.diag = -1;
}

/* What a line by line reader finds, up to the last line break, must be what is visited: each socket
 * once, however the file is cut into reads. */
static void fuzz_proc(const char *text, size_t size)
{
	const char *end = text + size;
	size_t expected = 0, seen = 0;

	for (const char *stop; (stop = memchr(text, '\n', (size_t)(end - text))) != NULL;
		text = stop + 1) {
		struct tcp_socket s;

		if (sockets_parse_proc(text, (size_t)(stop - text), &s)) {
			check_socket(&s);
			require(!s.timed);
			expected++;
		}
		if (stop + 1 == end)
			break;
	}
	text = end - size;
	for (size_t i = 0; i < 2; i++) {
		if (sockets.proc[i] < 0)
			sockets.proc[i] = memfd_create("proc", MFD_CLOEXEC);
		require(ftruncate(sockets.proc[i], 0) == 0);
		require(pwrite(sockets.proc[i], text, size, 0) == (ssize_t)size);
	}
	require(sockets_list(&sockets, visit_checked, &seen) == 0);
	require(seen == 2 * expected);
}

static void fuzz_cgroup(const char *text, size_t size)
{
	char *ours = copy_text(text, size / 2);
	char *theirs = copy_text(text + size / 2, size - size / 2);

	(void)owners_same_cgroup(ours, theirs);
	/* A process is always in its own container, but for the siblings' "/..". */
	require(strstr(ours, "..") != NULL || owners_same_cgroup(ours, ours));
	free(ours);
	free(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *to_free, *copy;

	if (size == 0)
		return 0;
	memset(&dialogues, 0, sizeof dialogues);
	copy = copy_bytes(data + 1, size - 1, &to_free);
	if (data[0] % 4 == 0)
		fuzz_diag((const uint8_t *)copy, size - 1);
	else if (data[0] % 4 == 1)
		fuzz_dump((const uint8_t *)copy, size - 1);
	else if (data[0] % 4 == 2)
		fuzz_proc(copy, size - 1);
	else
		fuzz_cgroup(copy, size - 1);
	free(to_free);
	return 0;
}
