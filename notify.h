/*
 * notify.h - --notify: what the app says of itself to $NOTIFY_SOCKET, as under systemd.
 *
 * PID 1 makes the socket and reads nothing from it. A sealed child does, and ends when PID 1 has
 * something to do: its exit status says what. Then there is another one. Called by shim.c.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "shim.h"
#include "status.h"

/* If the options ask for it: makes the socket and names it in the environment; once, before
 * anything starts. Not called in a plain life, which pays for nothing of it. 0, or -1 with one line
 * in error. */
int notify_init(const struct options *o, char *error, size_t size);

/* Starts the child. */
void notify_start(void);

enum notify_progress {
	NOTIFY_IDLE,   /* that child was none of these */
	NOTIFY_BUSY,   /* it failed, and is started again at most once a second */
	NOTIFY_CHANGE, /* notify_is_ready() is another now */
	NOTIFY_SILENT, /* the time of --watchdog went by without a sign of life */
};
enum notify_progress notify_child_ended(pid_t pid, int status);

/* When notify_check_time() has something to do; < 0: never. */
int64_t notify_deadline_ns(void);
void notify_check_time(int64_t now_ns);

/* Has the app said so (READY=1), and not taken it back (STOPPING=1)? True without --notify. */
bool notify_is_ready(void);

/* The socket, to be kept open; -1: none. */
int notify_descriptor(void);

/*
 * The child's part (notify_server.c).
 */
enum { NOTIFY_EXIT_READY = 10, NOTIFY_EXIT_STOPPING, NOTIFY_EXIT_SILENT };

struct notify_server {
	int socket;
	bool is_ready;
	int64_t watchdog_ns;      /* 0: none. It runs while the app is ready */
	struct status_page *page; /* for the app's STATUS=; or NULL */
};

/* One of the exit statuses above, or EXIT_SHIM: it cannot go on. */
int notify_serve(const struct notify_server *server);

/* What is in a datagram; what else there may be is ignored. Pure. */
struct notify_words {
	bool is_ready, is_stopping, is_alive, is_in_trouble;
	int64_t extend_ns; /* 0: not asked for */
	const char *text;  /* of STATUS=, not terminated; NULL: there is none */
	size_t text_length;
};
void notify_parse(const char *datagram, size_t length, struct notify_words *words);

#endif
