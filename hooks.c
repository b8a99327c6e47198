/*
 * hooks.c - lists of steps, one after another, each with a limit.
 */
#include "hooks.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "format.h"
#include "log.h"
#include "names.h"
#include "outcome.h"
#include "procs.h"
#include "step.h"
#include "util.h"

/* What is cut off by the end of the container itself gets its TERM this much before. */
#define LAST_WARNING_NS (100 * NS_PER_MS)

/* How far the step that runs has been pushed. */
enum pressure { AT_EASE, TERMINATED, KILLED };

struct list {
	struct step *steps;
	size_t count;
	size_t current;
	bool is_busy;
	bool is_cut; /* what is left is skipped */
	pid_t pid;   /* 0: a pause */
	int64_t started_ns;
	int64_t limit_ns; /* when pressure grows, or the pause is over; absolute */
	int64_t end_ns;   /* for the whole list; < 0: none */
	enum pressure pressure;
	const char *why_ended; /* "timed out", "the app ended"; NULL while at ease */
};

static const char *const kind_names[] = {
	[HOOK_PRE_START] = "pre-start",
	[HOOK_POST_START] = "post-start",
	[HOOK_PRE_STOP] = "pre-stop",
	[HOOK_POST_STOP] = "post-stop",
};
_Static_assert(sizeof kind_names / sizeof *kind_names == HOOK_KINDS, "every kind has a name");

static const struct options *o;
static struct termlog_facts *facts;
static struct list lists[HOOK_KINDS];
static int failed_status;

static enum hook_kind kind_of(const struct list *list)
{
	return (enum hook_kind)(list - lists);
}

static struct step *step_of(const struct list *list)
{
	return &list->steps[list->current];
}

static int out_of_memory(char *error, size_t size)
{
	(void)format_text(error, size, "%s", error_text(ENOMEM));
	return -1;
}

static int parse_list(struct list *list, char *error, size_t size)
{
	const char *kind = kind_names[kind_of(list)];
	const struct text_list *texts = &o->hooks[kind_of(list)];
	char problem[200];

	list->steps = calloc(texts->count, sizeof *list->steps);
	if (!list->steps)
		return out_of_memory(error, size);
	for (; list->count < texts->count; list->count++) {
		struct step *step = &list->steps[list->count];

		if (step_parse(step, texts->items[list->count], problem, sizeof problem) == 0)
			continue;
		(void)format_text(error, size, "--%s: '%s': %s", kind, step->text, problem);
		return -1;
	}
	return 0;
}

int hooks_init(
	const struct options *options, struct termlog_facts *all_facts, char *error, size_t size)
{
	bool any = false;

	o = options;
	facts = all_facts;
	for (int kind = 0; kind < HOOK_KINDS; kind++) {
		if (!o->hooks[kind].count)
			continue;
		any = true;
		if (parse_list(&lists[kind], error, size) < 0)
			return -1;
	}
	return any && step_init(o) < 0 ? out_of_memory(error, size) : 0;
}

/* --- how a step ended --- */

/* One line for the log, and one for the termination message. */
static void record(const struct list *list, bool failed, const char *outcome)
{
	const char *kind = kind_names[kind_of(list)];
	int64_t took_ns = clock_now_ns() - list->started_ns;
	char took[DURATION_SIZE];

	format_duration(took_ns, took);
	if (failed)
		log_at(LEVEL_WARN, "%s hook %s failed after %s: %s", kind, step_of(list)->text,
			took, outcome);
	else
		log_at(LEVEL_INFO, "%s hook %s: %s after %s", kind, step_of(list)->text, outcome,
			took);
	facts->hook_counts[kind_of(list)][failed]++;
	if (facts->hook_count == TERMLOG_HOOKS)
		return;
	struct termlog_hook *hook = &facts->hooks[facts->hook_count++];
	hook->kind = kind;
	hook->what = step_of(list)->text;
	hook->failed = failed;
	hook->took_ns = took_ns;
	(void)format_text(hook->outcome, sizeof hook->outcome, "%s", outcome);
}

static int start_step(struct list *list, char *problem, size_t size)
{
	int status;

	list->pressure = AT_EASE;
	list->why_ended = NULL;
	list->started_ns = clock_now_ns();
	list->limit_ns = earlier_ns(list->started_ns + step_limit_ns(step_of(list)), list->end_ns);
	list->pid = step_start(step_of(list), kind_names[kind_of(list)], &status, problem, size);
	if (list->pid >= 0)
		return 0;
	failed_status = status;
	return -1;
}

static void skip_rest(struct list *list)
{
	for (; list->current < list->count; list->current++)
		log_at(LEVEL_INFO, "%s hook %s skipped", kind_names[kind_of(list)],
			step_of(list)->text);
}

static bool failure_ends(const struct list *list)
{
	return kind_of(list) == HOOK_PRE_START || kind_of(list) == HOOK_POST_START;
}

/* Starts the current step, and where that fails without a process, what follows from it. */
static enum hooks_progress go_on(struct list *list)
{
	char problem[200];

	for (; list->current < list->count && !list->is_cut; list->current++) {
		if (list->end_ns >= 0 && clock_now_ns() >= list->end_ns) {
			log_at(LEVEL_WARN, "%s hook %s skipped: no time is left",
				kind_names[kind_of(list)], step_of(list)->text);
			continue;
		}
		if (start_step(list, problem, sizeof problem) == 0) {
			list->is_busy = true;
			return HOOKS_BUSY;
		}
		record(list, true, problem);
		if (failure_ends(list))
			return HOOKS_FAILED;
	}
	skip_rest(list);
	return HOOKS_DONE;
}

