/*
 * life.c - what the actions of more than one phase are made of.
 */
#include "life.h"

#include <signal.h>
#include <sys/wait.h>

#include "app.h"
#include "format.h"
#include "forward.h"
#include "hooks.h"
#include "log.h"
#include "outcome.h"
#include "procs.h"
#include "termlog.h"
#include "util.h"
#include "watcher.h"

void life_begin_stop(struct life *life, int signo)
{
	life->facts.stop_signal = signo;
	life->facts.stop_ns = clock_now_ns();
	/* Behind a shell that dies at once the app is an orphan. */
	if (life->o.personality == AS_SHIM)
		procs_adopt();
	if (!life->drain_ns ||
		(life->o.grace_ns >= 0 && life->facts.stop_ns - life->drain_ns >= life->o.grace_ns))
		life->drain_ns = life->facts.stop_ns;
	if (life->o.grace_ns >= 0)
		life->kill_ns = life->drain_ns + outcome_kill_after_ns(life->o.grace_ns);
}

bool life_is_budget_spent(const struct life *life)
{
	return life->kill_ns >= 0 && clock_now_ns() >= life->kill_ns;
}

enum phase life_give_up(struct life *life, int status, const char *failure)
{
	static char text[512];

	(void)format_text(text, sizeof text, "%s", failure);
	life->facts.failure = text;
	life->facts.exit_code = status;
	return FINISHING;
}

enum phase life_stay(struct life *life, const struct event *event)
{
	(void)event;
	return life->phase;
}

enum phase life_bug(struct life *life, const struct event *event)
{
	log_at(LEVEL_WARN, "internal error: event %d while %s", (int)event->kind,
		life->facts.phase);
	return life->phase;
}

enum phase life_pass_on(struct life *life, const struct event *event)
{
	int signo = event->signo;

	if (life->o.stop_with_app && (signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU)) {
		app_suspend(&life->o, signo);
		return life->phase;
	}
	if (signo == SIGCONT && !life->facts.ended)
		app_continued();
	int to = forward_rewrite(&life->o, signo);
	if (to)
		(void)forward_send(&life->o, to);
	return life->phase;
}

enum phase life_suspend(struct life *life, const struct event *event)
{
	app_suspended(event);
	return life->phase;
}

/* What is under way for an app that is gone by now. A pre-stop hook that runs may finish. */
enum phase life_end_app(struct life *life, const struct event *event)
{
	life->facts.ended = true;
	life->facts.ended_ns = clock_now_ns();
	life->facts.status = event->status;
	forward_app_ended();
	watcher_end();
	hooks_cancel(HOOK_POST_START, "the app ended");
	hooks_skip_rest(HOOK_PRE_STOP);
	if (WIFEXITED(event->status))
		log_note(NOTE_APP_EXITED, WEXITSTATUS(event->status), 0, NULL);
	else
		log_note(NOTE_APP_KILLED, WTERMSIG(event->status), WCOREDUMP(event->status) ? 1 : 0,
			NULL);
	return FINISHING;
}

enum phase life_lose(struct life *life, const struct event *event)
{
	(void)event;
	life->facts.failure = "the app's exit status was lost";
	log_at(LEVEL_FATAL, "%s", life->facts.failure);
	return DONE;
}

/* The grace period is spent. The platform would kill PID 1 next, and the reason would be lost with
 * it: so the last words come first. */
enum phase life_run_out_of_time(struct life *life, const struct event *event)
{
	(void)event;
	life->facts.out_of_time = true;
	if (life->facts.exit_code < 0)
		life->facts.exit_code =
			outcome_status(&life->o, &life->facts, life->sent_stop_signal);
	(void)procs_names(life->facts.survivors, sizeof life->facts.survivors);
	termlog_write(&life->facts, false);
	/* No name: a hook of shim's, or there is no /proc to read. */
	log_note(NOTE_OUT_OF_TIME, (long)((clock_now_ns() - life->facts.stop_ns) / NS_PER_MS), 0,
		life->facts.survivors[0] != '\0' ? life->facts.survivors : "what is left");
	forward_kill();
	return DONE;
}
