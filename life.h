/*
 * life.h - the life of a container: its phases, what can happen, and what is known of it.
 *
 * shim.c owns the one struct life and the table that says what happens when; the actions of that
 * table are in life.c, starting.c, stopping.c and finishing.c. Each is given the life and returns
 * the phase that follows; none calls another's phase by itself. Beside them only occasion.c knows
 * this.
 */
#ifndef LIFE_H
#define LIFE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "event.h"
#include "shim.h"
#include "termlog.h"

enum phase {
	WAITING,
	PREPARING,
	STARTING,
	RUNNING,
	DRAINING,
	DRAINED,
	STOPPING,
	FINISHING,
	DONE,
	PHASES
};

/* What an event means to the lifecycle. */
enum occasion {
	ON_STOP,      /* the first stop signal */
	ON_AGAIN,     /* one more of them */
	ON_SIGNAL,    /* any other signal */
	ON_DRAIN,     /* a drain before there is a stop signal (shim --drain-now) */
	ON_SUSPENDED, /* the app was stopped (SIGSTOP, Ctrl-Z) */
	ON_ENDED,     /* the app has ended */
	ON_WAITED,    /* all targets are up */
	ON_NO_WAIT,   /* a target cannot be waited for */
	ON_HOOKS,     /* the list of hooks is through */
	ON_NO_HOOKS,  /* a start hook failed */
	ON_DRAINED,   /* no connection is active any more */
	ON_NOTIFIED,  /* the app has said something of its being ready */
	ON_SILENT,    /* it gives no sign of life (--watchdog) */
	ON_FEWER,     /* an orphan has ended, while what is left is waited for */
	ON_EMPTY,     /* no process is left */
	ON_DEADLINE,  /* the phase's time is over */
	ON_LOST,      /* the app is gone without a status */
	ON_NOTHING,   /* looked after where it came from */
	OCCASIONS = ON_NOTHING
};

struct life {
	enum phase phase;
	int64_t entered_ns;   /* when it began */
	int64_t deadline_ns;  /* of the phase; < 0: none */
	int64_t kill_ns;      /* the end of the time budget, once a stop was asked for; < 0: none */
	int64_t drain_ns;     /* when a drain was asked for, by a stop or before it; 0: not yet */
	pid_t app;            /* 0: not started, or none at all */
	int sent_stop_signal; /* what the app was told to stop with; 0: nothing yet */
	struct options o;
	struct termlog_facts facts; /* last: much of it is never touched */
};

/* How long after its stop signal who is stopped is continued. */
#define CONTINUE_AFTER_NS (100 * NS_PER_MS)

/*
 * The time budget starts with the first stop signal, or the failure that asks for a stop (signo 0),
 * and is never extended. A drain that was asked for before is a part of it, since the platform's
 * clock runs while its pre-stop hook does; one that is older than the whole budget had another
 * reason.
 */
void life_begin_stop(struct life *life, int signo);

bool life_is_budget_spent(const struct life *life);

/* It ends before the app has ended by itself, or was ever started: with this status and reason. */
enum phase life_give_up(struct life *life, int status, const char *failure);

/* Actions, for more than one phase. */
enum phase life_stay(struct life *life, const struct event *event);
/* A cell that cannot be reached: said, and survived. */
enum phase life_bug(struct life *life, const struct event *event);
/* A signal that is the app's. */
enum phase life_pass_on(struct life *life, const struct event *event);
/* The app was suspended from the terminal. */
enum phase life_suspend(struct life *life, const struct event *event);
/* The app has ended; its wait status is the event's. */
enum phase life_end_app(struct life *life, const struct event *event);
/* The app is gone, and nobody knows how. */
enum phase life_lose(struct life *life, const struct event *event);
/* The grace period is spent: the last words, and SIGKILL to all. */
enum phase life_run_out_of_time(struct life *life, const struct event *event);

#endif
