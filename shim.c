/*
 * shim.c - what happens next: the life of a container as one table.
 *
 * options -> wait -> start -> events -> stop -> reason -> exit. What a cell of the table does is in
 * starting.c, stopping.c and finishing.c; all else is asked of a module and comes back as an event.
 * Only this file changes the phase, and only this file ends the process.
 */
#include "shim.h"

#include <errno.h>
#include <unistd.h>

#include "app.h"
#include "compat.h"
#include "explain.h"
#include "finishing.h"
#include "format.h"
#include "hooks.h"
#include "life.h"
#include "log.h"
#include "logging.h"
#include "messages.h"
#include "names.h"
#include "notify.h"
#include "occasion.h"
#include "outcome.h"
#include "ready.h"
#include "setup.h"
#include "signals.h"
#include "starting.h"
#include "stopping.h"
#include "termlog.h"
#include "util.h"
#include "waits.h"

/* Arrays, no pointers: nothing to relocate, and in the first segment (scripts/shim.ld). */
static const char phase_names[][sizeof "preparing"] = {
	[WAITING] = "waiting",
	[PREPARING] = "preparing",
	[STARTING] = "starting",
	[RUNNING] = "running",
	[DRAINING] = "draining",
	[DRAINED] = "drained",
	[STOPPING] = "stopping",
	[FINISHING] = "finishing",
	[DONE] = "done",
};
static const char occasion_names[][sizeof "another stop signal"] = {
	[ON_STOP] = "stop signal",
	[ON_AGAIN] = "another stop signal",
	[ON_SIGNAL] = "signal",
	[ON_DRAIN] = "drain",
	[ON_SUSPENDED] = "app suspended",
	[ON_ENDED] = "app ended",
	[ON_WAITED] = "all targets up",
	[ON_NO_WAIT] = "wait failed",
	[ON_HOOKS] = "hooks done",
	[ON_NO_HOOKS] = "hook failed",
	[ON_DRAINED] = "drained",
	[ON_NOTIFIED] = "notified",
	[ON_SILENT] = "watchdog",
	[ON_FEWER] = "fewer processes",
	[ON_EMPTY] = "all ended",
	[ON_DEADLINE] = "time over",
	[ON_LOST] = "app lost",
};
_Static_assert(sizeof phase_names / sizeof *phase_names == PHASES, "every phase has a name");
_Static_assert(sizeof occasion_names / sizeof *occasion_names == OCCASIONS, "and every occasion");
_Static_assert((int)PHASES <= (int)TERMLOG_PHASES, "the message has room for all phases");

/* What a cell of the table does. Numbers, no pointers: nothing to relocate in each of them. */
enum action {
	UNDECIDED, /* no cell is */
	STOP_WAITING,
	BUG,
	KEEP,
	STAY,
	PREPARE,
	WAIT_IN_VAIN,
	WAIT_TOO_LONG,
	LOSE,
	STOP_PREPARING,
	START,
	FAIL_PREPARING,
	PASS_ON,
	DRAIN,
	RUN,
	END_SILENCE,
	SUSPEND_WITH_APP,
	END,
	FAIL_STARTING,
	STOP,
	STOP_DRAINING,
	STOP_AGAIN,
	FINISH_DRAINING,
	DRAIN_LONGER,
	STOP_DRAINED,
	STOP_LONGER,
	STOP_REST,
	FINISH_HOOK,
	COUNT_REST,
	LEAVE,
	LINGER,
	ACTIONS
};

