/*
 * termlog.h - the termination message: facts in, one line out, into the file that kubectl describe
 * reads.
 *
 * Owns the descriptor of the termination file. Every failure is one line of level info at most: the
 * exit status and the time of the exit are never affected. The words are termtext.c's and
 * termjson.c's, the cgroup's counters oom.c's. Called by shim.c.
 */
#ifndef TERMLOG_H
#define TERMLOG_H

#include <stddef.h>

#include "shim.h"

enum { TERMLOG_MAX = 4096, TERMLOG_PHASES = 9, TERMLOG_HOOKS = 32 };

struct termlog_hook {
	const char *kind; /* "pre-stop" */
	const char *what; /* as the user wrote it */
	bool failed;
	char outcome[160]; /* "ok", "status 500", "exit 3", "timed out after 2.0s" */
	int64_t took_ns;
};

/* What is known. shim.c owns and fills it as the lifecycle goes on. */
struct termlog_facts {
	const char *app;         /* base name of the command */
	int64_t started_ns;      /* monotonic; 0: it never started */
	int64_t started_wall_ns; /* for JSON's startedAt */
	bool ended;
	int64_t ended_ns;
	int status;          /* wait status, when it ended */
	int exit_code;       /* what shim reports; -1 while it is not known */
	const char *failure; /* instead of an end: why shim gave up ("cannot execute ./app: …"), or
				NULL */

	const char *phase;   /* of the lifecycle, now */
	char detail[160];    /* "3 active connections", or "" */
	int stop_signal;     /* that came; 0: none */
	int64_t stop_ns;     /* when */
	const char *refused; /* why the app was not sent a signal; or NULL */
	bool is_silent;      /* --watchdog: no sign of life */
	bool out_of_time;    /* grace was spent: the rest is SIGKILLed */
	char survivors[160]; /* their names, when out of time */
	char killed[96]; /* "worker (31)": those, not the app, that were reaped after a SIGKILL that
			    was not shim's; or "" */

	int64_t phase_ns[TERMLOG_PHASES]; /* how long each phase took; 0: it was not in it */
	const char *phase_names[TERMLOG_PHASES];
	size_t hook_count;
	uint16_t hook_counts[HOOK_KINDS][2]; /* [kind][failed], those without room above too */

	const char *tail; /* the last lines of its stderr, any bytes; or NULL */

	long oom_kills;         /* since the start; filled by termlog_write() */
	long long memory_limit; /* bytes; -1: none or unknown */

	struct termlog_hook hooks[TERMLOG_HOOKS]; /* last: pages that are mostly not touched */
};

/* Opens the file as the options say and takes the cgroup's counters as the starting point (only
 * when there is a file). Before privileges go. */
void termlog_open(const struct options *o);

/* The descriptor to keep open, or -1. */
int termlog_descriptor(void);

/* Writes the message, over the one written before but never over the app's own. final: the
 * container ends now (else it is the last known state, in case PID 1 is killed). --termination-on
 * failure writes nothing for success, and takes an earlier state back. */
void termlog_write(struct termlog_facts *facts, bool final);

/* The pure part: one line without its line break, at most size - 1 bytes. Returns the length.
 * now_ns: monotonic. */
size_t termlog_text(
	const struct termlog_facts *facts, int64_t now_ns, bool final, char *buf, size_t size);
/* Appends the tail to a line of text: its last lines, as many as there is room for. As above. */
size_t termlog_add_tail(const char *tail, char *buf, size_t length, size_t size);
/* One object, valid whatever the size: fields that do not fit are left out. reason is one of
 * Completed, Error, Signalled, OOMKilled, GraceExceeded, Watchdog, Failed, Stopped (never ran), and
 * Stopping while nothing is decided; message is the line of text. */
size_t termlog_json(
	const struct termlog_facts *facts, int64_t now_ns, bool final, char *buf, size_t size);

/* What the app itself ended with, 128+n for a signal; -1: it has not ended. */
int termlog_own_code(const struct termlog_facts *facts);
/* Did it die of a SIGKILL that was not shim's, while the kernel counted a kill for want of memory?
 */
bool termlog_is_oom(const struct termlog_facts *facts);
/* Its name, never NULL or empty. */
const char *termlog_app(const struct termlog_facts *facts);

/* How much of an end was out of memory, from the text of memory.events (v2: oom_kill,
 * oom_group_kill is not counted) or memory.oom_control (v1: oom_kill). -1 when it does not say.
 * Pure. */
long termlog_parse_oom(const char *text, size_t length);

#endif
