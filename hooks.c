/*
 * hooks.c - lists of steps, one after another, each with a limit.
 *
 * A command is spawned in a process group of its own, with its stdout on the container's stderr:
 * hooks report, and the app's stdout is data. A request is a worker. A pause needs no process.
 */
#include "hooks.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children.h"
#include "format.h"
#include "log.h"
#include "logging.h"
#include "names.h"
#include "outcome.h"
#include "parse.h"
#include "procs.h"
#include "spawn.h"
#include "target.h"
#include "util.h"
#include "workers.h"

enum how { BY_COMMAND, BY_REQUEST, BY_PAUSE };

struct step {
	enum how how;
	const char *text;     /* as the user wrote it, on one line */
	char *copy;           /* BY_COMMAND: its words, each NUL-terminated */
	char **slots;         /* and its argv, behind a free slot for spawn.c */
	struct target target; /* BY_REQUEST */
	int64_t pause_ns;     /* BY_PAUSE */
};

/* A request has the same limit of its own, and knows better what it was busy with: it comes first.
 */
#define REQUEST_SLACK_NS (250 * NS_PER_MS)

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

/* What a hook finds in its environment beside the app's. */
enum { VARIABLES = 4, VARIABLE_SIZE = 512 };
static char variables[VARIABLES][VARIABLE_SIZE];
static char **hook_environment;
static const char *directory; /* that shim was started in: relative commands mean it */

static int out_of_memory(char *error, size_t size)
{
	(void)format_text(error, size, "%s", error_text(ENOMEM));
	return -1;
}

static int parse_command(struct step *step, const char *text, char *problem, size_t size)
{
	size_t max = strlen(text) / 2 + 1;

	step->copy = strdup(text);
	step->slots = calloc(max + 2, sizeof *step->slots);
	if (!step->copy || !step->slots)
		return out_of_memory(problem, size);
	int count = split_words(step->copy, step->slots + 1, max);
	if (count > 0)
		return 0;
	(void)format_text(problem, size, count < 0 ? "a quote is left open" : "it is empty");
	return -1;
}