static enum phase (*const actions[ACTIONS])(struct life *life, const struct event *event) = {
	[STOP_WAITING] = starting_stop_waiting,
	[BUG] = life_bug,
	[KEEP] = starting_keep,
	[STAY] = life_stay,
	[PREPARE] = starting_prepare,
	[WAIT_IN_VAIN] = starting_wait_in_vain,
	[WAIT_TOO_LONG] = starting_wait_too_long,
	[LOSE] = life_lose,
	[STOP_PREPARING] = starting_stop_preparing,
	[START] = starting_start,
	[FAIL_PREPARING] = starting_fail_preparing,
	[PASS_ON] = life_pass_on,
	[DRAIN] = stopping_drain,
	[RUN] = starting_run,
	[END_SILENCE] = stopping_end_silence,
	[SUSPEND_WITH_APP] = life_suspend,
	[END] = life_end_app,
	[FAIL_STARTING] = starting_fail,
	[STOP] = stopping_begin,
	[STOP_DRAINING] = stopping_stop_draining,
	[STOP_AGAIN] = stopping_stop_again,
	[FINISH_DRAINING] = stopping_finish_draining,
	[DRAIN_LONGER] = stopping_drain_longer,
	[STOP_DRAINED] = stopping_stop_drained,
	[STOP_LONGER] = stopping_wait_longer,
	[STOP_REST] = finishing_stop_rest,
	[FINISH_HOOK] = finishing_hook_ended,
	[COUNT_REST] = finishing_count_rest,
	[LEAVE] = finishing_leave,
	[LINGER] = finishing_linger,
};

/* clang-format off */
static const unsigned char table[PHASES][OCCASIONS] = {
	[WAITING] = {
		[ON_STOP] = STOP_WAITING, [ON_AGAIN] = BUG, [ON_SIGNAL] = KEEP,
		[ON_DRAIN] = STAY, [ON_NOTIFIED] = STAY, [ON_SILENT] = STAY,
		[ON_SUSPENDED] = BUG, [ON_ENDED] = BUG,
		[ON_WAITED] = PREPARE, [ON_NO_WAIT] = WAIT_IN_VAIN,
		[ON_HOOKS] = BUG, [ON_NO_HOOKS] = BUG, [ON_DRAINED] = BUG,
		[ON_FEWER] = BUG, [ON_EMPTY] = BUG, [ON_DEADLINE] = WAIT_TOO_LONG, [ON_LOST] = LOSE,
	},
	[PREPARING] = {
		[ON_STOP] = STOP_PREPARING, [ON_AGAIN] = BUG, [ON_SIGNAL] = KEEP,
		[ON_DRAIN] = STAY, [ON_NOTIFIED] = STAY, [ON_SILENT] = STAY,
		[ON_SUSPENDED] = BUG, [ON_ENDED] = BUG,
		[ON_WAITED] = BUG, [ON_NO_WAIT] = BUG,
		[ON_HOOKS] = START, [ON_NO_HOOKS] = FAIL_PREPARING, [ON_DRAINED] = BUG,
		[ON_FEWER] = BUG, [ON_EMPTY] = BUG, [ON_DEADLINE] = BUG, [ON_LOST] = LOSE,
	},
	[STARTING] = {
		[ON_STOP] = STOP, [ON_AGAIN] = BUG, [ON_SIGNAL] = PASS_ON,
		[ON_DRAIN] = DRAIN, [ON_NOTIFIED] = RUN, [ON_SILENT] = END_SILENCE,
		[ON_SUSPENDED] = SUSPEND_WITH_APP, [ON_ENDED] = END,
		[ON_WAITED] = BUG, [ON_NO_WAIT] = BUG,
		[ON_HOOKS] = RUN, [ON_NO_HOOKS] = FAIL_STARTING, [ON_DRAINED] = BUG,
		[ON_FEWER] = BUG, [ON_EMPTY] = BUG, [ON_DEADLINE] = BUG, [ON_LOST] = LOSE,
	},
	[RUNNING] = {
		[ON_STOP] = STOP, [ON_AGAIN] = BUG, [ON_SIGNAL] = PASS_ON,
		[ON_DRAIN] = DRAIN, [ON_NOTIFIED] = STAY, [ON_SILENT] = END_SILENCE,
		[ON_SUSPENDED] = SUSPEND_WITH_APP, [ON_ENDED] = END,
		[ON_WAITED] = BUG, [ON_NO_WAIT] = BUG,
		[ON_HOOKS] = BUG, [ON_NO_HOOKS] = BUG, [ON_DRAINED] = BUG,
		[ON_FEWER] = BUG, [ON_EMPTY] = BUG, [ON_DEADLINE] = BUG, [ON_LOST] = LOSE,
	},
	[DRAINING] = {
		[ON_STOP] = STOP_DRAINING, [ON_AGAIN] = STOP_AGAIN, [ON_SIGNAL] = PASS_ON,
		[ON_DRAIN] = STAY, [ON_NOTIFIED] = STAY, [ON_SILENT] = END_SILENCE,
		[ON_SUSPENDED] = SUSPEND_WITH_APP, [ON_ENDED] = END,
		[ON_WAITED] = BUG, [ON_NO_WAIT] = BUG,
		[ON_HOOKS] = FINISH_DRAINING, [ON_NO_HOOKS] = STAY, [ON_DRAINED] = FINISH_DRAINING,
		[ON_FEWER] = BUG, [ON_EMPTY] = BUG, [ON_DEADLINE] = DRAIN_LONGER, [ON_LOST] = LOSE,
	},
	[DRAINED] = {
		[ON_STOP] = STOP_DRAINED, [ON_AGAIN] = BUG, [ON_SIGNAL] = PASS_ON,
		[ON_DRAIN] = STAY, [ON_NOTIFIED] = STAY, [ON_SILENT] = END_SILENCE,
		[ON_SUSPENDED] = SUSPEND_WITH_APP, [ON_ENDED] = END,
		[ON_WAITED] = BUG, [ON_NO_WAIT] = BUG,
		[ON_HOOKS] = STAY, [ON_NO_HOOKS] = STAY, [ON_DRAINED] = STAY,
		[ON_FEWER] = BUG, [ON_EMPTY] = BUG, [ON_DEADLINE] = BUG, [ON_LOST] = LOSE,
	},
	[STOPPING] = {
		[ON_STOP] = PASS_ON, [ON_AGAIN] = PASS_ON, [ON_SIGNAL] = PASS_ON,
		[ON_DRAIN] = STAY, [ON_NOTIFIED] = STAY, [ON_SILENT] = STAY,
		[ON_SUSPENDED] = STAY, [ON_ENDED] = END,
		[ON_WAITED] = BUG, [ON_NO_WAIT] = BUG,
		[ON_HOOKS] = STAY, [ON_NO_HOOKS] = STAY, [ON_DRAINED] = STAY,
		[ON_FEWER] = BUG, [ON_EMPTY] = BUG, [ON_DEADLINE] = STOP_LONGER, [ON_LOST] = LOSE,
	},
	[FINISHING] = {
		[ON_STOP] = STOP_REST, [ON_AGAIN] = PASS_ON, [ON_SIGNAL] = PASS_ON,
		[ON_DRAIN] = STAY, [ON_NOTIFIED] = STAY, [ON_SILENT] = STAY,
		[ON_SUSPENDED] = STAY, [ON_ENDED] = BUG,
		[ON_WAITED] = STAY, [ON_NO_WAIT] = STAY,
		[ON_HOOKS] = FINISH_HOOK, [ON_NO_HOOKS] = FINISH_HOOK, [ON_DRAINED] = STAY,
		[ON_FEWER] = COUNT_REST, [ON_EMPTY] = LEAVE, [ON_DEADLINE] = LINGER, [ON_LOST] = STAY,
	},
	/* The last output is being written. */
	[DONE] = {STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY,
		STAY, STAY},
};
/* clang-format on */

