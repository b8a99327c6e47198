/*
 * shim.c - what happens next: the life of a container as one table.
 *
 * options -> wait -> start -> events -> stop -> reason -> exit. Everything else is asked of a
 * module and comes back as an event; only this file knows the phase, and only this file ends the
 * process.
 */
#include "shim.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"
#include "compat.h"
#include "explain.h"
#include "forward.h"
#include "hooks.h"
#include "log.h"
#include "logging.h"
#include "messages.h"
#include "notify.h"
#include "options.h"
#include "outcome.h"
#include "privs.h"
#include "procs.h"
#include "ready.h"
#include "setup.h"
#include "signals.h"
#include "termlog.h"
#include "util.h"
#include "waits.h"
#include "watcher.h"

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

#define CONTINUE_AFTER_NS   (100 * NS_PER_MS)
#define TELL_DRAIN_AFTER_NS (300 * NS_PER_MS)
#define LAST_OUTPUT_NS      (10 * NS_PER_S)

static struct options o;
static struct termlog_facts facts;
static enum phase phase;
static int64_t entered_ns;       /* when the phase began */
static int64_t deadline_ns = -1; /* of the phase; < 0: none */
static int64_t kill_ns = -1;     /* the end of the time budget, once a stop was asked for */
static int64_t drain_ns;     /* when a drain was asked for, by a stop or before it; 0: not yet */
static pid_t app;            /* 0: not started, or none at all */
static int sent_stop_signal; /* what the app was told to stop with; 0: nothing yet */
static bool is_drain_told;   /* the number of connections is in the message */
static bool has_looked;      /* whether anybody is left */
static bool is_lingering;    /* those that the app left behind have been told */
static bool may_be_stopped;  /* and some of them may not be able to act on it */
static int64_t linger_end_ns = -1;
static bool rest_is_gone; /* there are none (any more) */
static bool post_stop_began;
static bool hooks_are_over;            /* post-stop hooks included */
static uint32_t kept[SIGNAL_LAST + 1]; /* signals that came before there was an app, how often */

/* --- what the actions are made of --- */

/* Why it is not ready, for /readyz; NULL: it is. */
static const char *unready_reason(void)
{
	static const char *const reasons[PHASES] = {
		[WAITING] = "waiting for dependencies",
		[PREPARING] = "pre-start running",
		[STARTING] = "post-start running",
		[DRAINING] = "draining",
		[DRAINED] = "drained",
		[STOPPING] = "stopping",
		[FINISHING] = "the app has ended",
		[DONE] = "the app has ended",
	};

	if (phase == STARTING && !hooks_is_busy(HOOK_POST_START) && !notify_is_ready())
		return "waiting for READY=1";
	if (phase == RUNNING && !notify_is_ready())
		return "the app is stopping";
	return reasons[phase];
}

/* Tells the health server and the ready file how things stand. */
static void publish(void)
{
	char hook[160], wait[160];
	const char *reason =
		phase == WAITING ? waits_describe(wait, sizeof wait) : unready_reason();

	ready_publish(&facts, app, reason, hooks_running(hook, sizeof hook));
}

/*
 * The time budget starts with the first stop signal, or the failure that asks for a stop, and is
 * never extended. A drain that was asked for before is a part of it, since the platform's clock
 * runs while its pre-stop hook does; one that is older than the whole budget had another reason. */
static void begin_stop(int signo)
{
	facts.stop_signal = signo;
	facts.stop_ns = clock_now_ns();
	if (o.personality == AS_SHIM) /* behind a shell that dies at once the app is an orphan */
		procs_adopt();
	if (!drain_ns || (o.grace_ns >= 0 && facts.stop_ns - drain_ns >= o.grace_ns))
		drain_ns = facts.stop_ns;
	if (o.grace_ns >= 0)
		kill_ns = drain_ns + outcome_kill_after_ns(o.grace_ns);
}

static bool is_budget_spent(void)
{
	return kill_ns >= 0 && clock_now_ns() >= kill_ns;
}

/* Until when the app may be left in peace. */
static int64_t drain_end_ns(void)
{
	return o.grace_ns < 0 ? -1 : drain_ns + o.grace_ns - options_reserve_ns(&o);
}

/* It ends before the app has ended by itself, or was ever started. */
static enum phase give_up(int status, const char *failure)
{
	static char text[512];

