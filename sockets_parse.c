/*
 * sockets_parse.c - reads what the kernel says about its TCP sockets: netlink messages, lines of
 * /proc/net/tcp.
 *
 * Pure. Called by sockets.c and by the fuzzer. Every length is checked, every field copied out (no
 * alignment is assumed).
 */
#include <errno.h>
#include <string.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>

#include "sockets.h"

static bool is_wanted(unsigned state)
{
	return state < 32 && (SOCKETS_STATES >> state & 1U) != 0;
}

static uint32_t load_u32(const unsigned char *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static uint64_t load_u64(const unsigned char *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

/* tcp_info has grown over the years: what is there is used, from the times on (Linux 2.6). */
static void take_info(const unsigned char *info, size_t length, struct tcp_socket *socket)
{
	if (length < offsetof(struct tcp_info, tcpi_last_ack_recv) + 4)
		return;
	socket->timed = true;
	socket->sent_ms = load_u32(info + offsetof(struct tcp_info, tcpi_last_data_sent));
	socket->received_ms = load_u32(info + offsetof(struct tcp_info, tcpi_last_data_recv));
	socket->acked_ms = load_u32(info + offsetof(struct tcp_info, tcpi_last_ack_recv));
	if (length >= offsetof(struct tcp_info, tcpi_bytes_received) + 8) { /* Linux 4.1 */
		socket->silent =
			load_u64(info + offsetof(struct tcp_info, tcpi_bytes_received)) == 0;
		/* Acknowledged bytes: the SYN may be one of them. */
		socket->mute = load_u64(info + offsetof(struct tcp_info, tcpi_bytes_acked)) <= 1;
	}
	if (length >= offsetof(struct tcp_info, tcpi_data_segs_out) + 4) { /* Linux 4.6 */
		socket->segments_in = load_u32(info + offsetof(struct tcp_info, tcpi_data_segs_in));
		socket->segments_out =
			load_u32(info + offsetof(struct tcp_info, tcpi_data_segs_out));
		socket->mute = socket->segments_out == 0;
	}
}

/* false: an attribute's length does not fit. */
static bool take_attributes(const unsigned char *at, size_t left, struct tcp_socket *socket)
{
	while (left >= sizeof(struct nlattr)) {
		struct nlattr head;
		size_t step;

		memcpy(&head, at, sizeof(head));
		if (head.nla_len < sizeof(head) || head.nla_len > left)
			return false;
		if (head.nla_type == INET_DIAG_INFO)
			take_info(at + sizeof(head), head.nla_len - sizeof(head), socket);
		else if (head.nla_type == INET_DIAG_CGROUP_ID && head.nla_len >= sizeof(head) + 8)
			socket->cgroup = load_u64(at + sizeof(head));
		step = ((size_t)head.nla_len + 3) & ~(size_t)3;
		if (step >= left)
			break;
		at += step;
		left -= step;
	}
	return true;
}

static enum diag_part take_socket(
	const unsigned char *body, size_t length, struct tcp_socket *socket, int *error)
{
	struct inet_diag_msg msg;
	const unsigned char *ports;

	*error = EBADMSG;
	if (length < sizeof(msg))
		return DIAG_FAILED;
	memcpy(&msg, body, sizeof(msg));
	if (!is_wanted(msg.idiag_state))
		return DIAG_SKIPPED;
	memset(socket, 0, sizeof(*socket));
	ports = body + offsetof(struct inet_diag_msg, id);
	socket->state = msg.idiag_state;
	socket->port = (uint16_t)(ports[0] << 8 | ports[1]);
	socket->peer_port = (uint16_t)(ports[2] << 8 | ports[3]);
	socket->unread = msg.idiag_rqueue;
	socket->unsent = msg.idiag_wqueue;
	socket->inode = msg.idiag_inode;
	socket->cookie = (uint64_t)msg.id.idiag_cookie[1] << 32 | msg.id.idiag_cookie[0];
	return take_attributes(body + sizeof(msg), length - sizeof(msg), socket) ? DIAG_SOCKET
										 : DIAG_FAILED;
}

/* An error inside a dump comes as NLMSG_ERROR or, once the dump has begun, as a negative number in
 * NLMSG_DONE. */
static enum diag_part take_verdict(const unsigned char *body, size_t length, bool done, int *error)
{
	int32_t number = 0;

	if (length >= sizeof(number))
		memcpy(&number, body, sizeof(number));
	else if (!done)
		number = -EBADMSG;
	if (done && number >= 0)
		return DIAG_DONE;
	*error = number < 0 && number > -4096 ? -number : EBADMSG;
	return DIAG_FAILED;
}

enum diag_part sockets_parse_diag(const unsigned char *buf, size_t length, size_t *offset,
	uint32_t sequence, struct tcp_socket *socket, int *error)
{
	struct nlmsghdr head;
	const unsigned char *body;
	size_t left = *offset < length ? length - *offset : 0;
	size_t size;

	if (left < sizeof(head))
		return DIAG_END;
	memcpy(&head, buf + *offset, sizeof(head));
	if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > left) {
		*error = EBADMSG;
		return DIAG_FAILED;
	}
	body = buf + *offset + sizeof(head);
	size = head.nlmsg_len - sizeof(head);
	*offset += NLMSG_ALIGN((size_t)head.nlmsg_len);
	if (head.nlmsg_seq != sequence)
		return DIAG_SKIPPED;
	if (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR)
		return take_verdict(body, size, head.nlmsg_type == NLMSG_DONE, error);
	if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return DIAG_SKIPPED;
	return take_socket(body, size, socket, error);
}

/* A number in base 10 or 16 from *at on, after blanks; *at is moved behind it. digits: at least
 * one, at most that many. */
static bool read_number(
	const char **at, const char *end, unsigned base, unsigned digits, uint64_t *value)
{
	unsigned seen = 0;

	while (*at < end && **at == ' ')
		++*at;
	for (*value = 0; *at < end; ++*at, seen++) {
		unsigned c = (unsigned char)**at;
		unsigned digit;

		if (c - '0' < 10)
			digit = c - '0';
		else if (base == 16 && (c | 32) - 'a' < 6)
			digit = (c | 32) - 'a' + 10;
		else
			break;
		if (seen == digits)
			return false;
		*value = *value * base + digit;
	}
	return seen > 0;
}

static bool read_mark(const char **at, const char *end, char mark)
{
	if (*at == end || **at != mark)
		return false;
	++*at;
	return true;
}

/* "0100007F:1F90", "00000000000000000000000001000000:1F90": the port is what is wanted. */
static bool read_port(const char **at, const char *end, uint16_t *port)
{
	uint64_t value;

	while (*at < end && **at == ' ')
		++*at;
	while (*at < end && **at != ':' && **at != ' ')
		++*at;
	if (!read_mark(at, end, ':') || !read_number(at, end, 16, 4, &value))
		return false;
	*port = (uint16_t)value;
	return true;
}

bool sockets_parse_proc(const char *line, size_t length, struct tcp_socket *socket)
{
	const char *at = line;
	const char *end = line + length;
	uint64_t state, unsent, unread, inode, ignored;

	memset(socket, 0, sizeof(*socket));
	/* sl: local remote st tx:rx tr:when retrnsmt uid timeout inode */
	if (!read_number(&at, end, 10, 10, &ignored) || !read_mark(&at, end, ':') ||
		!read_port(&at, end, &socket->port) || !read_port(&at, end, &socket->peer_port) ||
		!read_number(&at, end, 16, 2, &state) || !read_number(&at, end, 16, 8, &unsent) ||
		!read_mark(&at, end, ':') || !read_number(&at, end, 16, 8, &unread) ||
		!read_number(&at, end, 16, 2, &ignored) || !read_mark(&at, end, ':') ||
		!read_number(&at, end, 16, 16, &ignored) ||
		!read_number(&at, end, 16, 8, &ignored) ||
		!read_number(&at, end, 10, 10, &ignored) ||
		!read_number(&at, end, 10, 10, &ignored) || !read_number(&at, end, 10, 19, &inode))
		return false;
	socket->state = (unsigned)state;
	socket->unsent = (uint32_t)unsent;
	socket->unread = (uint32_t)unread;
	socket->inode = inode;
	return is_wanted(socket->state);
}