/* On entering a phase: the one that follows at once, or itself. */
static enum phase (*const entries[PHASES])(struct life *life) = {
	[WAITING] = starting_enter_waiting,
	[PREPARING] = starting_enter_preparing,
	[STARTING] = starting_enter,
	[RUNNING] = starting_enter_running,
	[DRAINING] = stopping_enter_draining,
	[DRAINED] = stopping_enter_drained,
	[STOPPING] = stopping_enter,
	[FINISHING] = finishing_enter,
	[DONE] = finishing_enter_done,
};

/* Why it is not ready, for /readyz; NULL: it is. */
static const char *unready_reason(struct life *life)
{
	static const char reasons[PHASES][28] = {
		[WAITING] = "waiting for dependencies",
		[PREPARING] = "pre-start running",
		[STARTING] = "post-start running",
		[DRAINING] = "draining",
		[DRAINED] = "drained",
		[STOPPING] = "stopping",
		[FINISHING] = "the app has ended",
		[DONE] = "the app has ended",
	};

	if (life->phase == STARTING && !hooks_is_busy(HOOK_POST_START) && !notify_is_ready())
		return "waiting for READY=1";
	if (life->phase == RUNNING && !notify_is_ready())
		return "the app is stopping";
	return *reasons[life->phase] ? reasons[life->phase] : NULL;
}