	(void)format_text(text, sizeof text, "%s", failure);
	facts.failure = text;
	facts.exit_code = status;
	return FINISHING;
}

/* --- actions: what a cell of the table does; each returns the phase that follows --- */

static enum phase stay(const struct event *event)
{
	(void)event;
	return phase;
}

/* A cell that cannot be reached: said, and survived. */
static enum phase bug(const struct event *event)
{
	log_at(LEVEL_WARN, "internal error: event %d while %s", (int)event->kind,
		phase_names[phase]);
	return phase;
}

static enum phase keep(const struct event *event)
{
	if (kept[event->signo] < UINT32_MAX)
		kept[event->signo]++;
	return phase;
}

static enum phase prepare(const struct event *event)
{
	(void)event;
	return PREPARING;
}

static enum phase start(const struct event *event)
{
	(void)event;
	return STARTING;
}

/* All that it takes to be ready? */
static enum phase run(const struct event *event)
{
	(void)event;
	return notify_is_ready() && !hooks_is_busy(HOOK_POST_START) ? RUNNING : STARTING;
}

static enum phase stop(const struct event *event)
{
	begin_stop(event->signo);
	return DRAINING;
}

/* No stop signal yet, but one will follow. */
static enum phase drain(const struct event *event)
{
	(void)event;
	hooks_cancel(HOOK_POST_START, "a drain was asked for");
	drain_ns = clock_now_ns();
	return DRAINING;
}

/* The signal that was to follow a drain: nothing begins anew. */
static enum phase stop_draining(const struct event *event)
{
	begin_stop(event->signo);
	return phase;
}

static enum phase stop_drained(const struct event *event)
{
	begin_stop(event->signo);
	return STOPPING;
}

static enum phase after_drain(void)
{
	return facts.stop_ns ? STOPPING : DRAINED;
}

/* Waiting is over, one way or another: who is still down goes into the message. */
static enum phase end_wait(int status, const char *before)
{
	char still_down[256], text[400], took[DURATION_SIZE];

	waits_end(still_down, sizeof still_down);
	format_duration(clock_now_ns() - entered_ns, took);
	(void)format_text(text, sizeof text, "%s%s for %s", before, took, still_down);
	log_at(status == EXIT_WAIT_TIMEOUT ? LEVEL_FATAL : LEVEL_WARN, "%s", text);
	return give_up(status, text);
}

static enum phase stop_waiting(const struct event *event)
{
	char name[SIGNAL_NAME_SIZE], before[64];

	begin_stop(event->signo);
	(void)format_text(
		before, sizeof before, "%s after waiting ", signal_name(event->signo, name));
	return end_wait(EXIT_SIGNALLED + event->signo, before);
}

static enum phase wait_too_long(const struct event *event)
{
	(void)event;
	return end_wait(EXIT_WAIT_TIMEOUT, "waited ");
}

static enum phase wait_in_vain(const struct event *event)
{
	(void)event;
	return end_wait(EXIT_SHIM, "cannot wait: after ");
}

static enum phase stop_preparing(const struct event *event)
{
	char name[SIGNAL_NAME_SIZE], text[64];

	begin_stop(event->signo);
	signal_name(event->signo, name);
	(void)format_text(text, sizeof text, "%s before the app was started", name);
	hooks_cancel(HOOK_PRE_START, "a stop was asked for");
	return give_up(EXIT_SIGNALLED + event->signo, text);
}

static enum phase fail_preparing(const struct event *event)
{
	(void)event;
	return give_up(hooks_failed_status(), "the app was not started: a pre-start hook failed");
}

static enum phase stop_starting(const struct event *event)
{
	hooks_cancel(HOOK_POST_START, "a stop was asked for");
	return stop(event);
}

/* The app ends for it, and the status is the hook's. */
static enum phase fail_starting(const struct event *event)
{
	(void)event;
	begin_stop(0);
	facts.exit_code = hooks_failed_status();
	return STOPPING;
}

static enum phase pass_on(const struct event *event)
{
	int signo = event->signo;

	if (o.stop_with_app && (signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU)) {
		app_suspend(&o, signo);
		return phase;
	}
	if (signo == SIGCONT && !facts.ended)
		app_continued();
	int to = forward_rewrite(&o, signo);
	if (to)
		(void)forward_send(&o, to);
	return phase;
}

