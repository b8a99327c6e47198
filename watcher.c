/*
 * watcher.c - the drain watcher as a child of PID 1.
 */
#include "watcher.h"

#include <errno.h>
#include <stdlib.h>

#include "drain.h"
#include "format.h"
#include "log.h"
#include "names.h"
#include "outcome.h"
#include "ready.h"
#include "workers.h"

static pid_t watcher;             /* 0: none runs */
static int64_t pause_end_ns = -1; /* instead of a watcher: until then */
static bool is_unwanted;
static struct drain_options drain;

static int watch_in_worker(void *context, char *reason, size_t size)
{
	struct drain *watch = drain_open(context);

	if (!watch) {
		(void)format_text(reason, size, "%s", error_text(ENOMEM));
		return EXIT_FAILURE;
	}
	workers_seal(SEAL_DRAIN);
	return drain_watch(watch);
}

/* Whoever sends connections still needs the least time to stop doing so. */
static void pause_instead(const char *why)
{
	log_at(LEVEL_WARN, "--drain: %s; waiting for the least time instead", why);
	pause_end_ns = drain.start_ns + drain.min_ns;
}

bool watcher_start(const struct options *o, int64_t stop_ns, int64_t end_ns)
{
	struct work work = {.run = watch_in_worker, .context = &drain, .seals_itself = true};

	if (o->drain_min_ns < 0)
		return false;
	drain = (struct drain_options){
		.start_ns = stop_ns,
		.min_ns = o->drain_min_ns,
		.max_ns = o->drain_max_ns,
		.idle_ns = o->drain_idle_ns,
		.ports = o->drain_ports,
		.port_count = o->drain_port_count,
		.health_port = ready_health_port(),
		.active = ready_active(),
		.sources = SOCKETS_ANY,
	};
	if (end_ns >= 0 && (drain.max_ns < 0 || stop_ns + drain.max_ns > end_ns))
		drain.max_ns = end_ns > stop_ns ? end_ns - stop_ns : 0;
	watcher = workers_start(&work);
	if (watcher < 0) {
		watcher = 0;
		pause_instead(error_text(errno));
	}
	return true;
}

enum watcher_progress watcher_child_ended(pid_t pid, int status)
{
	char reason[WORKERS_REASON], ended[OUTCOME_TEXT_SIZE];

	if (!watcher || pid != watcher)
		return WATCHER_IDLE;
	watcher = 0;
	workers_take_reason(pid, reason, sizeof reason);
	if (is_unwanted || status == 0)
		return WATCHER_DONE;
	pause_instead(*reason ? reason : outcome_text(status, ended));
	return WATCHER_BUSY;
}

int64_t watcher_deadline_ns(void)
{
	return is_unwanted ? -1 : pause_end_ns;
}

enum watcher_progress watcher_check_time(int64_t now_ns)
{
	if (is_unwanted || pause_end_ns < 0 || now_ns < pause_end_ns)
		return WATCHER_IDLE;
	pause_end_ns = -1;
	return WATCHER_DONE;
}

bool watcher_is_busy(void)
{
	return !is_unwanted && (watcher || pause_end_ns >= 0);
}

void watcher_end(void)
{
	is_unwanted = true;
	if (watcher)
		workers_kill(watcher);
}