/* Tells the health server and the ready file how things stand. */
static void publish(struct life *life)
{
	char hook[160], wait[160];
	const char *reason =
		life->phase == WAITING ? waits_describe(wait, sizeof wait) : unready_reason(life);

	ready_publish(&life->facts, life->app, reason, hooks_running(hook, sizeof hook));
}

/* --- the loop --- */

/* Readiness changes before anything else that a phase brings. */
static void enter(struct life *life, enum phase next, const char *why)
{
	char line[96];
	int64_t now_ns = clock_now_ns();

	(void)format_text(line, sizeof line, "%s%s%s -> %s", phase_names[life->phase],
		*why ? " + " : "", why, phase_names[next]);
	log_note(NOTE_LIFECYCLE, 0, 0, line);
	life->facts.phase_names[life->phase] = phase_names[life->phase];
	life->facts.phase_ns[life->phase] += now_ns - life->entered_ns;
	life->entered_ns = now_ns;
	life->deadline_ns = -1;
	life->phase = next;
	if (life->phase != DONE) /* the message tells where it was when it ended */
		life->facts.phase = phase_names[life->phase];
	publish(life);
}

/* Goes on to the next phase, and from there as far as it leads at once. why: what made it. */
static void move_on(struct life *life, enum phase next, const char *why)
{
	while (next != life->phase) {
		enter(life, next, why);
		next = entries[life->phase](life);
		publish(life);
		why = "";
	}
}

/* Whoever waits for the end of the drain asks again. */
static void answer(struct life *life, const struct event *event)
{
	(void)messages_send(
		event->sender, life->phase == DRAINING ? MESSAGE_IS_DRAINING : MESSAGE_IS_DRAINED);
}

static void step(struct life *life)
{
	struct event event;
	enum occasion occasion = occasion_next(life, &event);

	if (occasion != ON_NOTHING)
		move_on(life, actions[table[life->phase][occasion]](life, &event),
			occasion_names[occasion]);
	if (occasion == ON_DRAIN)
		answer(life, &event);
	if (event.kind != EVENT_SIGNAL)
		publish(life);
}

/* --- before and after --- */

static void begin(struct life *life)
{
	life->deadline_ns = life->kill_ns = -1;
	life->entered_ns = clock_now_ns();
	life->facts.phase = phase_names[life->phase];
	publish(life);
	ready_start();
	logging_start();
	if (life->o.notify)
		notify_start();
	enum phase next = starting_enter_waiting(life);
	publish(life);
	move_on(life, next, "");
}

static int finish(struct life *life)
{
	if (life->facts.exit_code < 0)
		life->facts.exit_code = life->facts.failure ? EXIT_SHIM
							    : outcome_status(&life->o, &life->facts,
								      life->sent_stop_signal);
	if (life->facts.exit_code != 0)
		life->facts.tail = logging_tail();
	termlog_write(&life->facts, true);
	ready_end();
	app_give_back_terminal();
	log_note(NOTE_LEAVING, life->facts.exit_code, 0, NULL);
	return life->facts.exit_code;
}

int main(int argc, char **argv)
{
	static struct life life;
	static char empty[] = "", *nothing[] = {empty, NULL};

	if (argc == 0) /* before Linux 5.18 the environment would be taken for arguments */
		argv = nothing;
	enum personality name = compat_personality(argv[0]);
	if (signals_init(name == AS_SHIM || name == AS_DUMB_INIT) < 0) {
		log_at(LEVEL_FATAL, "cannot block signals: %s", error_text(errno));
		_exit(EXIT_SHIM);
	}
	int status = setup_command_line(&life.o, argc, argv);
	if (status >= 0)
		_exit(status);
	if (setup_all(&life.o, &life.facts) < 0)
		_exit(EXIT_SHIM);
	if (life.o.explain)
		_exit(explain_plan(&life.o));

	begin(&life);
	while (life.phase != DONE || logging_is_busy() || hooks_are_reading())
		step(&life);
	_exit(finish(&life));
}