static enum phase suspend_with_app(const struct event *event)
{
	app_suspended(event);
	return phase;
}

/* What is under way for an app that is gone by now. A pre-stop hook that runs may finish. */
static enum phase end(const struct event *event)
{
	facts.ended = true;
	facts.ended_ns = clock_now_ns();
	facts.status = event->status;
	forward_app_ended();
	watcher_end();
	hooks_cancel(HOOK_POST_START, "the app ended");
	(void)hooks_skip_rest(HOOK_PRE_STOP);
	if (WIFEXITED(event->status))
		log_note(NOTE_APP_EXITED, WEXITSTATUS(event->status), 0, NULL);
	else
		log_note(NOTE_APP_KILLED, WTERMSIG(event->status), WCOREDUMP(event->status) ? 1 : 0,
			NULL);
	return FINISHING;
}

/* The app hangs: what it does with the stop signal is up to it, but not for long. */
static enum phase end_silence(const struct event *event)
{
	static char text[64];
	char took[DURATION_SIZE];

	(void)event;
	(void)format_text(text, sizeof text, "watchdog: no sign of life for %s",
		format_duration(o.watchdog_ns, took));
	log_at(LEVEL_WARN, "%s", text);
	facts.failure = text;
	facts.is_silent = true;
	facts.exit_code = EXIT_WAIT_TIMEOUT;
	hooks_cancel(HOOK_POST_START, "the app hangs");
	hooks_cancel(HOOK_PRE_STOP, "the app hangs");
	watcher_end();
	if (!facts.stop_ns)
		begin_stop(0);
	kill_ns = earlier_ns(kill_ns, clock_now_ns() + options_reserve_ns(&o));
	return STOPPING;
}

static enum phase lose(const struct event *event)
{
	(void)event;
	facts.failure = "the app's exit status was lost";
	log_at(LEVEL_FATAL, "%s", facts.failure);
	return DONE;
}

/* A second stop signal while draining: the kubelet repeats its TERM after a restart, which changes
 * nothing; INT is a person who has waited long enough. */
static enum phase stop_again(const struct event *event)
{
	if (event->signo != SIGINT && !o.second_stop_skips)
		return phase;
	hooks_cancel(HOOK_PRE_STOP, "skipped by another stop signal");
	watcher_end();
	return STOPPING;
}

/* Once, when the watcher has had its first look: how many there are goes into the message, should
 * PID 1 be killed while it drains. After that, the end of the time for it. */
static enum phase drain_longer(const struct event *event)
{
	(void)event;
	if (!is_drain_told) {
		is_drain_told = true;
		deadline_ns = drain_end_ns();
		if (watcher_is_busy()) {
			(void)format_text(facts.detail, sizeof facts.detail,
				"%u active connections", (unsigned)atomic_load(ready_active()));
			termlog_write(&facts, false);
			facts.detail[0] = '\0';
		}
		return phase;
	}
	hooks_cancel(HOOK_PRE_STOP, "cut short: the time budget is spent");
	watcher_end();
	return after_drain();
}

static enum phase finish_draining(const struct event *event)
{
	(void)event;
	return watcher_is_busy() || hooks_is_busy(HOOK_PRE_STOP) ? phase : after_drain();
}

/* The grace period is spent. The platform would kill PID 1 next, and the reason would be lost with
 * it: so the last words come first. */
static enum phase run_out_of_time(const struct event *event)
{
	(void)event;
	facts.out_of_time = true;
	if (facts.exit_code < 0)
		facts.exit_code = outcome_status(&o, &facts, sent_stop_signal);
	(void)procs_names(facts.survivors, sizeof facts.survivors);
	termlog_write(&facts, false);
	log_note(NOTE_OUT_OF_TIME, (long)((clock_now_ns() - facts.stop_ns) / NS_PER_MS), 0,
		facts.survivors);
	forward_kill();
	return DONE;
}

/* Most apps are gone by now. Of one that is not, a part may be stopped and unable to act. */
static enum phase stop_longer(const struct event *event)
{
	if (is_budget_spent())
		return run_out_of_time(event);
	forward_continue(&o);
	deadline_ns = kill_ns;
	return phase;
}

/* --- finishing: the app has ended, or never began --- */

static enum phase leave_if_over(void)
{
	return rest_is_gone && hooks_are_over ? DONE : phase;
}

