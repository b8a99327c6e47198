/*
 * shim.h - the plain data that modules share: what was asked for, and the words for it.
 *
 * No functions, no state. Durations are nanoseconds of CLOCK_MONOTONIC unless a name says
 * otherwise.
 */
#ifndef SHIM_H
#define SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SHIM_VERSION "0.1.0"

enum {
	SIGNAL_LAST = 64, /* the kernel's _NSIG on every architecture but MIPS */
	CODE_LAST = 255,
	EXIT_WAIT_TIMEOUT = 124, /* --wait-for: the targets never came up */
	EXIT_SHIM = 125,         /* shim's own failure, or bad usage */
	EXIT_CANNOT_EXEC = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_SIGNALLED = 128, /* plus the signal's number */
};

#define NS_PER_S  1000000000LL
#define NS_PER_MS 1000000LL

/* A set of signals in the kernel's own layout: bit n-1 stands for signal n. libc's sigset calls are
 * not used: musl's leave out 32 to 34, and 34 is what glibc programs call SIGRTMIN. */
#define SIGNAL_BIT(n) (UINT64_C(1) << ((n)-1))

enum personality { AS_SHIM, AS_TINI, AS_DUMB_INIT, AS_CATATONIT };

enum scope { SCOPE_CHILD, SCOPE_GROUP, SCOPE_SESSION, SCOPE_ALL };

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_UNSET };

/* Where the app is put before it is executed. */
enum placement {
	PLACE_SAME,    /* shim's own process group and session (dumb-init -c) */
	PLACE_GROUP,   /* its own process group, in the foreground if shim was */
	PLACE_SESSION, /* its own session, with the terminal as its controlling one */
};

/* Lists of steps, by when they run. */
enum hook_kind { HOOK_PRE_START, HOOK_POST_START, HOOK_PRE_STOP, HOOK_POST_STOP, HOOK_KINDS };

/* A repeatable option's texts, in order. */
enum { LIST_MAX = 16 };
struct text_list {
	const char *items[LIST_MAX];
	size_t count;
};

/*
 * Everything the command line, SHIM_OPTS and the name shim was called by decide. Strings point into
 * argv or the environment and live as long as the process. options_defaults() fills in what nobody
 * set.
 */
struct options {
	enum personality personality;
	char **command; /* the app's argv, NULL-terminated; NULL: there is no app (catatonit -P) */

	enum scope scope;
	enum placement placement;
	uint8_t rewrite[SIGNAL_LAST +
			1]; /* [n]: what is sent when n comes; n itself by default, 0: nothing */
	uint64_t stop_on;   /* the signals that begin a stop; 0: all are merely forwarded */
	int stop_signal;    /* sent to stop the app; 0: the one that came */

	int64_t grace_ns;   /* the platform's patience after its stop signal; < 0: no limit */
	int64_t reserve_ns; /* of that, kept for the app after the stop signal; < 0: the default */
	int64_t linger_ns;  /* how long to wait for what the app left behind; < 0: the default */
	bool until_empty;

	int16_t expect[CODE_LAST + 1]; /* [code]: what is reported for it; < 0: itself */
	bool clean_stop;

	bool subreaper;
	int parent_death_signal; /* 0: none */
	bool warn_reap;
	int verbosity; /* the last enum level (log.h) that is printed */

	const char *termination_log; /* path; NULL: /dev/termination-log if it is there */
	bool termination_none;       /* "none": never write */
	enum format termination_format;
	bool termination_on_failure; /* only when the app failed */

	int termination_tail; /* lines of the app's stderr in it, when it failed; 0: none */

	bool json_logs;         /* the app's output as one JSON object a record */
	const char *json_nest;  /* the key for what is JSON already; NULL: left as it is */
	enum format log_format; /* of shim's own messages; unset: JSON with json_logs, else text */

	struct text_list wait_for;
	int64_t wait_timeout_ns, wait_interval_ns;

	struct text_list hooks[HOOK_KINDS];
	struct text_list hook_headers; /* "Name: value" */
	int64_t hook_timeout_ns;       /* each hook's */
	const char *hook_ca;           /* PEM file; NULL: certificates are not checked */
	bool second_stop_skips;        /* any repeated stop signal ends the drain, not only INT */

	int64_t drain_min_ns, drain_max_ns; /* < 0: do not drain; no limit but the grace period's */
	int64_t drain_idle_ns;
	uint16_t drain_ports[LIST_MAX]; /* none: all that the container listens on */
	size_t drain_port_count;

	const char *health;      /* "[ADDR:]PORT", or NULL */
	const char *ready_probe; /* a target, or NULL */
	const char *ready_file;  /* a path, or NULL */
	bool notify;             /* the app says itself when it is ready */
	int64_t watchdog_ns;     /* 0: none */

	const char *user; /* "USER[:GROUP]", or NULL: as shim */
	const char *caps; /* a list (privs.h), or NULL: as shim */
	bool no_new_privs;

	const char *check;        /* --check: a target */
	int64_t check_timeout_ns; /* --check's or --drain-now's; < 0: not given */
	bool explain;

	const char *install_dir; /* --install */

	/* What only the peers do; compat.c sets these. */
	bool pause;         /* catatonit -P: no app; TERM or INT ends it with 0 */
	bool term_at_end;   /* dumb-init: a last TERM for the group when the app has ended */
	bool stop_with_app; /* dumb-init: job-control stops stop the app and shim */
	bool reset_signals; /* dumb-init: the app starts with an empty mask and no ignored signal */
	uint64_t swallow;   /* catatonit: signals that are neither forwarded nor acted upon */
	bool keep_descriptors; /* tini, dumb-init: shim's own inherited descriptors stay open */
	bool keep_directory;   /* tini: shim stays in the directory it was started in */
	int failure_status;    /* for what fails before the app runs: EXIT_SHIM, or the peer's 1 */
	bool quiet_when_not_init; /* no warning when neither PID 1 nor a subreaper */
};

#endif
