/*
 * waits.c - --wait-for: all targets at once, each tried by a worker until it is up.
 */
#include "waits.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "log.h"
#include "names.h"
#include "outcome.h"
#include "target.h"
#include "workers.h"

struct wait {
	struct target target;
	pid_t pid; /* 0: not started, or up */
	bool is_repeated;
	bool is_lost; /* the worker is gone, and there is no other */
};

static const struct options *o;
static struct wait *waits;
static size_t count;
static bool is_over;

int waits_init(const struct options *options, char *error, size_t size)
{
	char expected[TARGET_REASON_SIZE];

	o = options;
	if (!o->wait_for.count)
		return 0;
	waits = calloc(o->wait_for.count, sizeof *waits);
	if (!waits) {
		(void)format_text(error, size, "%s", error_text(ENOMEM));
		return -1;
	}
	for (; count < o->wait_for.count; count++) {
		const char *text = o->wait_for.items[count];
		if (target_parse(text, &waits[count].target, expected, sizeof expected) == 0)
			continue;
		(void)format_text(error, size, "--wait-for: '%s': expected %s", text, expected);
		return -1;
	}
	return 0;
}

/* No limit here: whoever waits for the workers has one for all of them. */
static int wait_in_worker(void *context, char *reason, size_t size)
{
	const struct wait *wait = context;
	struct probe_options probe = {.ca_file = o->hook_ca};

	if (wait->is_repeated) /* what crashes must not do so all the time */
		(void)poll(NULL, 0, 1000);
	return target_wait(&wait->target, &probe, o->wait_interval_ns, -1, reason, size) < 0
		       ? EXIT_FAILURE
		       : EXIT_SUCCESS;
}

static int start_worker(struct wait *wait)
{
	struct work work = {.run = wait_in_worker, .context = wait};

	wait->pid = workers_start(&work);
	if (wait->pid > 0)
		return 0;
	wait->pid = 0;
	return -1;
}

int waits_start(char *error, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		if (start_worker(&waits[i]) == 0)
			continue;
		(void)format_text(error, size, "cannot wait for %s: %s", waits[i].target.text,
			error_text(errno));
		return -1;
	}
	return (int)count;
}

/* It has no end of its own but success: somebody killed it, or it crashed. */
static enum waits_progress start_again(struct wait *wait, int status)
{
	char ended[OUTCOME_TEXT_SIZE];

	log_at(LEVEL_WARN, "waiting for %s: the process that does it ended (%s); starting it again",
		wait->target.text, outcome_text(status, ended));
	wait->is_repeated = true;
	if (start_worker(wait) == 0)
		return WAITS_BUSY;
	wait->is_lost = true;
	return WAITS_FAILED;
}

enum waits_progress waits_child_ended(pid_t pid, int status)
{
	char reason[WORKERS_REASON];
	struct wait *ended = NULL;
	size_t down = 0;

	for (size_t i = 0; i < count; i++) {
		if (waits[i].pid == pid)
			ended = &waits[i];
		else if (waits[i].pid)
			down++;
	}
	if (!ended)
		return WAITS_IDLE;
	workers_take_reason(pid, reason, sizeof reason);
	ended->pid = 0;
	if (is_over)
		return WAITS_BUSY;
	if (status != 0)
		return start_again(ended, status);
	log_at(LEVEL_INFO, "%s is up", ended->target.text);
	return down ? WAITS_BUSY : WAITS_UP;
}

const char *waits_describe(char *buf, size_t size)
{
	(void)format_text(buf, size, "waiting for dependencies");
	for (size_t i = 0; i < count; i++)
		if (waits[i].pid || waits[i].is_lost) {
			(void)format_text(buf, size, "waiting for %s", waits[i].target.text);
			break;
		}
	return buf;
}

void waits_end(char *still_down, size_t size)
{
	char reason[WORKERS_REASON] = "no process can be started";
	size_t length = 0;

	still_down[0] = '\0';
	is_over = true;
	for (size_t i = 0; i < count; i++) {
		if (!waits[i].pid && !waits[i].is_lost)
			continue;
		if (waits[i].pid) {
			workers_kill(waits[i].pid);
			workers_peek_reason(waits[i].pid, reason, sizeof reason);
		}
		length += format_text(still_down + length, size - length, "%s%s%s%s",
			length ? ", " : "", waits[i].target.text, *reason ? ": " : "", reason);
	}
}
