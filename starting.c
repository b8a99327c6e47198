/*
 * starting.c - dependencies, pre-start hooks, the app, post-start hooks.
 */
#include "starting.h"

#include <signal.h>

#include "app.h"
#include "format.h"
#include "hooks.h"
#include "log.h"
#include "names.h"
#include "notify.h"
#include "privs.h"
#include "step.h"
#include "util.h"
#include "waits.h"

static uint32_t kept[SIGNAL_LAST + 1]; /* signals that came before there was an app, how often */

enum phase starting_keep(struct life *life, const struct event *event)
{
	if (kept[event->signo] < UINT32_MAX)
		kept[event->signo]++;
	return life->phase;
}

enum phase starting_prepare(struct life *life, const struct event *event)
{
	(void)life;
	(void)event;
	return PREPARING;
}

enum phase starting_start(struct life *life, const struct event *event)
{
	(void)life;
	(void)event;
	return STARTING;
}

/* All that it takes to be ready? */
enum phase starting_run(struct life *life, const struct event *event)
{
	(void)life;
	(void)event;
	return notify_is_ready() && !hooks_is_busy(HOOK_POST_START) ? RUNNING : STARTING;
}

/* Waiting is over, one way or another: who is still down goes into the message. */
static enum phase end_wait(struct life *life, int status, const char *before)
{
	char still_down[256], text[400], took[DURATION_SIZE];

	waits_end(still_down, sizeof still_down);
	format_duration(clock_now_ns() - life->entered_ns, took);
	(void)format_text(text, sizeof text, "%s%s for %s", before, took, still_down);
	log_at(status == EXIT_WAIT_TIMEOUT ? LEVEL_FATAL : LEVEL_WARN, "%s", text);
	return life_give_up(life, status, text);
}

enum phase starting_stop_waiting(struct life *life, const struct event *event)
{
	char name[SIGNAL_NAME_SIZE], before[64];

	life_begin_stop(life, event->signo);
	(void)format_text(
		before, sizeof before, "%s after waiting ", signal_name(event->signo, name));
	return end_wait(life, EXIT_SIGNALLED + event->signo, before);
}

enum phase starting_wait_too_long(struct life *life, const struct event *event)
{
	(void)event;
	return end_wait(life, EXIT_WAIT_TIMEOUT, "waited ");
}

enum phase starting_wait_in_vain(struct life *life, const struct event *event)
{
	(void)event;
	return end_wait(life, EXIT_SHIM, "cannot wait: after ");
}

enum phase starting_stop_preparing(struct life *life, const struct event *event)
{
	char name[SIGNAL_NAME_SIZE], text[64];

	life_begin_stop(life, event->signo);
	signal_name(event->signo, name);
	(void)format_text(text, sizeof text, "%s before the app was started", name);
	hooks_cancel(HOOK_PRE_START, "a stop was asked for");
	return life_give_up(life, EXIT_SIGNALLED + event->signo, text);
}

enum phase starting_fail_preparing(struct life *life, const struct event *event)
{
	(void)event;
	return life_give_up(
		life, hooks_failed_status(), "the app was not started: a pre-start hook failed");
}

/* The app ends for it, and the status is the hook's. */
enum phase starting_fail(struct life *life, const struct event *event)
{
	(void)event;
	life_begin_stop(life, 0);
	life->facts.exit_code = hooks_failed_status();
	return STOPPING;
}

enum phase starting_enter_waiting(struct life *life)
{
	char error[200];
	int count = waits_start(error, sizeof error);

	if (count == 0)
		return PREPARING;
	if (count < 0) {
		log_at(LEVEL_FATAL, "%s", error);
		char still_down[8];
		waits_end(still_down, sizeof still_down);
		return life_give_up(life, EXIT_SHIM, error);
	}
	life->deadline_ns = life->entered_ns + life->o.wait_timeout_ns;
	return WAITING;
}

enum phase starting_enter_preparing(struct life *life)
{
	enum hooks_progress progress = hooks_start(HOOK_PRE_START, -1);

	if (progress == HOOKS_FAILED)
		return starting_fail_preparing(life, NULL);
	return progress == HOOKS_DONE ? STARTING : PREPARING;
}

static int start_app(struct life *life)
{
	char reason[512];
	int status;

	life->facts.started_ns = clock_now_ns();
	life->facts.started_wall_ns = clock_wall_ns();
	life->app = app_start(&life->o, &status, reason, sizeof reason);
	if (life->app > 0)
		return 0;
	life->app = 0;
	life->facts.started_ns = 0;
	(void)life_give_up(life, status, reason);
	return -1;
}

static void deliver_kept(struct life *life)
{
	for (int signo = 1; signo <= SIGNAL_LAST; signo++)
		for (; kept[signo]; kept[signo]--)
			(void)life_pass_on(
				life, &(struct event){.kind = EVENT_SIGNAL, .signo = signo});
}

enum phase starting_enter(struct life *life)
{
	if (life->o.command && start_app(life) < 0)
		return FINISHING;
	app_release_inherited(&life->o);
	privs_settle(&life->o, hooks_has_commands());
	deliver_kept(life);
	step_set_app(life->app, -1, "");
	enum hooks_progress progress = hooks_start(HOOK_POST_START, -1);
	if (progress == HOOKS_FAILED)
		return starting_fail(life, NULL);
	return starting_run(life, NULL);
}

enum phase starting_enter_running(struct life *life)
{
	(void)life;
	return RUNNING;
}
