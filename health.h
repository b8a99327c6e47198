/*
 * health.h - /livez, /readyz, /startupz, /status and /metrics: the health server, a forked child
 * that reads one shared page.
 *
 * PID 1 parses the address, binds before anything is started, keeps the descriptor (a new child
 * needs it when one dies), and forks. It reads nothing from the network itself.
 */
#ifndef HEALTH_H
#define HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"
#include "status.h"

enum { HEALTH_HOST_SIZE = 46, HEALTH_REASON_SIZE = 160 };

struct health_address {
	char host[HEALTH_HOST_SIZE]; /* numeric; "": every address, IPv6 and IPv4 */
	uint16_t port;
};

/* "8080", "127.0.0.1:8080", "[::1]:8080". 0, or -1 with what was expected in *expected. Pure. */
int health_parse(const char *text, struct health_address *address, const char **expected);

/* A listening socket, close-on-exec, or -1 with a line for the user in error ("port 8080 is in
 * use"). */
int health_bind(const struct health_address *address, char *error, size_t size);

/* The port of a listening socket (for port 0). */
uint16_t health_port(int listener);

/* Which process is to be sealed: they need different system calls. */
enum health_role {
	HEALTH_SERVER, /* parses what strangers send: no fork, no new sockets, no files */
	HEALTH_PROBER, /* asks the --ready-probe target: forks, connects, resolves names */
};

struct health_options {
	int listener;
	struct status_page *page;
	/* --ready-probe, asked when /readyz is; NULL: none. 0, or -1 and the reason ("connection
	 * refused"). Runs in a process of its own for at most HEALTH_PROBE_MS. */
	int (*probe)(void *context, char *reason, size_t size);
	void *probe_context;
	const char *probe_name; /* the target, for "probe NAME: reason" */
	/* How many processes were killed for want of memory; NULL: that is not known. pread(2). */
	long (*oom_kills)(void);
	/* Called once in each process before its work begins; < 0: it must not begin. NULL:
	 * nothing. */
	int (*seal)(enum health_role role);
};

enum { HEALTH_PROBE_MS = 1000 };

/* In the forked child: serves until killed. Returns the exit status when it cannot go on. All
 * signals but SIGALRM may be blocked. */
int health_serve(const struct health_options *options);

/*
 * For health*.c and their tests.
 */
struct health_reply {
	int status;
	const char *type; /* Content-Type; NULL: plain text */
	bool needs_probe; /* status is 200 unless the --ready-probe says no */
	size_t length;
	char body[3400]; /* /status needs most, if its texts are full of control characters */
};

/* What is counted elsewhere. */
struct health_numbers {
	uint32_t active;             /* connections */
	uint64_t signals;            /* passed on */
	uint64_t orphans;            /* reaped; STATUS_UNKNOWN: the kernel does it */
	long oom_kills;              /* < 0: not known */
	char said[STATUS_TEXT_SIZE]; /* by the app of itself; "": nothing */
};

/* What to answer for path. now_ns: CLOCK_MONOTONIC. Pure. */
void health_answer(const struct status *status, const struct health_numbers *numbers,
	int64_t now_ns, struct span path, struct health_reply *reply);

/* /metrics. Pure. */
void health_metrics(const struct status *status, const struct health_numbers *numbers,
	int64_t now_ns, struct health_reply *reply);

/* Replaces the reply's body by 503 and a line. */
void health_refuse(struct health_reply *reply, const char *reason);

/* The prober: a child of its own that runs the probe each time it is asked. Returns a descriptor
 * (non-blocking), or -1. */
int health_prober_start(const struct health_options *options);

/* Asks; the answer to it bears the number. -1: the prober is gone. */
int health_prober_ask(int fd, uint32_t number);

/* 1: an answer was taken (*passed, reason); 0: none is there; -1: the prober is gone. */
int health_prober_take(int fd, uint32_t *number, bool *passed, char reason[HEALTH_REASON_SIZE]);

#endif
