/*
 * hooks.c - lists of steps, one after another, each with a limit.
 */
#include "hooks.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "hook_output.h"
#include "log.h"
#include "names.h"
#include "outcome.h"
#include "procs.h"
#include "step.h"
#include "util.h"

/* What a hook left behind may go on printing; its last line is not waited for any longer. */
#define OUTPUT_NS (200 * NS_PER_MS)

/* What is cut off by the end of the container itself gets its TERM this much before. */
#define LAST_WARNING_NS (100 * NS_PER_MS)

/* How far the step that runs has been pushed. */
enum pressure { AT_EASE, TERMINATED, KILLED };

struct list {
	struct step *steps;
	size_t count;
	size_t current;
	int64_t started_ns;
	int64_t limit_ns;      /* when pressure grows, or the pause is over; absolute */
	int64_t end_ns;        /* for the whole list; < 0: none */
	const char *why_ended; /* "timed out", "the app ended"; NULL while at ease */
	enum pressure pressure;
	pid_t pid;      /* 0: a pause */
	pid_t reader;   /* of what a command prints; 0: none (any more) */
	int status;     /* what the command ended with */
	bool has_ended; /* the command has, the reader has not */
	bool is_busy;
	bool is_cut;                  /* what is left is skipped */
	char said[STEP_OUTCOME_SIZE]; /* its last line */
};

static const char kind_names[][12] = {
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
static int64_t last_look_ns = -1; /* the end of all waits for what hooks print */

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

static int parse_list(enum hook_kind kind, char *error, size_t size)
{
	struct list *list = &lists[kind];
	const struct text_list *texts = &o->hooks[kind];
	char problem[200];

	list->steps = calloc(texts->count, sizeof *list->steps);
	if (!list->steps)
		return out_of_memory(error, size);
	for (; list->count < texts->count; list->count++) {
		struct step *step = &list->steps[list->count];

		if (step_parse(step, texts->items[list->count], problem, sizeof problem) == 0)
			continue;
		(void)format_text(
			error, size, "--%s: '%s': %s", kind_names[kind], step->text, problem);
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
	for (enum hook_kind kind = 0; kind < HOOK_KINDS; kind++) {
		if (!o->hooks[kind].count)
			continue;
		any = true;
		if (parse_list(kind, error, size) < 0)
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
	(void)format_text(hook->outcome, sizeof hook->outcome, "%s%s%s", outcome,
		failed && *list->said ? ": " : "", failed ? list->said : "");
}

static int start_step(struct list *list, char *problem, size_t size)
{
	int status;

	list->has_ended = false;
	list->said[0] = '\0';
	list->pressure = AT_EASE;
	list->why_ended = NULL;
	list->started_ns = clock_now_ns();
	list->limit_ns = earlier_ns(list->started_ns + step_limit_ns(step_of(list)), list->end_ns);
	list->pid = step_start(
		step_of(list), kind_names[kind_of(list)], &list->reader, &status, problem, size);
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

/* The step is over, with outcome. */
static enum hooks_progress conclude(struct list *list, const char *outcome)
{
	bool failed = list->status != 0 || list->pressure != AT_EASE;

	if (failed)
		failed_status = list->status ? outcome_code(list->status) : EXIT_WAIT_TIMEOUT;
	if (!list->why_ended)
		record(list, failed, outcome);
	return end_step(list, failed);
}

static enum hooks_progress conclude_command(struct list *list)
{
	char text[OUTCOME_TEXT_SIZE];

	if (list->reader)
		hook_output_last(list->reader, list->said, sizeof list->said);
	return conclude(list, outcome_text(list->status, text));
}

static enum hooks_progress step_ended(struct list *list, int status)
{
	char outcome[STEP_OUTCOME_SIZE];

	list->status = status;
	if (list->pressure != AT_EASE) /* whoever it left in its group has had the TERM, too */
		(void)procs_send_group(list->pid, SIGKILL);
	step_take_outcome(step_of(list), list->pid, status, outcome);
	if (!list->reader)
		return conclude(list, outcome);
	list->pid = 0;
	list->has_ended = true;
	list->limit_ns = clock_now_ns() + OUTPUT_NS;
	return HOOKS_BUSY;
}

enum hooks_progress hooks_child_ended(pid_t pid, int status)
{
	char said[STEP_OUTCOME_SIZE];
	bool is_reader = hook_output_ended(pid, said, sizeof said);

	for (struct list *list = lists; list < lists + HOOK_KINDS; list++) {
		if (!list->is_busy || pid != (is_reader ? list->reader : list->pid))
			continue;
		if (!is_reader)
			return step_ended(list, status);
		list->reader = 0;
		memcpy(list->said, said, sizeof said);
		return list->has_ended ? conclude_command(list) : HOOKS_BUSY;
	}
	return is_reader ? HOOKS_BUSY : HOOKS_IDLE;
}

void hooks_end(int64_t end_ns)
{
	if (hook_output_is_busy())
		last_look_ns = earlier_ns(end_ns, clock_now_ns() + OUTPUT_NS);
}

/* Of a hook that runs still, when the time is up, no end is to be waited for. */
bool hooks_are_reading(void)
{
	if (last_look_ns < 0 || !hook_output_is_busy())
		return false;
	for (struct list *list = lists; list < lists + HOOK_KINDS; list++)
		if (list->is_busy && !list->has_ended)
			return false;
	return clock_now_ns() < last_look_ns;
}

/* --- time --- */

int64_t hooks_deadline_ns(void)
{
	int64_t next_ns = last_look_ns;

	for (struct list *list = lists; list < lists + HOOK_KINDS; list++)
		if (list->is_busy && (list->pressure != KILLED || list->has_ended) &&
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
		if (list->reader)
			hook_output_last(list->reader, list->said, sizeof list->said);
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

enum hooks_progress hooks_check_time(int64_t now_ns)
{
	for (struct list *list = lists; list < lists + HOOK_KINDS; list++) {
		if (!list->is_busy || list->limit_ns > now_ns)
			continue;
		if (list->has_ended)
			return conclude_command(list);
		if (list->pressure == KILLED)
			continue;
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

void hooks_skip_rest(enum hook_kind kind)
{
	struct list *list = &lists[kind];

	list->is_cut = true;
	if (is_pausing(list))
		end_pause(list, "the app ended"); /* it was for the app's sake */
}

void hooks_cancel(enum hook_kind kind, const char *why)
{
	struct list *list = &lists[kind];

	list->is_cut = true;
	if (is_pausing(list))
		end_pause(list, why);
	else if (list->is_busy && !list->has_ended && list->pressure == AT_EASE)
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
