/*
 * sockets.c - asks the kernel for its TCP sockets, by netlink or through /proc, and reads its
 * answers.
 *
 * Owns the descriptors in struct sockets. Called by drain.c in a child of PID 1. sockets_parse.c
 * takes the answers apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include "sockets.h"

enum { TCP_PROTOCOL = 6, ANSWER_S = 2 };

static int diag_request(struct sockets *s, uint8_t family)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} request;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;

	memset(&request, 0, sizeof(request));
	request.head.nlmsg_len = sizeof(request);
	request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request.head.nlmsg_seq = ++s->sequence;
	request.body.sdiag_family = family;
	request.body.sdiag_protocol = TCP_PROTOCOL;
	request.body.idiag_ext = 1U << (INET_DIAG_INFO - 1);
	request.body.idiag_states = SOCKETS_STATES;
	do {
		n = sendto(s->diag, &request, sizeof(request), 0, (struct sockaddr *)&kernel,
			sizeof(kernel));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

/* One datagram of the kernel's into the buffer; those of other processes are passed over. */
static ssize_t diag_receive(struct sockets *s)
{
	for (;;) {
		struct sockaddr_nl from = {.nl_pid = UINT32_MAX};
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(s->diag, s->buffer, sizeof(s->buffer), MSG_TRUNC,
			(struct sockaddr *)&from, &size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n >= 0 && from.nl_pid != 0)
			continue;
		if (n == 0 || n > (ssize_t)sizeof(s->buffer)) {
			errno = EBADMSG;
			return -1;
		}
		return n;
	}
}

static int diag_read(struct sockets *s, sockets_visit *visit, void *context)
{
	for (;;) {
		size_t offset = 0;
		ssize_t n = diag_receive(s);
		enum diag_part part;

		if (n < 0)
			return -1;
		do {
			struct tcp_socket socket;
			int error = 0;

			part = sockets_parse_diag(
				s->buffer, (size_t)n, &offset, s->sequence, &socket, &error);
			if (part == DIAG_SOCKET)
				visit(context, &socket);
			if (part == DIAG_DONE)
				return 0;
			if (part == DIAG_FAILED) {
				errno = error;
				return -1;
			}
		} while (part != DIAG_END);
	}
}

/* The kernel goes on with a list as it is read, and answers EBUSY to whoever asks for another one
 * meanwhile: what is left of one that failed is read to its end, as far as it is there at once. */
static void diag_drop_rest(struct sockets *s)
{
	enum { AT_MOST = 10000 };

	for (int i = 0; i < AT_MOST; i++)
		if (recv(s->diag, s->buffer, sizeof(s->buffer), MSG_DONTWAIT) < 0 &&
			errno != EINTR && errno != ENOBUFS)
			return;
}

static int diag_list(struct sockets *s, uint8_t family, sockets_visit *visit, void *context)
{
	if (diag_request(s, family) < 0)
		return -1;
	if (diag_read(s, visit, context) == 0)
		return 0;
	int error = errno;
	diag_drop_rest(s);
	errno = error;
	return -1;
}

/* The whole file from its start, line by line; what is behind the last whole line stays for the
 * next read. */
static int proc_list(struct sockets *s, int fd, sockets_visit *visit, void *context)
{
	char *text = (char *)s->buffer;
	size_t held = 0;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	for (;;) {
		ssize_t n = read(fd, text + held, sizeof(s->buffer) - held);
		char *line = text;
		char *stop;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		held += (size_t)n;
		while ((stop = memchr(line, '\n', held)) != NULL) {
			struct tcp_socket socket;

			if (sockets_parse_proc(line, (size_t)(stop - line), &socket))
				visit(context, &socket);
			held -= (size_t)(stop + 1 - line);
			line = stop + 1;
		}
		if (held == sizeof(s->buffer)) /* a line of 32 KiB: not the kernel's */
			held = 0;
		memmove(text, line, held);
	}
}

int sockets_list(struct sockets *s, sockets_visit *visit, void *context)
{
	if (s->diag >= 0) {
		if (diag_list(s, AF_INET, visit, context) < 0)
			return -1;
		/* A kernel without IPv6 knows no such family. */
		if (diag_list(s, AF_INET6, visit, context) < 0 && errno != ENOENT)
			return -1;
		return 0;
	}
	for (size_t i = 0; i < 2; i++) {
		if (s->proc[i] >= 0 && proc_list(s, s->proc[i], visit, context) < 0)
			return -1;
	}
	return 0;
}

bool sockets_is_timed(const struct sockets *s)
{
	return s->diag >= 0;
}

void sockets_close(struct sockets *s)
{
	int *fds[] = {&s->diag, &s->proc[0], &s->proc[1]};

	for (size_t i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			(void)close(*fds[i]); /* nothing was written to it */
		*fds[i] = -1;
	}
}

static void visit_nothing(void *context, const struct tcp_socket *socket)
{
	(void)context;
	(void)socket;
}

/* The socket alone proves nothing: its protocol may be refused (SELinux, a module that is not
 * there), or the answer never come (emulated kernels). So one list is made to see. */
static int open_diag(struct sockets *s)
{
	struct timeval patience = {.tv_sec = ANSWER_S};

	s->diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (s->diag < 0)
		return -1;
	if (setsockopt(s->diag, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
		sockets_list(s, visit_nothing, NULL) == 0)
		return 0;
	sockets_close(s);
	return -1;
}

int sockets_open(struct sockets *s, unsigned sources)
{
	s->diag = s->proc[0] = s->proc[1] = -1;
	s->sequence = 0;
	if ((sources & SOCKETS_DIAG) && open_diag(s) == 0)
		return 0;
	if (!(sources & SOCKETS_PROC))
		return -1;
	s->proc[0] = open("/proc/net/tcp", O_RDONLY | O_CLOEXEC);
	s->proc[1] = open("/proc/net/tcp6", O_RDONLY | O_CLOEXEC);
	return s->proc[0] >= 0 || s->proc[1] >= 0 ? 0 : -1;
}
