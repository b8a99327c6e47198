/*
 * ready.c - the truth about readiness.
 */
#include "ready.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "format.h"
#include "health.h"
#include "log.h"
#include "names.h"
#include "oom.h"
#include "paths.h"
#include "target.h"
#include "workers.h"

static const struct options *o;
static struct status_page *page;
static int listener = -1;
static struct service server = WORKERS_SERVICE("the health server");
static struct target probe_target;
static const char *ready_file; /* absolute; NULL: none is wanted */
static bool file_exists;
static bool was_running;

static int init_probe(char *error, size_t size)
{
	char expected[TARGET_REASON_SIZE];

	if (!o->ready_probe)
		return 0;
	if (target_parse(o->ready_probe, &probe_target, expected, sizeof expected) < 0) {
		(void)format_text(
			error, size, "--ready-probe: '%s': expected %s", o->ready_probe, expected);
		return -1;
	}
	/* The server must not keep the directory busy that shim was started in. */
	bool is_path = probe_target.kind == TARGET_FILE || probe_target.kind == TARGET_UNIX;
	if (is_path && *probe_target.path.at != '/' && *probe_target.path.at != '@') {
		(void)format_text(error, size, "--ready-probe: '%s': expected an absolute path",
			o->ready_probe);
		return -1;
	}
	return 0;
}

static int init_server(char *error, size_t size)
{
	struct health_address address;
	const char *expected;
	char problem[160];

	if (!o->health)
		return 0;
	if (health_parse(o->health, &address, &expected) < 0) {
		(void)format_text(error, size, "--health: '%s': expected %s", o->health, expected);
		return -1;
	}
	if (o->explain) /* a plan needs no port */
		return init_probe(error, size);
	oom_open(OOM_MEMBERSHIP, OOM_ROOT);
	listener = health_bind(&address, problem, sizeof problem);
	if (listener < 0) {
		(void)format_text(error, size, "--health %s: %s", o->health, problem);
		return -1;
	}
	return init_probe(error, size);
}

int ready_init(const struct options *options, char *error, size_t size)
{
	o = options;
	if (o->explain)
		return init_server(error, size);
	if (o->health || o->drain_min_ns >= 0 || o->notify) {
		page = status_create();
		if (!page) {
			(void)format_text(error, size, "shared memory: %s", error_text(errno));
			return -1;
		}
	}
	if (o->ready_file) {
		ready_file = paths_absolute(o->ready_file);
		if (!ready_file) {
			(void)format_text(error, size, "--ready-file: %s", error_text(errno));
			return -1;
		}
		if (unlink(ready_file) < 0 && errno != ENOENT) {
			(void)format_text(
				error, size, "--ready-file: %s: %s", ready_file, error_text(errno));
			return -1;
		}
	}
	return init_server(error, size);
}

static int probe_in_server(void *context, char *reason, size_t size)
{
	struct probe_options probe = {
		.timeout_ns = HEALTH_PROBE_MS * NS_PER_MS, .ca_file = o->hook_ca};

	return target_probe(context, &probe, reason, size);
}

static int seal(enum health_role role)
{
	if (role == HEALTH_SERVER)
		oom_hold();
	workers_seal(role == HEALTH_SERVER ? SEAL_SERVER : SEAL_CLIENT);
	return 0;
}

static int serve_in_worker(void *context, char *reason, size_t size)
{
	uint64_t alarm_only = SIGNAL_BIT(SIGALRM);
	struct health_options options = {
		.listener = listener,
		.page = page,
		.probe = o->ready_probe ? probe_in_server : NULL,
		.probe_context = &probe_target,
		.probe_name = o->ready_probe,
		.seal = seal,
		.oom_kills = oom_kills_held,
	};

	(void)context;
	(void)syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &alarm_only, NULL, sizeof alarm_only);
	(void)!chdir("/"); /* not to keep a mount busy */
	int status = health_serve(&options);
	if (!*reason) /* the prober may have had a word */
		(void)format_text(reason, size, "it cannot serve any more");
	return status;
}

void ready_start(void)
{
	struct work work = {
		.run = serve_in_worker, .keep = &listener, .keep_count = 1, .seals_itself = true};

	if (listener >= 0)
		workers_start_service(&server, &work);
}

static void keep_file(bool is_ready)
{
	if (!ready_file || is_ready == file_exists)
		return;
	file_exists = is_ready;
	if (!is_ready) {
		if (unlink(ready_file) < 0 && errno != ENOENT)
			log_at(LEVEL_WARN, "--ready-file: %s: %s", ready_file, error_text(errno));
		return;
	}
	int fd = open(ready_file, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
	if (fd < 0)
		log_at(LEVEL_WARN, "--ready-file: %s: %s", ready_file, error_text(errno));
	else
		(void)close(fd);
}

void ready_publish(
	const struct termlog_facts *facts, pid_t app, const char *reason, const char *hook)
{
	struct status status;

	keep_file(!reason);
	if (!page)
		return;
	memset(&status, 0, sizeof status);
	was_running = was_running || !reason;
	(void)format_text(status.phase, sizeof status.phase, "%s", facts->phase);
	(void)format_text(status.reason, sizeof status.reason, "%s", reason ? reason : "");
	(void)format_text(status.hook, sizeof status.hook, "%s", hook);
	status.started_ns = facts->started_ns;
	status.started_wall_ns = facts->started_wall_ns;
	status.app_pid = facts->ended ? 0 : app;
	memcpy(status.hook_counts, facts->hook_counts, sizeof status.hook_counts);
	status.is_ready = !reason;
	status.was_running = was_running;
	status_publish(page, &status);
}

bool ready_child_ended(pid_t pid, int status)
{
	char reason[WORKERS_REASON];

	if (!workers_service_ended(&server, pid, reason))
		return false;
	workers_start_later(&server, status, reason, WORKERS_PAUSE_NS);
	return true;
}

int64_t ready_deadline_ns(void)
{
	return server.again_ns;
}

void ready_check_time(int64_t now_ns)
{
	if (workers_is_due(&server, now_ns))
		ready_start();
}

size_t ready_descriptors(int *fds, size_t max)
{
	if (listener < 0 || max == 0)
		return 0;
	fds[0] = listener;
	return 1;
}

struct status_page *ready_page(void)
{
	return page;
}

_Atomic uint32_t *ready_active(void)
{
	return page ? &page->active : NULL;
}

uint16_t ready_health_port(void)
{
	return listener >= 0 ? health_port(listener) : 0;
}

void ready_end(void)
{
	keep_file(false);
}