/* Hooks of an earlier phase first, then those for this one. */
static void finish_hooks(void)
{
	char reason[256];

	if (hooks_is_busy(HOOK_PRE_START) || hooks_is_busy(HOOK_POST_START) ||
		hooks_is_busy(HOOK_PRE_STOP) || hooks_is_busy(HOOK_POST_STOP))
		return;
	if (post_stop_began) {
		hooks_are_over = true;
		return;
	}
	post_stop_began = true;
	int code = facts.exit_code >= 0 ? facts.exit_code
					: outcome_status(&o, &facts, sent_stop_signal);
	(void)termlog_text(&facts, clock_now_ns(), true, reason, sizeof reason);
	hooks_set_app(app, code, reason);
	hooks_are_over = hooks_start(HOOK_POST_STOP, kill_ns) != HOOKS_BUSY;
}

static enum phase finish_hook(const struct event *event)
{
	(void)event;
	finish_hooks();
	return leave_if_over();
}

static enum phase leave(const struct event *event)
{
	(void)event;
	rest_is_gone = true;
	finish_hooks();
	return leave_if_over();
}

/* Is there anybody but shim's own helpers? Without helpers, wait4() has just said so. */
static bool is_anyone_left(void)
{
	return !procs_spares_any() || procs_has_children();
}

static enum phase count_rest(const struct event *event)
{
	if (is_lingering && !is_anyone_left())
		return leave(event);
	return phase;
}

/* What is left has been told to end; who is stopped is continued a little later. */
static void wait_for_rest(void)
{
	may_be_stopped = true;
	deadline_ns =
		earlier_ns(clock_now_ns() + CONTINUE_AFTER_NS, earlier_ns(linger_end_ns, kill_ns));
}

/* First they are told, then they are waited for. */
static void begin_linger(void)
{
	is_lingering = true;
	if (o.until_empty && !facts.stop_signal)
		return;
	if (o.linger_ns == 0 && !o.until_empty) {
		rest_is_gone = true;
		return;
	}
	bool was_wrapper = outcome_is_wrapper(&o, &facts, sent_stop_signal);
	if (was_wrapper)
		forward_unwrapped(&o, sent_stop_signal);
	else
		forward_rest(SIGTERM);
	bool has_grace = was_wrapper && o.linger_ns < 0 && kill_ns >= 0;
	if (!o.until_empty && !has_grace)
		linger_end_ns = clock_now_ns() + options_linger_ns(&o);
	wait_for_rest();
}

static enum phase linger(const struct event *event)
{
	if (!has_looked) { /* the look that enter_finishing() asked for */
		has_looked = true;
		deadline_ns = kill_ns;
		if (is_anyone_left())
			begin_linger();
		else
			rest_is_gone = true;
		finish_hooks();
		return leave_if_over();
	}
	if (is_budget_spent())
		return run_out_of_time(event);
	if (may_be_stopped) {
		may_be_stopped = false;
		forward_continue_rest();
		deadline_ns = earlier_ns(linger_end_ns, kill_ns);
		return phase;
	}
	if (procs_names(facts.survivors, sizeof facts.survivors) > 0)
		log_note(NOTE_LEFT_BEHIND, 0, 0, facts.survivors);
	forward_kill();
	deadline_ns = kill_ns;
	return leave(event);
}

/* The app has ended before a stop was asked for: it is for what is left, which with --until-empty
 * is the app. */
static enum phase stop_rest(const struct event *event)
{
	begin_stop(event->signo);
	if (!o.until_empty) {
		deadline_ns = earlier_ns(deadline_ns, kill_ns);
		return pass_on(event);
	}
	sent_stop_signal = o.stop_signal ? o.stop_signal : forward_rewrite(&o, event->signo);
	(void)forward_send(&o, sent_stop_signal);
	wait_for_rest();
	return phase;
}

/* --- the table --- */

