/*
 * step.c - one step of a list of hooks: a command, an HTTP request or a pause.
 *
 * A command is spawned in a process group of its own, with its stdout on the container's stderr:
 * hooks report, and the app's stdout is data. A request is a worker. A pause needs no process.
 */
#include "step.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "children.h"
#include "format.h"
#include "hook_output.h"
#include "names.h"
#include "outcome.h"
#include "parse.h"
#include "procs.h"
#include "spawn.h"
#include "workers.h"

/* A request has the same limit of its own, and knows better what it was busy with: it comes first.
 */
#define REQUEST_SLACK_NS (250 * NS_PER_MS)

static const struct options *o;

/* What a hook finds in its environment beside the app's. */
enum { VARIABLES = 4, VARIABLE_SIZE = 512 };
static char variables[VARIABLES][VARIABLE_SIZE];
static char **environment;
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

int step_parse(struct step *step, const char *text, char *problem, size_t size)
{
	static const char pause[] = "sleep:";

	step->text = put_on_one_line(text);
	if (!step->text) {
		step->text = "";
		return out_of_memory(problem, size);
	}
	if (strncmp(text, pause, sizeof pause - 1) == 0) {
		step->kind = STEP_PAUSE;
		if (parse_duration(text + sizeof pause - 1, &step->pause_ns) == 0)
			return 0;
		(void)format_text(problem, size, "expected sleep: and a duration, as in sleep:5s");
		return -1;
	}
	if (target_is_hook_url(text)) {
		step->kind = STEP_REQUEST;
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
	step->kind = STEP_COMMAND;
	return parse_command(step, text, problem, size);
}

/* The app's environment and room for what hooks are told. */
static int copy_environment(void)
{
	size_t count = 0;

	while (environ[count])
		count++;
	environment = calloc(count + VARIABLES + 1, sizeof *environment);
	if (!environment)
		return -1;
	for (size_t i = 0; i < VARIABLES; i++)
		environment[i] = variables[i];
	memcpy(environment + VARIABLES, environ, count * sizeof *environ);
	return 0;
}

int step_init(const struct options *options)
{
	o = options;
	directory = getcwd(NULL, 0); /* NULL: it is gone, and there is nothing to go back to */
	if (copy_environment() < 0)
		return -1;
	step_set_app(0, -1, "");
	return 0;
}

void step_set_app(pid_t pid, int exit_code, const char *reason)
{
	if (!environment) /* there are none */
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

int64_t step_limit_ns(const struct step *step)
{
	switch (step->kind) {
	case STEP_PAUSE:
		return step->pause_ns;
	case STEP_REQUEST:
		return o->hook_timeout_ns + REQUEST_SLACK_NS;
	case STEP_COMMAND:
		break;
	}
	return o->hook_timeout_ns;
}

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

static pid_t start_request(struct step *step, char *problem, size_t size)
{
	struct work work = {.run = request_in_worker, .context = step};
	pid_t pid = workers_start(&work);

	if (pid < 0)
		(void)format_text(problem, size, "%s", error_text(errno));
	return pid;
}

static pid_t start_command(const struct step *step, const char *list, pid_t *reader, int *status,
	char *problem, size_t size)
{
	struct spawn s = {
		.argv = step->slots + 1,
		.environment = environment,
		.directory = directory,
		.placement = PLACE_GROUP,
		.terminal = -1,
		.clean_signals = true,
		.is_hook = true,
	};

	(void)format_text(variables[0], sizeof *variables, "SHIM_HOOK=%s", list);
	*reader = hook_output_start(list, &s.errors);
	int failed = spawn_run(&s);
	if (*reader)
		(void)close(s.errors);
	if (failed) {
		(void)spawn_explain(&s, problem, size);
		if (s.stage == SPAWN_EXEC)
			*status = s.error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXEC;
		return -1;
	}
	if (children_watch(s.pid, s.pidfd) < 0) {
		/* Cannot be: there are fewer lists than places. Unwatched, it would never end for
		 * us. */
		(void)kill(-s.pid, SIGKILL);
		(void)format_text(problem, size, "too many children");
		return -1;
	}
	procs_spare(s.pid, true);
	return s.pid;
}

pid_t step_start(
	struct step *step, const char *list, pid_t *reader, int *status, char *problem, size_t size)
{
	*reader = 0;
	*status = EXIT_SHIM; /* unless more is known */
	switch (step->kind) {
	case STEP_COMMAND:
		return start_command(step, list, reader, status, problem, size);
	case STEP_REQUEST:
		return start_request(step, problem, size);
	case STEP_PAUSE:
		break;
	}
	return 0;
}

void step_signal(const struct step *step, pid_t pid, int signo)
{
	if (step->kind == STEP_REQUEST)
		workers_kill(pid);
	else if (procs_send_group(pid, signo) < 0 && !children_has_ended(pid))
		(void)kill(pid, signo);
}

void step_take_outcome(
	const struct step *step, pid_t pid, int status, char outcome[STEP_OUTCOME_SIZE])
{
	outcome[0] = '\0';
	if (step->kind == STEP_REQUEST)
		workers_take_reason(pid, outcome, STEP_OUTCOME_SIZE);
	else {
		procs_spare(pid, false);
		children_forget(pid);
	}
	if (!*outcome || status == 0)
		(void)outcome_text(status, outcome);
}
