/*
 * sockets.h - the TCP sockets of this network namespace, as the kernel lists them.
 *
 * NETLINK_SOCK_DIAG where it is to be had, /proc/net/tcp{,6} else. Used by forked children only
 * (drain.c), never by PID 1. Everything is opened by sockets_open(), so that a sealed process needs
 * no more than send, recv, lseek, read.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel's numbers (they are in no header that programs get). */
enum tcp_state {
	STATE_ESTABLISHED = 1,
	STATE_SYN_SENT,
	STATE_SYN_RECV,
	STATE_FIN_WAIT1,
	STATE_FIN_WAIT2,
	STATE_TIME_WAIT,
	STATE_CLOSE,
	STATE_CLOSE_WAIT,
	STATE_LAST_ACK,
	STATE_LISTEN,
	STATE_CLOSING,
};

/* Those that are listed: the last three may still have data to deliver. */
#define SOCKETS_STATES                                                                             \
	(1U << STATE_ESTABLISHED | 1U << STATE_LISTEN | 1U << STATE_FIN_WAIT1 |                    \
		1U << STATE_LAST_ACK | 1U << STATE_CLOSING)

struct tcp_socket {
	unsigned state;
	uint16_t port; /* the local one */
	uint16_t peer_port;
	uint32_t unread; /* bytes that the program has not taken yet; LISTEN: connections it has not
			    accepted */
	uint32_t unsent; /* bytes that the peer has not acknowledged yet */
	uint64_t inode;  /* 0: in no program's hands (not accepted yet, or closed) */
	uint64_t cgroup; /* the cgroup v2 it was made in; 0: unknown */
	/* From here on only if timed. Milliseconds ago; data, not bare acknowledgements, but for
	 * acked. */
	bool timed;
	bool silent;          /* the peer has never sent a byte */
	bool mute;            /* and we have never sent one */
	uint64_t cookie;      /* names this socket and no other, ever */
	uint32_t segments_in; /* with data; 0 before Linux 4.6 */
	uint32_t segments_out;
	uint32_t sent_ms;
	uint32_t received_ms;
	uint32_t acked_ms;
};

typedef void sockets_visit(void *context, const struct tcp_socket *socket);

enum { SOCKETS_BUFFER = 32 * 1024 };

/* Where the list comes from; one of these, or both to try them in this order. */
enum { SOCKETS_DIAG = 1, SOCKETS_PROC = 2, SOCKETS_ANY = 3 };

struct sockets {
	int diag;    /* the netlink socket, or -1 */
	int proc[2]; /* /proc/net/tcp and tcp6, or -1 */
	uint32_t sequence;
	unsigned char buffer[SOCKETS_BUFFER];
};

/* Opens the first source that works. 0, or -1 when there is none. */
int sockets_open(struct sockets *s, unsigned sources);
void sockets_close(struct sockets *s);

/* Can it tell when a connection was last busy, and which cgroup it is of? */
bool sockets_is_timed(const struct sockets *s);

/* Visits every socket that listens, is established, or is closed with data still to deliver, each
 * once: IPv4 that is mapped into IPv6 is one socket. Those that listen come before the connections
 * of their family. 0, or -1 and errno. */
int sockets_list(struct sockets *s, sockets_visit *visit, void *context);

/* The pure parts, for the kernel's answers must not be trusted blindly either (gVisor, emulators).
 */
enum diag_part {
	DIAG_SOCKET,  /* *socket was filled */
	DIAG_SKIPPED, /* a message of no interest */
	DIAG_END,     /* the buffer is used up; the dump may go on */
	DIAG_DONE,    /* the dump is complete */
	DIAG_FAILED,  /* *error says why; also for what cannot be parsed (EBADMSG) */
};

/* The next message of one datagram; *offset starts at 0. sequence: of the request, others are
 * skipped. */
enum diag_part sockets_parse_diag(const unsigned char *buf, size_t length, size_t *offset,
	uint32_t sequence, struct tcp_socket *socket, int *error);

/* One line of /proc/net/tcp or tcp6 (without the line break, length bytes). false: it is no socket
 * (the heading). */
bool sockets_parse_proc(const char *line, size_t length, struct tcp_socket *socket);

#endif