/* clang-format off */
static enum phase (*const table[PHASES][OCCASIONS])(const struct event *event) = {
	[WAITING] = {
		[ON_STOP] = stop_waiting, [ON_AGAIN] = bug, [ON_SIGNAL] = keep,
		[ON_DRAIN] = stay, [ON_NOTIFIED] = stay, [ON_SILENT] = stay,
		[ON_SUSPENDED] = bug, [ON_ENDED] = bug,
		[ON_WAITED] = prepare, [ON_NO_WAIT] = wait_in_vain,
		[ON_HOOKS] = bug, [ON_NO_HOOKS] = bug, [ON_DRAINED] = bug,
		[ON_FEWER] = bug, [ON_EMPTY] = bug, [ON_DEADLINE] = wait_too_long, [ON_LOST] = lose,
	},
	[PREPARING] = {
		[ON_STOP] = stop_preparing, [ON_AGAIN] = bug, [ON_SIGNAL] = keep,
		[ON_DRAIN] = stay, [ON_NOTIFIED] = stay, [ON_SILENT] = stay,
		[ON_SUSPENDED] = bug, [ON_ENDED] = bug,
		[ON_WAITED] = bug, [ON_NO_WAIT] = bug,
		[ON_HOOKS] = start, [ON_NO_HOOKS] = fail_preparing, [ON_DRAINED] = bug,
		[ON_FEWER] = bug, [ON_EMPTY] = bug, [ON_DEADLINE] = bug, [ON_LOST] = lose,
	},
	[STARTING] = {
		[ON_STOP] = stop_starting, [ON_AGAIN] = bug, [ON_SIGNAL] = pass_on,
		[ON_DRAIN] = drain, [ON_NOTIFIED] = run, [ON_SILENT] = end_silence,
		[ON_SUSPENDED] = suspend_with_app, [ON_ENDED] = end,
		[ON_WAITED] = bug, [ON_NO_WAIT] = bug,
		[ON_HOOKS] = run, [ON_NO_HOOKS] = fail_starting, [ON_DRAINED] = bug,
		[ON_FEWER] = bug, [ON_EMPTY] = bug, [ON_DEADLINE] = bug, [ON_LOST] = lose,
	},
	[RUNNING] = {
		[ON_STOP] = stop, [ON_AGAIN] = bug, [ON_SIGNAL] = pass_on,
		[ON_DRAIN] = drain, [ON_NOTIFIED] = stay, [ON_SILENT] = end_silence,
		[ON_SUSPENDED] = suspend_with_app, [ON_ENDED] = end,
		[ON_WAITED] = bug, [ON_NO_WAIT] = bug,
		[ON_HOOKS] = bug, [ON_NO_HOOKS] = bug, [ON_DRAINED] = bug,
		[ON_FEWER] = bug, [ON_EMPTY] = bug, [ON_DEADLINE] = bug, [ON_LOST] = lose,
	},
	[DRAINING] = {
		[ON_STOP] = stop_draining, [ON_AGAIN] = stop_again, [ON_SIGNAL] = pass_on,
		[ON_DRAIN] = stay, [ON_NOTIFIED] = stay, [ON_SILENT] = end_silence,
		[ON_SUSPENDED] = suspend_with_app, [ON_ENDED] = end,
		[ON_WAITED] = bug, [ON_NO_WAIT] = bug,
		[ON_HOOKS] = finish_draining, [ON_NO_HOOKS] = stay, [ON_DRAINED] = finish_draining,
		[ON_FEWER] = bug, [ON_EMPTY] = bug, [ON_DEADLINE] = drain_longer, [ON_LOST] = lose,
	},
	[DRAINED] = {
		[ON_STOP] = stop_drained, [ON_AGAIN] = bug, [ON_SIGNAL] = pass_on,
		[ON_DRAIN] = stay, [ON_NOTIFIED] = stay, [ON_SILENT] = end_silence,
		[ON_SUSPENDED] = suspend_with_app, [ON_ENDED] = end,
		[ON_WAITED] = bug, [ON_NO_WAIT] = bug,
		[ON_HOOKS] = stay, [ON_NO_HOOKS] = stay, [ON_DRAINED] = stay,
		[ON_FEWER] = bug, [ON_EMPTY] = bug, [ON_DEADLINE] = bug, [ON_LOST] = lose,
	},
	[STOPPING] = {
		[ON_STOP] = pass_on, [ON_AGAIN] = pass_on, [ON_SIGNAL] = pass_on,
		[ON_DRAIN] = stay, [ON_NOTIFIED] = stay, [ON_SILENT] = stay,
		[ON_SUSPENDED] = stay, [ON_ENDED] = end,
		[ON_WAITED] = bug, [ON_NO_WAIT] = bug,
		[ON_HOOKS] = stay, [ON_NO_HOOKS] = stay, [ON_DRAINED] = stay,
		[ON_FEWER] = bug, [ON_EMPTY] = bug, [ON_DEADLINE] = stop_longer, [ON_LOST] = lose,
	},
	[FINISHING] = {
		[ON_STOP] = stop_rest, [ON_AGAIN] = pass_on, [ON_SIGNAL] = pass_on,
		[ON_DRAIN] = stay, [ON_NOTIFIED] = stay, [ON_SILENT] = stay,
		[ON_SUSPENDED] = stay, [ON_ENDED] = bug,
		[ON_WAITED] = stay, [ON_NO_WAIT] = stay,
		[ON_HOOKS] = finish_hook, [ON_NO_HOOKS] = finish_hook, [ON_DRAINED] = stay,
		[ON_FEWER] = count_rest, [ON_EMPTY] = leave, [ON_DEADLINE] = linger, [ON_LOST] = stay,
	},
	/* The last output is being written. */
	[DONE] = {stay, stay, stay, stay, stay, stay, stay, stay, stay, stay, stay, stay, stay, stay, stay,
		stay, stay},
};
/* clang-format on */

