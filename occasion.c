/*
 * occasion.c - whose event it is.
 */
#include "occasion.h"

#include <signal.h>
#include <unistd.h>

#include "children.h"
#include "hooks.h"
#include "log.h"
#include "logging.h"
#include "messages.h"
#include "notify.h"
#include "ready.h"
#include "signals.h"
#include "util.h"
#include "waits.h"
#include "watcher.h"

static enum occasion classify_signal(struct life *life, int signo)
{
	if (life->o.swallow & SIGNAL_BIT(signo)) {
		if (signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU)
			log_note(NOTE_SWALLOWED, signo, 0, NULL);
		return ON_NOTHING;
	}
	if (!(life->o.stop_on & SIGNAL_BIT(signo)) ||
		(!life->o.stop_signal && life->o.rewrite[signo] == 0))
		return ON_SIGNAL;
	return life->facts.stop_signal ? ON_AGAIN : ON_STOP;
}

static enum occasion classify_hooks(enum hooks_progress progress)
{
	if (progress == HOOKS_DONE)
		return ON_HOOKS;
	return progress == HOOKS_FAILED ? ON_NO_HOOKS : ON_NOTHING;
}

/* Whose child was it? */
static enum occasion classify_exit(struct life *life, pid_t pid, int status)
{
	if (pid == life->app)
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
	enum hooks_progress progress = hooks_child_ended(pid, status);
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
		children_forget(pid);
	return ON_NOTHING;
}

/* Whose time has come? Each of the others is seen to in its own turn. */
static enum occasion classify_deadline(struct life *life)
{
	int64_t now_ns = clock_now_ns();

	if (life->deadline_ns >= 0 && now_ns >= life->deadline_ns) {
		life->deadline_ns = -1; /* it comes once; who wants another sets it */
		return ON_DEADLINE;
	}
	ready_check_time(now_ns);
	logging_check_time(now_ns);
	notify_check_time(now_ns);
	if (watcher_check_time(now_ns) == WATCHER_DONE)
		return ON_DRAINED;
	return classify_hooks(hooks_check_time(now_ns));
}

/* A word from another shim; under a peer's name there is none, and it is a signal like others. */
static enum occasion classify_message(struct life *life, const struct event *event)
{
	if (life->o.personality != AS_SHIM)
		return classify_signal(life, event->signo);
	return event->status == MESSAGE_DRAIN ? ON_DRAIN : ON_NOTHING;
}

static enum occasion classify(struct life *life, const struct event *event)
{
	switch (event->kind) {
	case EVENT_SIGNAL:
		return classify_signal(life, event->signo);
	case EVENT_MESSAGE:
		return classify_message(life, event);
	case EVENT_EXIT:
		return classify_exit(life, event->pid, event->status);
	case EVENT_STOPPED:
		return event->pid == life->app ? ON_SUSPENDED : ON_NOTHING;
	case EVENT_EMPTY:
		return ON_EMPTY;
	case EVENT_FEWER:
		return ON_FEWER;
	case EVENT_DEADLINE:
		return classify_deadline(life);
	case EVENT_LOST:
		break;
	}
	/* Of another child's end no more is known than that it is none to rely on. */
	return event->pid == life->app ? ON_LOST : classify_exit(life, event->pid, EXIT_SHIM << 8);
}

enum occasion occasion_next(struct life *life, struct event *event)
{
	int64_t helpers_ns = earlier_ns(earlier_ns(hooks_deadline_ns(), ready_deadline_ns()),
		earlier_ns(watcher_deadline_ns(),
			earlier_ns(logging_deadline_ns(), notify_deadline_ns())));

	/* 0 asks for a look, and is earlier than anything. */
	signals_next(earlier_ns(life->deadline_ns, helpers_ns), event);
	return classify(life, event);
}