/* A script from a YAML file has line breaks; what is said of it is one line. */
static const char *put_on_one_line(const char *text)
{
	char *shown = strdup(text);

	for (char *c = shown; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = *c == '\n' || *c == '\t' ? ' ' : '?';
	return shown;
}

static int parse_step(struct step *step, const char *text, char *problem, size_t size)
{
	static const char pause[] = "sleep:";

	step->text = put_on_one_line(text);
	if (!step->text) {
		step->text = "";
		return out_of_memory(problem, size);
	}
	if (strncmp(text, pause, sizeof pause - 1) == 0) {
		step->how = BY_PAUSE;
		if (parse_duration(text + sizeof pause - 1, &step->pause_ns) == 0)
			return 0;
		(void)format_text(problem, size, "expected sleep: and a duration, as in sleep:5s");
		return -1;
	}
	if (target_is_hook_url(text)) {
		step->how = BY_REQUEST;
		char expected[TARGET_REASON_SIZE];
		if (target_parse_hook(text, &step->target, expected, sizeof expected) == 0)
			return 0;
		(void)format_text(problem, size, "expected %s", expected);
		return -1;
	}
	if (target_is_method(text)) { /* a slip that would only show when the hook runs */
		(void)format_text(problem, size,
			"expected a URL after the method, as in POST http://:8080/quit");
		return -1;
	}
	step->how = BY_COMMAND;
	return parse_command(step, text, problem, size);
}

/* The app's environment and room for what hooks are told. */
static int copy_environment(void)
{
	size_t count = 0;

	while (environ[count])
		count++;
	hook_environment = calloc(count + VARIABLES + 1, sizeof *hook_environment);
	if (!hook_environment)
		return -1;
	for (size_t i = 0; i < VARIABLES; i++)
		hook_environment[i] = variables[i];
	memcpy(hook_environment + VARIABLES, environ, count * sizeof *environ);
	hooks_set_app(0, -1, "");
	return 0;
}

int hooks_init(
	const struct options *options, struct termlog_facts *all_facts, char *error, size_t size)
{
	char problem[200];
	bool any = false;

	o = options;
	facts = all_facts;
	for (int kind = 0; kind < HOOK_KINDS; kind++) {
		const struct text_list *texts = &o->hooks[kind];
		struct list *list = &lists[kind];

		if (!texts->count)
			continue;
		any = true;
		list->steps = calloc(texts->count, sizeof *list->steps);
		if (!list->steps)
			return out_of_memory(error, size);
		for (; list->count < texts->count; list->count++) {
			struct step *step = &list->steps[list->count];
			if (parse_step(step, texts->items[list->count], problem, sizeof problem) ==
				0)
				continue;
			(void)format_text(error, size, "--%s: '%s': %s", kind_names[kind],
				step->text, problem);
			return -1;
		}
	}
	if (any && copy_environment() < 0)
		return out_of_memory(error, size);
	if (any)
		directory =
			getcwd(NULL, 0); /* NULL: it is gone, and there is nothing to go back to */
	return 0;
}

void hooks_set_app(pid_t pid, int exit_code, const char *reason)
{
	if (!hook_environment) /* there are none */
		return;
	if (pid > 0)
		(void)format_text(variables[1], sizeof *variables, "SHIM_APP_PID=%d", (int)pid);
	else /* not 0, which kill(1) takes for the hook's own group */
		(void)format_text(variables[1], sizeof *variables, "SHIM_APP_PID=");
	if (exit_code >= 0)
		(void)format_text(variables[2], sizeof *variables, "SHIM_EXIT_CODE=%d", exit_code);
	else
		(void)format_text(variables[2], sizeof *variables, "SHIM_EXIT_CODE=");
	(void)format_text(variables[3], sizeof *variables, "SHIM_REASON=%s", reason);
}

/* --- how a step ended --- */

static enum hook_kind kind_of(const struct list *list)
{
	return (enum hook_kind)(list - lists);
}

static struct step *step_of(const struct list *list)
{
	return &list->steps[list->current];
}

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

/* --- starting a step --- */

static int request_in_worker(void *context, char *reason, size_t size)
{
	const struct step *step = context;
	struct probe_options probe = {
		.timeout_ns = o->hook_timeout_ns,
		.headers = o->hook_headers.items,
		.header_count = o->hook_headers.count,
		.ca_file = o->hook_ca,
	};

	return target_probe(&step->target, &probe, reason, size) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int start_request(struct list *list, char *problem, size_t size)
{
	struct work work = {.run = request_in_worker, .context = step_of(list)};

	list->pid = workers_start(&work);
	if (list->pid > 0)
		return 0;
	(void)format_text(problem, size, "%s", error_text(errno));
	failed_status = EXIT_SHIM;
	return -1;
}

static int start_command(struct list *list, char *problem, size_t size)
{
	struct spawn s = {
		.argv = step_of(list)->slots + 1,
		.environment = hook_environment,
		.directory = directory,
		.placement = PLACE_GROUP,
		.terminal = -1,
		.clean_signals = true,
		.is_hook = true,
		.errors = logging_hook_errors(),
	};

	(void)format_text(
		variables[0], sizeof *variables, "SHIM_HOOK=%s", kind_names[kind_of(list)]);
	if (spawn_run(&s) < 0) {
		(void)spawn_explain(&s, problem, size);
		failed_status = s.stage != SPAWN_EXEC ? EXIT_SHIM
				: s.error == ENOENT   ? EXIT_NOT_FOUND
						      : EXIT_CANNOT_EXEC;
		return -1;
	}
	if (children_watch(s.pid, s.pidfd) < 0) {
		/* Cannot be: there are fewer lists than slots. Unwatched, it would never end for
		 * us. */
		(void)kill(-s.pid, SIGKILL);
		(void)format_text(problem, size, "too many children");
		failed_status = EXIT_SHIM;
		return -1;
	}
	list->pid = s.pid;
	procs_spare(s.pid, true);
	return 0;
}

static int start_step(struct list *list, char *problem, size_t size)
{
	const struct step *step = step_of(list);
	int64_t limit_ns = step->how == BY_PAUSE ? step->pause_ns : o->hook_timeout_ns;

	list->pid = 0;
	list->pressure = AT_EASE;
	list->why_ended = NULL;
	list->started_ns = clock_now_ns();
	if (step->how == BY_REQUEST)
		limit_ns += REQUEST_SLACK_NS;
	list->limit_ns = earlier_ns(list->started_ns + limit_ns, list->end_ns);
	switch (step->how) {
	case BY_COMMAND:
		return start_command(list, problem, size);
	case BY_REQUEST:
		return start_request(list, problem, size);
	case BY_PAUSE:
		break;
	}
	return 0;
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
	char outcome[sizeof facts->hooks->outcome] = "";

	for (struct list *list = lists; list < lists + HOOK_KINDS; list++) {
		if (!list->is_busy || list->pid != pid)
			continue;
		*kind = kind_of(list);
		if (list->pressure !=
			AT_EASE) /* whoever it left in its group has had the TERM, too */
			(void)procs_send_group(pid, SIGKILL);
		bool failed = status != 0 || list->pressure != AT_EASE;
		if (step_of(list)->how == BY_REQUEST)
			workers_take_reason(pid, outcome, sizeof outcome);
		else {
			procs_spare(pid, false);
			children_forget(pid);
		}
		if (failed)
			failed_status = status ? outcome_code(status) : EXIT_WAIT_TIMEOUT;
		if (!*outcome || !failed)
			(void)outcome_text(status, outcome);
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

/* To the group of a command; to itself if it has none (setpgid(2) was refused) or is in another. */
static void send_step(const struct list *list, int signo)
{
	if (procs_send_group(list->pid, signo) < 0 && !children_has_ended(list->pid))
		(void)kill(list->pid, signo);
}

/* The next turn of the screw. A worker has nothing to tidy up, so it is killed at once. */
static void press(struct list *list, int64_t now_ns, const char *why)
{
	bool is_command = step_of(list)->how == BY_COMMAND;

	if (!list->why_ended) { /* told now: the container may end before the step does */
		list->why_ended = why;
		record(list, true, why);
	}
	if (is_command && list->pressure == AT_EASE) {
		list->pressure = TERMINATED;
		list->limit_ns = now_ns + NS_PER_S;
		send_step(list, SIGTERM);
		send_step(list, SIGCONT); /* should it be stopped */
		return;
	}
	list->pressure = KILLED;
	if (is_command)
		send_step(list, SIGKILL);
	else
		workers_kill(list->pid);
}

enum hooks_progress hooks_check_time(int64_t now_ns, enum hook_kind *kind)
{
	for (struct list *list = lists; list < lists + HOOK_KINDS; list++) {
		if (!list->is_busy || list->pressure == KILLED || list->limit_ns > now_ns)
			continue;
		*kind = kind_of(list);
		if (step_of(list)->how != BY_PAUSE) {
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
			if (lists[kind].steps[i].how == BY_COMMAND)
				return true;
	return false;
}

static bool is_pausing(const struct list *list)
{
	return list->is_busy && step_of(list)->how == BY_PAUSE;
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
		total_ns += lists[kind].steps[i].how == BY_PAUSE ? lists[kind].steps[i].pause_ns
								 : o->hook_timeout_ns;
	return total_ns;
}
