/*
 * health_client.h - one connection of the health server: its states, buffers and deadlines. For
 * health*.c only.
 */
#ifndef HEALTH_CLIENT_H
#define HEALTH_CLIENT_H

#include "health.h"

enum { CLIENTS = 64 };

/* In the order in which they give way to a new one. */
enum client_state {
	CLIENT_NONE,
	CLIENT_LINGERING, /* answered and shut down; what still comes is thrown away, so that no
			     reset overtakes the answer */
	CLIENT_WRITING,   /* an answer fits into any socket: the peer asks and does not read */
	CLIENT_IDLE,      /* between two requests: no deadline */
	CLIENT_READING,   /* with the next, by the age of the connection */
	CLIENT_PROBING,   /* waits for the --ready-probe */
};

struct client {
	enum client_state state;
	int fd;
	bool is_closing;     /* after this answer */
	int64_t begun_ns;    /* the connection */
	int64_t since_ns;    /* in this state */
	int64_t deadline_ns; /* < 0: none */
	size_t in_length;
	size_t out_length;
	size_t out_sent;
	struct http_request request; /* points into in */
	size_t request_length;
	char in[HTTP_HEAD_MAX];
	char out[3840];
};

struct server {
	const struct health_options *options;
	struct client *clients;
	size_t connected;
	bool is_touched; /* pages of clients are in use */
	int64_t now_ns;
	int64_t accept_at_ns; /* while no descriptor is to be had; < 0: at any time */
	int prober;           /* -1: there is none */
	bool is_asking;
	uint32_t question;
};

/* A new connection; what it has sent already is served. */
void client_begin(struct server *s, struct client *c, int fd);

/* Something happened to it (poll's events), or nothing but the time going by. */
void client_attend(struct server *s, struct client *c, short events);

void client_drop(struct server *s, struct client *c);

/* The answer of the prober, for all who wait. -1: there is no prober any more. */
int clients_take_verdict(struct server *s);

#endif
