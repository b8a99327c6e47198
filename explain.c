/*
 * explain.c - shim --explain: the plan in plain words, with times and warnings.
 */
#include "explain.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "format.h"
#include "hooks.h"
#include "log.h"
#include "names.h"
#include "options.h"
#include "outcome.h"
#include "privs.h"

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	(void)vformat_text(line, sizeof line, fmt, args);
	va_end(args);
	log_write(STDOUT_FILENO, line);
}

/* "  0.0s  " in front of what happens then. */
static void say_when(int64_t ns, const char *what)
{
	char text[DURATION_SIZE];

	say("  %8s  %s\n", format_duration(ns, text), what);
}

static void say_list(const char *what, const struct text_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		say("  %s %s\n", what, list->items[i]);
}

static const char *scope_words(enum scope scope)
{
	switch (scope) {
	case SCOPE_CHILD:
		return "the app alone";
	case SCOPE_GROUP:
		return "the app's process group";
	case SCOPE_SESSION:
		return "the app's process group, which leads a session of its own";
	case SCOPE_ALL:
		return "every process in the container";
	}
	return "";
}

static void say_start(const struct options *o)
{
	char text[DURATION_SIZE], privileges[700];

	say("start\n");
	say_list("wait for", &o->wait_for);
	if (o->wait_for.count)
		say("  (all at once, at most %s, else exit %d)\n",
			format_duration(o->wait_timeout_ns, text), EXIT_WAIT_TIMEOUT);
	say_list("pre-start", &o->hooks[HOOK_PRE_START]);
	say("  run");
	for (char **word = o->command; word && *word; word++)
		say(" %s", *word);
	say("\n");
	if (*privs_describe(o, privileges, sizeof privileges))
		say("  %s\n", privileges);
	say_list("post-start", &o->hooks[HOOK_POST_START]);
	if (o->health)
		say("  ready: /readyz on %s%s%s\n", o->health,
			o->ready_probe ? ", if it answers: " : "",
			o->ready_probe ? o->ready_probe : "");
	if (o->notify)
		say("  ready when the app sends READY=1 to $NOTIFY_SOCKET\n");
	if (o->watchdog_ns)
		say("  watchdog: without a sign of life for %s it is stopped, exit %d\n",
			format_duration(o->watchdog_ns, text), EXIT_WAIT_TIMEOUT);
	say("  signals go to %s\n", scope_words(o->scope));
	if (o->json_logs)
		say("  output: one JSON object a record, stack traces folded\n");
}

static void say_stop_signals(const struct options *o)
{
	char name[SIGNAL_NAME_SIZE];

	say("stop, on");
	for (int signo = 1; signo <= SIGNAL_LAST; signo++)
		if (o->stop_on & SIGNAL_BIT(signo))
			say(" %s", signal_name(signo, name));
	say(" (or shim --drain-now, which the signal follows)\n");
}

/* The longest that hooks and the least drain can take, if there were no grace period. */
static int64_t longest_drain_ns(const struct options *o)
{
	int64_t hooks_ns = hooks_worst_case_ns(HOOK_PRE_STOP);
	int64_t drain_ns = o->drain_max_ns >= 0 ? o->drain_max_ns : o->drain_min_ns;

	return hooks_ns > drain_ns ? hooks_ns : drain_ns;
}

/* A drain without MAX goes on while connections are active: to the end of the time that --grace
 * leaves. */
static bool drains_without_limit(const struct options *o)
{
	return o->drain_min_ns >= 0 && o->drain_max_ns < 0;
}

static void say_stop(const struct options *o)
{
	char text[DURATION_SIZE], name[SIGNAL_NAME_SIZE], line[200];
	int64_t stop_ns = longest_drain_ns(o);

	say_stop_signals(o);
	say_when(0, o->health ? "/readyz says 503" : "it begins");
	for (size_t i = 0; i < o->hooks[HOOK_PRE_STOP].count; i++) {
		(void)format_text(
			line, sizeof line, "pre-stop %s", o->hooks[HOOK_PRE_STOP].items[i]);
		say_when(0, line);
	}
	if (o->drain_min_ns >= 0) {
		say_when(0, "the app goes on serving: draining");
		say_when(o->drain_min_ns,
			"if no connection is active by then, on to the stop signal");
	}
	if (o->grace_ns >= 0 &&
		(drains_without_limit(o) || stop_ns > o->grace_ns - options_reserve_ns(o)))
		stop_ns = o->grace_ns - options_reserve_ns(o);
	(void)format_text(line, sizeof line, "%s: %s to %s",
		drains_without_limit(o) && o->grace_ns < 0
			? "or when no connection is active any more"
			: "at the latest",
		o->stop_signal ? signal_name(o->stop_signal, name) : "the stop signal",
		scope_words(o->scope));
	say_when(stop_ns < 0 ? 0 : stop_ns, line);
	if (o->grace_ns >= 0) {
		say_when(outcome_kill_after_ns(o->grace_ns),
			"what still lives is killed, and shim exits with 137");
		say_when(o->grace_ns, "the platform would kill PID 1");
	} else
		say("            no --grace: the app may take as long as the platform lets it\n");
	say("end\n");
	say_list("post-stop", &o->hooks[HOOK_POST_STOP]);
	if (o->until_empty)
		say("  live until the last process has ended\n");
	else if (o->linger_ns < 0 && o->grace_ns >= 0)
		say("  wait at most 2s for what the app has left behind; behind a shell until the "
		    "kill\n");
	else if (o->linger_ns)
		say("  wait at most %s for what the app has left behind\n",
			format_duration(options_linger_ns(o), text));
}

static void say_warnings(const struct options *o)
{
	char needed[DURATION_SIZE], given[DURATION_SIZE];
	int64_t longest_ns = longest_drain_ns(o);
	int64_t budget_ns = o->grace_ns - options_reserve_ns(o);

	if (o->grace_ns >= 0 && longest_ns > budget_ns)
		say("warning: draining and pre-stop hooks may take %s, but --grace leaves them %s: "
		    "they would be cut short\n",
			format_duration(longest_ns, needed), format_duration(budget_ns, given));
	if (o->grace_ns < 0 && (o->drain_min_ns >= 0 || o->hooks[HOOK_PRE_STOP].count))
		say("warning: without --grace nothing keeps time for the app after draining\n");
	if (o->drain_min_ns >= 0 && !o->health)
		say("warning: --drain without --health: nothing tells load balancers to stop "
		    "sending\n");
	if (o->health && !o->ready_probe && !o->notify)
		say("warning: --health without --ready-probe: /readyz cannot see whether the app "
		    "answers\n");
	if (o->termination_tail && o->termination_none)
		say("warning: --termination-tail has no message to go to: --termination-log is "
		    "none\n");
	if (getpid() != 1 && !o->subreaper)
		say("warning: here shim is not PID 1, so orphans would not be its to reap (-s)\n");
}

int explain_plan(const struct options *o)
{
	say_start(o);
	say_stop(o);
	say_warnings(o);
	return EXIT_SUCCESS;
}
