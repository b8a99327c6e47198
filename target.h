/*
 * target.h - what --wait-for, --check, --ready-probe and HTTP hooks point at: its text, one try,
 * and waiting for it.
 *
 * target_parse() is pure and for the start of PID 1. The others speak to the network and are for
 * children only.
 */
#ifndef TARGET_H
#define TARGET_H

#include "http.h"

enum target_kind { TARGET_TCP, TARGET_HTTP, TARGET_HTTPS, TARGET_UNIX, TARGET_FILE };

/* Points into the text it was parsed from, which must stay. */
struct target {
	enum target_kind kind;
	const char *text;
	struct span method; /* hooks only; empty: GET */
	struct span host;   /* no brackets; empty: 127.0.0.1, then ::1 */
	bool is_bracketed;  /* an IPv6 address */
	uint16_t port;
	bool has_default_port; /* the scheme's own: Host does not name it */
	struct span path; /* of the URL, no fragment; of the file or socket, to the text's end */
};

enum { TARGET_REASON_SIZE = 160 };

/*
 * Parses a TARGET: tcp://HOST:PORT, http://HOST[:PORT]/PATH, https://..., unix:PATH (@NAME is
 * abstract), file:PATH; HOST may be left out, IPv6 goes in brackets. 0, or -1 with what was
 * expected in reason ("a port from 1 to 65535").
 */
int target_parse(const char *text, struct target *target, char *reason, size_t size);

/* Does the text of a hook name a request ("http://...", "POST https://...") rather than a command?
 */
bool target_is_hook_url(const char *text);

/* Does it begin with an HTTP method and a blank? Then it is meant to be a request. */
bool target_is_method(const char *text);

/* Parses such a hook: [METHOD ]http(s)://[HOST][:PORT]/PATH. As target_parse(). */
int target_parse_hook(const char *text, struct target *target, char *reason, size_t size);

struct probe_options {
	int64_t timeout_ns;         /* for name, connection, TLS and answer together; <= 0:
				       TARGET_TIMEOUT_NS */
	const char *const *headers; /* "Name: value", checked by http_header_problem() */
	size_t header_count;
	const char *ca_file; /* PEM; NULL: any certificate will do, as for the kubelet */
};

#define TARGET_TIMEOUT_NS INT64_C(5000000000)

/*
 * One try. 0: the connection was accepted, the status is 200 to 399, the file is there. -1: not so,
 * and reason says why in one line ("connection refused", "timed out after 2.0s (connecting)",
 * "status 503"). Never takes longer than the timeout, whatever the other side does. NULL for
 * options: the defaults.
 */
int target_probe(const struct target *target, const struct probe_options *options, char *reason,
	size_t size);

/*
 * --wait-for: tries until the target is up (0) or deadline_ns (absolute, CLOCK_MONOTONIC; < 0:
 * none) has passed (-1), 100 ms apart at first and interval_ns in the end, resolving the name each
 * time. Tells stderr why it waits when the reason changes and every five seconds. reason always
 * holds the last one: it may be shared memory, from which a parent that had to kill this process
 * can still say why.
 */
int target_wait(const struct target *target, const struct probe_options *options,
	int64_t interval_ns, int64_t deadline_ns, char *reason, size_t size);

/* --check TARGET: the exit status (0, 1, or 125 for text that is no target), with one line on
 * stderr if not 0. */
int target_check_main(const char *text, const struct probe_options *options);

#endif
