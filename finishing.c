/*
 * finishing.c - what the app has left behind, and the hooks that run however it ended.
 */
#include "finishing.h"

#include <signal.h>

#include "forward.h"
#include "hooks.h"
#include "log.h"
#include "logging.h"
#include "options.h"
#include "outcome.h"
#include "procs.h"
#include "signals.h"
#include "step.h"
#include "termlog.h"
#include "util.h"

#define LAST_OUTPUT_NS (10 * NS_PER_S)

static bool has_looked;     /* whether anybody is left */
static bool is_lingering;   /* those that the app left behind have been told */
static bool may_be_stopped; /* and some of them may not be able to act on it */
static int64_t linger_end_ns = -1;
static bool rest_is_gone; /* there are none (any more) */
static bool post_stop_began;
static bool hooks_are_over; /* post-stop hooks included */

static enum phase leave_if_over(struct life *life)
{
	return rest_is_gone && hooks_are_over ? DONE : life->phase;
}

/* Hooks of an earlier phase first, then those for this one. */
static void finish_hooks(struct life *life)
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
	int code = life->facts.exit_code >= 0
			   ? life->facts.exit_code
			   : outcome_status(&life->o, &life->facts, life->sent_stop_signal);
	(void)termlog_text(&life->facts, clock_now_ns(), true, reason, sizeof reason);
	step_set_app(life->app, code, reason);
	hooks_are_over = hooks_start(HOOK_POST_STOP, life->kill_ns) != HOOKS_BUSY;
}

enum phase finishing_hook_ended(struct life *life, const struct event *event)
{
	(void)event;
	finish_hooks(life);
	return leave_if_over(life);
}

enum phase finishing_leave(struct life *life, const struct event *event)
{
	(void)event;
	rest_is_gone = true;
	finish_hooks(life);
	return leave_if_over(life);
}

/* Is there anybody but shim's own helpers? Without helpers, wait4() has just said so. */
static bool is_anyone_left(void)
{
	return !procs_spares_any() || procs_has_children();
}

enum phase finishing_count_rest(struct life *life, const struct event *event)
{
	if (is_lingering && !is_anyone_left())
		return finishing_leave(life, event);
	return life->phase;
}

/* What is left has been told to end; who is stopped is continued a little later. */
static void wait_for_rest(struct life *life)
{
	may_be_stopped = true;
	life->deadline_ns = earlier_ns(
		clock_now_ns() + CONTINUE_AFTER_NS, earlier_ns(linger_end_ns, life->kill_ns));
}

/* First they are told, then they are waited for. */
static void begin_linger(struct life *life)
{
	is_lingering = true;
	if (life->o.until_empty && !life->facts.stop_signal)
		return;
	if (life->o.linger_ns == 0 && !life->o.until_empty) {
		rest_is_gone = true;
		return;
	}
	bool was_wrapper = outcome_is_wrapper(&life->o, &life->facts, life->sent_stop_signal);
	if (was_wrapper)
		forward_unwrapped(&life->o, life->sent_stop_signal);
	else
		forward_rest(SIGTERM);
	bool has_grace = was_wrapper && life->o.linger_ns < 0 && life->kill_ns >= 0;
	if (!life->o.until_empty && !has_grace)
		linger_end_ns = clock_now_ns() + options_linger_ns(&life->o);
	wait_for_rest(life);
}

enum phase finishing_linger(struct life *life, const struct event *event)
{
	if (!has_looked) { /* the look that finishing_enter() asked for */
		has_looked = true;
		life->deadline_ns = life->kill_ns;
		if (is_anyone_left())
			begin_linger(life);
		else
			rest_is_gone = true;
		finish_hooks(life);
		return leave_if_over(life);
	}
	if (life_is_budget_spent(life))
		return life_run_out_of_time(life, event);
	if (may_be_stopped) {
		may_be_stopped = false;
		forward_continue_rest();
		life->deadline_ns = earlier_ns(linger_end_ns, life->kill_ns);
		return life->phase;
	}
	if (procs_names(life->facts.survivors, sizeof life->facts.survivors) > 0)
		log_note(NOTE_LEFT_BEHIND, 0, 0, life->facts.survivors);
	forward_kill();
	life->deadline_ns = life->kill_ns;
	return finishing_leave(life, event);
}

/* The app has ended before a stop was asked for: it is for what is left, which with --until-empty
 * is the app. */
enum phase finishing_stop_rest(struct life *life, const struct event *event)
{
	life_begin_stop(life, event->signo);
	if (!life->o.until_empty) {
		life->deadline_ns = earlier_ns(life->deadline_ns, life->kill_ns);
		return life_pass_on(life, event);
	}
	life->sent_stop_signal =
		life->o.stop_signal ? life->o.stop_signal : forward_rewrite(&life->o, event->signo);
	(void)forward_send(&life->o, life->sent_stop_signal);
	wait_for_rest(life);
	return life->phase;
}

/* First a look, whether anybody is left at all. */
enum phase finishing_enter(struct life *life)
{
	if (life->o.term_at_end) {
		int signo = forward_rewrite(&life->o, SIGTERM);
		if (signo)
			forward_last(signo);
	}
	if (!life->o.pause) /* whose end waits for nobody, and catatonit says nothing of it */
		signals_want_empty();
	life->deadline_ns = 0;
	return FINISHING;
}

/* What was written last is still to reach the log, also when the time is up: before the platform
 * kills. */
enum phase finishing_enter_done(struct life *life)
{
	int64_t end_ns = clock_now_ns() + LAST_OUTPUT_NS;

	if (life->kill_ns >= 0)
		end_ns = earlier_ns(
			end_ns, (life->kill_ns + life->facts.stop_ns + life->o.grace_ns) / 2);
	logging_end(end_ns);
	hooks_end(end_ns);
	return DONE;
}
