/*
 * setup.c - from argv to options, and what shim makes of itself before it starts anything.
 */
#include "setup.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compat.h"
#include "descriptors.h"
#include "drain_now.h"
#include "hooks.h"
#include "install.h"
#include "log.h"
#include "logging.h"
#include "names.h"
#include "notify.h"
#include "options.h"
#include "paths.h"
#include "privs.h"
#include "procs.h"
#include "ready.h"
#include "seal.h"
#include "signals.h"
#include "target.h"
#include "tls.h"
#include "util.h"
#include "waits.h"
#include "workers.h"

#define CHECK_TIMEOUT_NS (5 * NS_PER_S)

/* Takes NAME=value out of the environment and returns the value, or NULL. */
static char *take_variable(const char *name)
{
	size_t length = strlen(name);

	for (char **p = environ; *p; p++)
		if (strncmp(*p, name, length) == 0 && (*p)[length] == '=') {
			char *value = *p + length + 1;
			for (; *p; p++)
				p[0] = p[1];
			return value;
		}
	return NULL;
}

/* --check: shim as a client, to be stopped like any program. A broken connection stays an error. */
static int check_target(const struct options *o)
{
	struct probe_options probe = {
		.timeout_ns = o->check_timeout_ns < 0 ? CHECK_TIMEOUT_NS : o->check_timeout_ns,
		.headers = o->hook_headers.items,
		.header_count = o->hook_headers.count,
		.ca_file = o->hook_ca,
	};

	uint64_t blocked = SIGNAL_BIT(SIGPIPE) | SIGNAL_BIT(SIGCHLD);
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, sizeof blocked);
	const char *refused = seal_enter(SEAL_CLIENT, NULL, 0);
	if (refused)
		log_at(LEVEL_INFO, "not fully sealed: %s: %s", refused, error_text(errno));
	return target_check_main(o->check, &probe);
}

int setup_command_line(struct options *o, int argc, char **argv)
{
	char error[512];

	options_defaults(o);
	o->personality = compat_personality(argv[0]);
	if (o->personality != AS_SHIM)
		return compat_parse(o, argc, argv);

	enum verdict verdict =
		options_parse(o, argv, take_variable("SHIM_OPTS"), error, sizeof error);
	log_init(NULL, (enum level)o->verbosity);
	if (o->log_format == FORMAT_JSON ||
		(o->log_format == FORMAT_UNSET && o->json_logs && !isatty(STDOUT_FILENO)))
		log_use_json();
	switch (verdict) {
	case VERDICT_RUN:
		return -1;
	case VERDICT_HELP:
		for (size_t piece = 0; options_help(piece); piece++)
			log_write(STDOUT_FILENO, options_help(piece));
		return 0;
	case VERDICT_VERSION:
		log_write(STDOUT_FILENO, options_version());
		return 0;
	case VERDICT_LICENSE:
		log_write(STDOUT_FILENO, options_license());
		return 0;
	case VERDICT_INSTALL:
		return install_copy(o->install_dir);
	case VERDICT_CHECK:
		return check_target(o);
	case VERDICT_DRAIN:
		return drain_now_main(o->check_timeout_ns);
	case VERDICT_BAD:
		break;
	}
	log_at(LEVEL_FATAL, "%s", error);
	return EXIT_SHIM;
}

/* Being handed the orphans, when that does not come by itself. */
static void become_reaper(const struct options *o)
{
	int is_reaper = 0;

	if (o->subreaper) {
		if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
			log_note(NOTE_SUBREAPER, 0, 0, NULL);
		else
			log_note(NOTE_SUBREAPER_FAILED, errno, 0, NULL);
		return;
	}
	if (o->quiet_when_not_init || procs_is_init())
		return;
	if (prctl(PR_GET_CHILD_SUBREAPER, &is_reaper, 0, 0, 0) < 0 || !is_reaper)
		log_note(NOTE_NOT_INIT, 0, 0, NULL);
}

/* PR_SET_PDEATHSIG is too late when the parent died just before: then the signal is ours to send.
 */
static void follow_parent(const struct options *o)
{
	pid_t parent = getppid();

	if (prctl(PR_SET_PDEATHSIG, o->parent_death_signal, 0, 0, 0) < 0)
		log_at(LEVEL_WARN, "--parent-death: %s", error_text(errno));
	else if (getppid() != parent)
		(void)kill(getpid(), o->parent_death_signal);
}

static void setup_process(const struct options *o)
{
	const char *reaping = getenv("SHIM_TEST_REAPING");

	if (o->parent_death_signal)
		follow_parent(o);
	become_reaper(o);
	/* Debug output tells of each orphan, so each has to be seen. */
	signals_set_reaping(!log_prints(LEVEL_DEBUG) && !(reaping && strcmp(reaping, "plain") == 0),
		o->warn_reap);
}

static bool needs_workers(const struct options *o)
{
	bool any = o->wait_for.count || o->health || o->notify || o->drain_min_ns >= 0 ||
		   o->json_logs || o->termination_tail;

	for (int kind = 0; kind < HOOK_KINDS; kind++)
		any = any || o->hooks[kind].count;
	return any;
}

/* Found out now, not when the first request fails for it; and it is read when shim has gone to /.
 */
static int check_ca(struct options *o)
{
	char reason[160];

	if (!o->hook_ca)
		return 0;
	if (tls_check_ca(o->hook_ca, reason, sizeof reason) < 0) {
		log_at(LEVEL_FATAL, "--hook-ca: %s", reason);
		return -1;
	}
	o->hook_ca = paths_absolute(o->hook_ca);
	return 0;
}

int setup_all(struct options *o, struct termlog_facts *facts)
{
	char error[400];

	if (!o->explain)
		setup_process(o);
	if (needs_workers(o))
		descriptors_reserve();
	if (needs_workers(o) && workers_init() < 0) {
		log_at(LEVEL_FATAL, "shared memory: %s", error_text(errno));
		return -1;
	}
	if (!o->termination_none && !o->explain)
		termlog_open(o);
	if (check_ca(o) < 0)
		return -1;
	facts->exit_code = -1;
	facts->memory_limit = -1;
	facts->app = o->command ? base_name(o->command[0]) : NULL;
	/* The first, since others copy the environment. */
	if ((!o->notify || notify_init(o, error, sizeof error) == 0) &&
		privs_init(o, error, sizeof error) == 0 &&
		waits_init(o, error, sizeof error) == 0 &&
		hooks_init(o, facts, error, sizeof error) == 0 &&
		ready_init(o, error, sizeof error) == 0 &&
		logging_init(o, error, sizeof error) == 0)
		return 0;
	log_at(LEVEL_FATAL, "%s", error);
	return -1;
}