/* --- entering a phase: each returns the phase that follows, itself to stay in it --- */

static enum phase enter_waiting(void)
{
	char error[200];
	int count = waits_start(error, sizeof error);

	if (count == 0)
		return PREPARING;
	if (count < 0) {
		log_at(LEVEL_FATAL, "%s", error);
		char still_down[8];
		waits_end(still_down, sizeof still_down);
		return give_up(EXIT_SHIM, error);
	}
	deadline_ns = entered_ns + o.wait_timeout_ns;
	publish(); /* now it is known for whom */
	return WAITING;
}

static enum phase enter_preparing(void)
{
	enum hooks_progress progress = hooks_start(HOOK_PRE_START, -1);

	if (progress == HOOKS_FAILED)
		return fail_preparing(NULL);
	return progress == HOOKS_DONE ? STARTING : PREPARING;
}

static int start_app(void)
{
	char reason[512];
	int status;

	facts.started_ns = clock_now_ns();
	facts.started_wall_ns = clock_wall_ns();
	app = app_start(&o, &status, reason, sizeof reason);
	if (app > 0)
		return 0;
	app = 0;
	facts.started_ns = 0;
	(void)give_up(status, reason);
	return -1;
}

static void deliver_kept(void)
{
	for (int signo = 1; signo <= SIGNAL_LAST; signo++)
		for (; kept[signo]; kept[signo]--)
			(void)pass_on(&(struct event){.kind = EVENT_SIGNAL, .signo = signo});
}

static enum phase enter_starting(void)
{
	if (o.command && start_app() < 0)
		return FINISHING;
	app_release_inherited(&o);
	privs_settle(&o, hooks_has_commands());
	deliver_kept();
	hooks_set_app(app, -1, "");
	publish();
	enum hooks_progress progress = hooks_start(HOOK_POST_START, -1);
	if (progress == HOOKS_FAILED)
		return fail_starting(NULL);
	return run(NULL);
}

static enum phase enter_running(void)
{
	return RUNNING;
}

static enum phase enter_draining(void)
{
	int64_t end_ns = drain_end_ns();
	bool is_watching = watcher_start(&o, drain_ns, end_ns);
	bool is_hooked = hooks_start(HOOK_PRE_STOP, end_ns) == HOOKS_BUSY;

	if (!is_watching && !is_hooked)
		return after_drain();
	deadline_ns = earlier_ns(drain_ns + TELL_DRAIN_AFTER_NS, end_ns);
	termlog_write(&facts, false);
	return DRAINING;
}

/* Until the stop signal comes, all goes on as before, but that it is not ready. */
static enum phase enter_drained(void)
{
	return DRAINED;
}

static enum phase enter_stopping(void)
{
	if (!app)
		return FINISHING;
	int signo = facts.stop_signal ? facts.stop_signal : SIGTERM;
	sent_stop_signal = o.stop_signal ? o.stop_signal : forward_rewrite(&o, signo);
	if (!sent_stop_signal) /* a hook failed, and a dropped TERM would end nothing */
		sent_stop_signal = SIGTERM;
	/* First, for what the app writes when it is told must not meet what shim writes. */
	termlog_write(&facts, false);
	forward_stop(&o, sent_stop_signal);
	deadline_ns = earlier_ns(clock_now_ns() + CONTINUE_AFTER_NS, kill_ns);
	return STOPPING;
}

