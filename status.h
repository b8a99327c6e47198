/*
 * status.h - the one page that PID 1 shares with its children: what it is doing, and why it is not
 * ready.
 *
 * PID 1 is the only writer of the status and never waits for a reader; the health server reads it.
 * The drain watcher writes one number of its own, active, which PID 1 must take for no more than a
 * hint.
 */
#ifndef STATUS_H
#define STATUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim.h"

enum { STATUS_PHASE_SIZE = 16, STATUS_TEXT_SIZE = 160 };

struct status {
	char phase[STATUS_PHASE_SIZE]; /* the lifecycle's word for it: "running" */
	char reason[STATUS_TEXT_SIZE]; /* why it is not ready ("waiting for tcp://db:5432"); "": the
					  phase says it */
	char hook[STATUS_TEXT_SIZE]; /* the hook that is running ("pre-stop sleep:5s"); "": none */
	int64_t started_ns;          /* CLOCK_MONOTONIC, when the app was started; 0: it was not */
	int64_t started_wall_ns;     /* the same as CLOCK_REALTIME */
	int32_t app_pid;             /* 0: there is none */
	uint16_t hook_counts[HOOK_KINDS][2]; /* those that ended: [kind][failed] */
	bool is_ready;    /* as far as PID 1 knows (a --ready-probe may still say no) */
	bool was_running; /* the phase running was reached once: start-up is over for good */
};

enum { STATUS_WORDS = (sizeof(struct status) + 7) / 8 };

/* What PID 1 counts too often to publish it each time. */
enum status_counter { COUNT_SIGNALS, COUNT_ORPHANS, STATUS_COUNTERS };
#define STATUS_UNKNOWN UINT64_MAX

/* Two copies: one that readers may take, one that is being written. */
struct status_page {
	_Atomic uint32_t turn; /* the copy that is valid is turn % 2; counts up with every change */
	_Atomic uint32_t active; /* connections, by the drain watcher */
	_Atomic unsigned char
		said[STATUS_TEXT_SIZE]; /* by the app (STATUS=); its reader's, no PID 1's */
	_Atomic uint64_t counters[STATUS_COUNTERS];
	_Atomic uint64_t copies[2][STATUS_WORDS];
};

/* Before any child is made. NULL and errno. */
struct status_page *status_create(void);

/* PID 1: from now on this is how it is. No system call, no wait. */
void status_publish(struct status_page *page, const struct status *status);

/* PID 1: one more. Nothing where there is no page. */
void status_count(enum status_counter counter);

/* PID 1: from now on it can not be told how many there are. */
void status_count_no_more(enum status_counter counter);

/* A child: the last one published. Texts end within their arrays whatever was written. */
void status_read(const struct status_page *page, struct status *status);

/* A child that only reads: no writes from now on. */
void status_protect(struct status_page *page);

#endif