enum hooks_progress hooks_start(enum hook_kind kind, int64_t end_ns)
{
	struct list *list = &lists[kind];

	list->current = 0;
	list->is_cut = false;
	list->end_ns = end_ns >= 0 && kind == HOOK_POST_STOP ? end_ns - LAST_WARNING_NS : end_ns;
	return go_on(list);
}

static enum hooks_progress end_step(struct list *list, bool failed)
{
	list->is_busy = false;
	if (failed && failure_ends(list)) {
		list->is_cut = true;
		return HOOKS_FAILED;
	}
	list->current++;
	return go_on(list);
}

enum hooks_progress hooks_child_ended(pid_t pid, int status, enum hook_kind *kind)
{
	char outcome[STEP_OUTCOME_SIZE];

	for (struct list *list = lists; list < lists + HOOK_KINDS; list++) {
		if (!list->is_busy || list->pid != pid)
			continue;
		*kind = kind_of(list);
		if (list->pressure !=
			AT_EASE) /* whoever it left in its group has had the TERM, too */
			(void)procs_send_group(pid, SIGKILL);
		bool failed = status != 0 || list->pressure != AT_EASE;
		step_take_outcome(step_of(list), pid, status, outcome);
		if (failed)
			failed_status = status ? outcome_code(status) : EXIT_WAIT_TIMEOUT;
		if (!list->why_ended)
			record(list, failed, outcome);
		return end_step(list, failed);
	}
	return HOOKS_IDLE;
}

/* --- time --- */

int64_t hooks_deadline_ns(void)
{
	int64_t next_ns = -1;

	for (struct list *list = lists; list < lists + HOOK_KINDS; list++)
		if (list->is_busy && list->pressure != KILLED &&
			(next_ns < 0 || list->limit_ns < next_ns))
			next_ns = list->limit_ns;
	return next_ns;
}

/* The next turn of the screw. A worker has nothing to tidy up, so it is killed at once. */
static void press(struct list *list, int64_t now_ns, const char *why)
{
	bool is_command = step_of(list)->kind == STEP_COMMAND;

	if (!list->why_ended) { /* told now: the container may end before the step does */
		list->why_ended = why;
		record(list, true, why);
	}
	if (is_command && list->pressure == AT_EASE) {
		list->pressure = TERMINATED;
		list->limit_ns = now_ns + NS_PER_S;
		step_signal(step_of(list), list->pid, SIGTERM);
		step_signal(step_of(list), list->pid, SIGCONT); /* should it be stopped */
		return;
	}
	list->pressure = KILLED;
	step_signal(step_of(list), list->pid, SIGKILL);
}

enum hooks_progress hooks_check_time(int64_t now_ns, enum hook_kind *kind)
{
	for (struct list *list = lists; list < lists + HOOK_KINDS; list++) {
		if (!list->is_busy || list->pressure == KILLED || list->limit_ns > now_ns)
			continue;
		*kind = kind_of(list);
		if (step_of(list)->kind != STEP_PAUSE) {
			bool is_cut_short = list->limit_ns == list->end_ns;
			press(list, now_ns,
				is_cut_short ? "cut short: the time budget is spent" : "timed out");
			return HOOKS_BUSY;
		}
		record(list, false, "ok");
		return end_step(list, false);
	}
	return HOOKS_IDLE;
}

const char *hooks_running(char *buf, size_t size)
{
	buf[0] = '\0';
	for (struct list *list = lists; list < lists + HOOK_KINDS; list++)
		if (list->is_busy)
			(void)format_text(
				buf, size, "%s %s", kind_names[kind_of(list)], step_of(list)->text);
	return buf;
}

bool hooks_is_busy(enum hook_kind kind)
{
	return lists[kind].is_busy;
}

bool hooks_has_commands(void)
{
	for (int kind = HOOK_POST_START; kind < HOOK_KINDS; kind++)
		for (size_t i = 0; i < lists[kind].count; i++)
			if (lists[kind].steps[i].kind == STEP_COMMAND)
				return true;
	return false;
}

static bool is_pausing(const struct list *list)
{
	return list->is_busy && step_of(list)->kind == STEP_PAUSE;
}

static void end_pause(struct list *list, const char *why)
{
	list->is_busy = false;
	record(list, false, why);
	list->current++;
	skip_rest(list);
}

bool hooks_skip_rest(enum hook_kind kind)
{
	struct list *list = &lists[kind];

	list->is_cut = true;
	if (is_pausing(list))
		end_pause(list, "the app ended"); /* it was for the app's sake */
	return list->is_busy;
}

void hooks_cancel(enum hook_kind kind, const char *why)
{
	struct list *list = &lists[kind];

	list->is_cut = true;
	if (is_pausing(list))
		end_pause(list, why);
	else if (list->is_busy && list->pressure == AT_EASE)
		press(list, clock_now_ns(), why);
}

int hooks_failed_status(void)
{
	return failed_status;
}

int64_t hooks_worst_case_ns(enum hook_kind kind)
{
	int64_t total_ns = 0;

	for (size_t i = 0; i < lists[kind].count; i++)
		total_ns += lists[kind].steps[i].kind == STEP_PAUSE ? lists[kind].steps[i].pause_ns
								    : o->hook_timeout_ns;
	return total_ns;
}