/* First a look, whether anybody is left at all. */
static enum phase enter_finishing(void)
{
	if (o.term_at_end) {
		int signo = forward_rewrite(&o, SIGTERM);
		if (signo)
			forward_last(signo);
	}
	signals_want_empty();
	deadline_ns = 0;
	return FINISHING;
}

/* What was written last is still to reach the log, also when the time is up: before the platform
 * kills. */
static enum phase enter_done(void)
{
	int64_t end_ns = clock_now_ns() + LAST_OUTPUT_NS;

	if (kill_ns >= 0)
		end_ns = earlier_ns(end_ns, (kill_ns + facts.stop_ns + o.grace_ns) / 2);
	logging_end(end_ns);
	return DONE;
}

static enum phase (*const entries[PHASES])(void) = {
	[WAITING] = enter_waiting,
	[PREPARING] = enter_preparing,
	[STARTING] = enter_starting,
	[RUNNING] = enter_running,
	[DRAINING] = enter_draining,
	[DRAINED] = enter_drained,
	[STOPPING] = enter_stopping,
	[FINISHING] = enter_finishing,
	[DONE] = enter_done,
};

/* Readiness changes before anything else that a phase brings. */
static void enter(enum phase next, const char *why)
{
	char line[96];
	int64_t now_ns = clock_now_ns();

	(void)format_text(line, sizeof line, "%s%s%s -> %s", phase_names[phase], *why ? " + " : "",
		why, phase_names[next]);
	log_note(NOTE_LIFECYCLE, 0, 0, line);
	facts.phase_names[phase] = phase_names[phase];
	facts.phase_ns[phase] += now_ns - entered_ns;
	entered_ns = now_ns;
	deadline_ns = -1;
	phase = next;
	if (phase != DONE) /* the message tells where it was when it ended */
		facts.phase = phase_names[phase];
	publish();
}

/* Goes on to the next phase, and from there as far as it leads at once. why: what made it. */
static void move_on(enum phase next, const char *why)
{
	while (next != phase) {
		enter(next, why);
		next = entries[phase]();
		why = "";
	}
}

/* --- the loop --- */

static enum occasion classify_signal(int signo)
{
	if (o.swallow & SIGNAL_BIT(signo))
		return ON_NOTHING;
	if (!(o.stop_on & SIGNAL_BIT(signo)) || (!o.stop_signal && o.rewrite[signo] == 0))
		return ON_SIGNAL;
	return facts.stop_signal ? ON_AGAIN : ON_STOP;
}

static enum occasion classify_hooks(enum hooks_progress progress)
{
	if (progress == HOOKS_DONE)
		return ON_HOOKS;
	return progress == HOOKS_FAILED ? ON_NO_HOOKS : ON_NOTHING;
}

/* Whose child was it? */
static enum occasion classify_exit(pid_t pid, int status)
{
	enum hook_kind kind;

	if (pid == app)
		return ON_ENDED;
	switch (waits_child_ended(pid, status)) {
	case WAITS_UP:
		return ON_WAITED;
	case WAITS_FAILED:
		return ON_NO_WAIT;
	case WAITS_BUSY:
		return ON_NOTHING;
	case WAITS_IDLE:
		break;
	}
	enum hooks_progress progress = hooks_child_ended(pid, status, &kind);
	if (progress != HOOKS_IDLE)
		return classify_hooks(progress);
	switch (notify_child_ended(pid, status)) {
	case NOTIFY_CHANGE:
		return ON_NOTIFIED;
	case NOTIFY_SILENT:
		return ON_SILENT;
	case NOTIFY_BUSY:
		return ON_NOTHING;
	case NOTIFY_IDLE:
		break;
	}
	switch (watcher_child_ended(pid, status)) {
	case WATCHER_DONE:
		return ON_DRAINED;
	case WATCHER_BUSY:
		return ON_NOTHING;
	case WATCHER_IDLE:
		break;
	}
	if (!logging_child_ended(pid, status) && !ready_child_ended(pid, status))
		signals_forget(pid);
	return ON_NOTHING;
}

