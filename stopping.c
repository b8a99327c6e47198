/*
 * stopping.c - draining beside the pre-stop hooks, then the stop signal.
 */
#include "stopping.h"

#include <signal.h>
#include <stdatomic.h>

#include "format.h"
#include "forward.h"
#include "hooks.h"
#include "log.h"
#include "options.h"
#include "ready.h"
#include "termlog.h"
#include "util.h"
#include "watcher.h"

#define TELL_DRAIN_AFTER_NS (300 * NS_PER_MS)

static bool is_drain_told; /* the number of connections is in the message */

/* Until when the app may be left in peace. */
static int64_t drain_end_ns(struct life *life)
{
	return life->o.grace_ns < 0
		       ? -1
		       : life->drain_ns + life->o.grace_ns - options_reserve_ns(&life->o);
}

enum phase stopping_begin(struct life *life, const struct event *event)
{
	hooks_cancel(HOOK_POST_START, "a stop was asked for");
	life_begin_stop(life, event->signo);
	return DRAINING;
}

/* No stop signal yet, but one will follow. */
enum phase stopping_drain(struct life *life, const struct event *event)
{
	(void)event;
	hooks_cancel(HOOK_POST_START, "a drain was asked for");
	life->drain_ns = clock_now_ns();
	return DRAINING;
}

/* The signal that was to follow a drain: nothing begins anew. */
enum phase stopping_stop_draining(struct life *life, const struct event *event)
{
	life_begin_stop(life, event->signo);
	return life->phase;
}

enum phase stopping_stop_drained(struct life *life, const struct event *event)
{
	life_begin_stop(life, event->signo);
	return STOPPING;
}

static enum phase after_drain(struct life *life)
{
	return life->facts.stop_ns ? STOPPING : DRAINED;
}

/* The app hangs: what it does with the stop signal is up to it, but not for long. */
enum phase stopping_end_silence(struct life *life, const struct event *event)
{
	static char text[64];
	char took[DURATION_SIZE];

	(void)event;
	(void)format_text(text, sizeof text, "watchdog: no sign of life for %s",
		format_duration(life->o.watchdog_ns, took));
	log_at(LEVEL_WARN, "%s", text);
	life->facts.failure = text;
	life->facts.is_silent = true;
	life->facts.exit_code = EXIT_WAIT_TIMEOUT;
	hooks_cancel(HOOK_POST_START, "the app hangs");
	hooks_cancel(HOOK_PRE_STOP, "the app hangs");
	watcher_end();
	if (!life->facts.stop_ns)
		life_begin_stop(life, 0);
	life->kill_ns = earlier_ns(life->kill_ns, clock_now_ns() + options_reserve_ns(&life->o));
	return STOPPING;
}

/* A second stop signal while draining: the kubelet repeats its TERM after a restart, which changes
 * nothing; INT is a person who has waited long enough. */
enum phase stopping_stop_again(struct life *life, const struct event *event)
{
	if (event->signo != SIGINT && !life->o.second_stop_skips)
		return life->phase;
	hooks_cancel(HOOK_PRE_STOP, "skipped by another stop signal");
	watcher_end();
	return STOPPING;
}

/* Once, when the watcher has had its first look: how many there are goes into the message, should
 * PID 1 be killed while it drains. After that, the end of the time for it. */
enum phase stopping_drain_longer(struct life *life, const struct event *event)
{
	(void)event;
	if (!is_drain_told) {
		is_drain_told = true;
		life->deadline_ns = drain_end_ns(life);
		if (watcher_is_busy()) {
			(void)format_text(life->facts.detail, sizeof life->facts.detail,
				"%u active connections", (unsigned)atomic_load(ready_active()));
			termlog_write(&life->facts, false);
			life->facts.detail[0] = '\0';
		}
		return life->phase;
	}
	hooks_cancel(HOOK_PRE_STOP, "cut short: the time budget is spent");
	watcher_end();
	return after_drain(life);
}

enum phase stopping_finish_draining(struct life *life, const struct event *event)
{
	(void)event;
	return watcher_is_busy() || hooks_is_busy(HOOK_PRE_STOP) ? life->phase : after_drain(life);
}

/* Most apps are gone by now. Of one that is not, a part may be stopped and unable to act. */
enum phase stopping_wait_longer(struct life *life, const struct event *event)
{
	if (life_is_budget_spent(life))
		return life_run_out_of_time(life, event);
	forward_continue(&life->o);
	life->deadline_ns = life->kill_ns;
	return life->phase;
}

enum phase stopping_enter_draining(struct life *life)
{
	int64_t end_ns = drain_end_ns(life);
	bool is_watching = watcher_start(&life->o, life->drain_ns, end_ns);
	bool is_hooked = hooks_start(HOOK_PRE_STOP, end_ns) == HOOKS_BUSY;

	if (!is_watching && !is_hooked)
		return after_drain(life);
	life->deadline_ns = earlier_ns(life->drain_ns + TELL_DRAIN_AFTER_NS, end_ns);
	termlog_write(&life->facts, false);
	return DRAINING;
}

/* Until the stop signal comes, all goes on as before, but that it is not ready. */
enum phase stopping_enter_drained(struct life *life)
{
	(void)life;
	return DRAINED;
}

enum phase stopping_enter(struct life *life)
{
	if (!life->app)
		return FINISHING;
	int signo = life->facts.stop_signal ? life->facts.stop_signal : SIGTERM;
	life->sent_stop_signal =
		life->o.stop_signal ? life->o.stop_signal : forward_rewrite(&life->o, signo);
	if (!life->sent_stop_signal) /* a hook failed, and a dropped TERM would end nothing */
		life->sent_stop_signal = SIGTERM;
	/* First, for what the app writes when it is told must not meet what shim writes. */
	termlog_write(&life->facts, false);
	forward_stop(&life->o, life->sent_stop_signal);
	life->facts.refused = forward_refused();
	life->deadline_ns = earlier_ns(clock_now_ns() + CONTINUE_AFTER_NS, life->kill_ns);
	return STOPPING;
}