/* Whose time has come? Each of the others is seen to in its own turn. */
static enum occasion classify_deadline(void)
{
	enum hook_kind kind;
	int64_t now_ns = clock_now_ns();

	if (deadline_ns >= 0 && now_ns >= deadline_ns) {
		deadline_ns = -1; /* it comes once; who wants another sets it */
		return ON_DEADLINE;
	}
	ready_check_time(now_ns);
	logging_check_time(now_ns);
	notify_check_time(now_ns);
	if (watcher_check_time(now_ns) == WATCHER_DONE)
		return ON_DRAINED;
	return classify_hooks(hooks_check_time(now_ns, &kind));
}

/* A word from another shim; under a peer's name there is none, and it is a signal like others. */
static enum occasion classify_message(const struct event *event)
{
	if (o.personality != AS_SHIM)
		return classify_signal(event->signo);
	return event->status == MESSAGE_DRAIN ? ON_DRAIN : ON_NOTHING;
}

/* Whoever waits for the end of the drain asks again. */
static void answer(const struct event *event)
{
	(void)messages_send(
		event->sender, phase == DRAINING ? MESSAGE_IS_DRAINING : MESSAGE_IS_DRAINED);
}

static enum occasion classify(const struct event *event)
{
	switch (event->kind) {
	case EVENT_SIGNAL:
		return classify_signal(event->signo);
	case EVENT_MESSAGE:
		return classify_message(event);
	case EVENT_EXIT:
		return classify_exit(event->pid, event->status);
	case EVENT_STOPPED:
		return event->pid == app ? ON_SUSPENDED : ON_NOTHING;
	case EVENT_EMPTY:
		return ON_EMPTY;
	case EVENT_FEWER:
		return ON_FEWER;
	case EVENT_DEADLINE:
		return classify_deadline();
	case EVENT_LOST:
		break;
	}
	/* Of another child's end no more is known than that it is none to rely on. */
	return event->pid == app ? ON_LOST : classify_exit(event->pid, EXIT_SHIM << 8);
}

static void step(void)
{
	struct event event;
	int64_t helpers_ns = earlier_ns(earlier_ns(hooks_deadline_ns(), ready_deadline_ns()),
		earlier_ns(watcher_deadline_ns(), logging_deadline_ns()));

	/* 0 asks for a look, and is earlier than anything. */
	helpers_ns = earlier_ns(helpers_ns, notify_deadline_ns());
	signals_next(earlier_ns(deadline_ns, helpers_ns), &event);
	enum occasion occasion = classify(&event);
	if (occasion != ON_NOTHING)
		move_on(table[phase][occasion](&event), occasion_names[occasion]);
	if (occasion == ON_DRAIN)
		answer(&event);
	if (event.kind != EVENT_SIGNAL)
		publish();
}

/* --- before and after --- */

static int finish(void)
{
	if (facts.exit_code < 0)
		facts.exit_code =
			facts.failure ? EXIT_SHIM : outcome_status(&o, &facts, sent_stop_signal);
	if (facts.exit_code != 0)
		facts.tail = logging_tail();
	termlog_write(&facts, true);
	ready_end();
	app_give_back_terminal();
	log_note(NOTE_LEAVING, facts.exit_code, 0, NULL);
	return facts.exit_code;
}

int main(int argc, char **argv)
{
	static char empty[] = "", *nothing[] = {empty, NULL};

	if (argc == 0) /* before Linux 5.18 the environment would be taken for arguments */
		argv = nothing;
	enum personality name = compat_personality(argv[0]);
	if (signals_init(name == AS_SHIM || name == AS_DUMB_INIT) < 0) {
		log_at(LEVEL_FATAL, "cannot block signals: %s", error_text(errno));
		_exit(EXIT_SHIM);
	}
	int status = setup_command_line(&o, argc, argv);
	if (status >= 0)
		_exit(status);
	if (setup_all(&o, &facts) < 0)
		_exit(EXIT_SHIM);
	if (o.explain)
		_exit(explain_plan(&o));

	facts.phase = phase_names[phase];
	entered_ns = clock_now_ns();
	publish();
	ready_start();
	logging_start();
	notify_start();
	move_on(enter_waiting(), "");
	while (phase != DONE || logging_is_busy())
		step();
	_exit(finish());
}
