/*
 * app.c - the application as a process: its start, and its share of the terminal.
 */
#include "app.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children.h"
#include "compat.h"
#include "descriptors.h"
#include "forward.h"
#include "log.h"
#include "logging.h"
#include "notify.h"
#include "privs.h"
#include "procs.h"
#include "ready.h"
#include "signals.h"
#include "spawn.h"
#include "terminal.h"
#include "termlog.h"

static int terminal = -1;    /* the one whose foreground was handed to the app, or could be */
static pid_t terminal_group; /* whom it was handed to */
static bool has_left_directory;

/* The peers tell of a child that ended so, and tini's -e is for its exit code too. */
static int failed_exec_status(const struct options *o, const struct spawn *s)
{
	int status = compat_exec_status(o->personality, s->error);

	if (o->personality == AS_SHIM)
		return status;
	log_note(NOTE_SPAWNED, s->pid, 0, o->command[0]);
	log_note(NOTE_SIGNAL, SIGCHLD, 0, NULL);
	log_note(NOTE_CHILD_SIGNAL, 0, 0, NULL);
	log_note(NOTE_REAPED_EXITED, s->pid, status, NULL);
	log_note(NOTE_APP_EXITED, status, 0, NULL);
	return o->expect[status] < 0 ? status : o->expect[status];
}

static void warn_of_terminal(int error)
{
	if (error && error != ENOTTY && error != ENXIO && error != EBADF && error != EPERM)
		log_note(NOTE_FOREGROUND_FAILED, error, 0, NULL);
}

/* The hang-up that comes of giving up the terminal is not for the app. */
static void note_handoff(uint64_t signals)
{
	for (int signo = 1; signo <= SIGCONT; signo++)
		if (signals & SIGNAL_BIT(signo)) {
			log_note(NOTE_SIGNAL, signo, 0, NULL);
			log_note(NOTE_HANDOFF_SIGNAL, signo, 0, NULL);
		}
}

/* dumb-init's child runs while its parent goes on, and so finds that one gone to / when it looks.
 * Ours wakes up after the exec, so a program can be faster: we go before it. The descriptor of
 * where the program is to run, or 0: where shim is. open() would check O_CLOEXEC with one call
 * more. */
static int leave_directory(const struct options *o)
{
	if (o->personality != AS_DUMB_INIT)
		return 0;
	int here = (int)syscall(SYS_openat, AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	has_left_directory = here > STDERR_FILENO && chdir("/") == 0;
	if (has_left_directory)
		return here;
	if (here >= 0)
		(void)close(here);
	return 0;
}

pid_t app_start(const struct options *o, int *status, char *reason, size_t size)
{
	bool is_ours = false;
	uint64_t handoff = 0;

	if (o->placement == PLACE_GROUP)
		terminal = terminal_find(&is_ours);
	if (o->placement == PLACE_SESSION)
		handoff = terminal_detach();

	struct spawn s = {
		.argv = o->command,
		.placement = o->placement,
		.terminal = is_ours ? terminal : -1,
		.environment = privs_environment(),
		.drops_privileges = o->user || o->caps || o->no_new_privs,
		.attach_terminal = true,
		.directory_fd = leave_directory(o),
		.clean_signals = o->reset_signals,
		.output = logging_app_output(),
		.errors = logging_app_errors(),
		.hand_on_sockets = !o->keep_descriptors,
	};
	bool is_started = spawn_run(&s) == 0;
	if (s.directory_fd)
		(void)close(s.directory_fd);
	logging_app_started();
	terminal_group = s.pid;
	if (!is_started) {
		*status = s.stage == SPAWN_EXEC ? failed_exec_status(o, &s) : o->failure_status;
		(void)spawn_explain(&s, reason, size);
		if (o->personality == AS_SHIM)
			log_at(LEVEL_FATAL, "%s", reason);
		return -1;
	}
	log_note(NOTE_SPAWNED, s.pid, 0, o->command[0]);
	(void)children_watch(s.pid, s.pidfd); /* there is room: nothing else lives this early */
	forward_start(s.pid, s.placement);
	warn_of_terminal(s.terminal_error);
	if (terminal >= 0 && o->personality == AS_SHIM)
		signals_watch_stops();
	note_handoff(handoff);
	return s.pid;
}

void app_release_inherited(const struct options *o)
{
	int fds[SIGNALS_DESCRIPTORS + LOGGING_DESCRIPTORS + 3];
	size_t count = signals_descriptors(fds, SIGNALS_DESCRIPTORS);

	count += ready_descriptors(fds + count, 1);
	count += logging_descriptors(fds + count, LOGGING_DESCRIPTORS);
	fds[count++] = termlog_descriptor();
	fds[count++] = notify_descriptor();
	if (!o->keep_descriptors)
		descriptors_close(fds, count);
	if (!o->keep_directory && !has_left_directory)
		(void)!chdir("/"); /* a nicety: where it fails, shim stays where it is */
}

/* SIGSTOP is a debugger's, and nobody would continue us for it. Ctrl-Z is for the shell that
 * started the job; PID 1 has none to go back to, and a stopped app would not hear Ctrl-C either. */
void app_suspended(const struct event *event)
{
	if (WSTOPSIG(event->status) == SIGTSTP && procs_is_init())
		(void)children_send_group(terminal_group, SIGCONT);
	if (WSTOPSIG(event->status) == SIGSTOP || procs_is_init() || !terminal_has_job_control())
		return;
	terminal_take_back(terminal, terminal_group);
	(void)kill(getpid(), SIGSTOP);
}

void app_continued(void)
{
	bool is_ours;

	if (terminal >= 0 && terminal_find(&is_ours) >= 0 && is_ours)
		(void)terminal_give(terminal, terminal_group);
}

void app_suspend(const struct options *o, int signo)
{
	int to = forward_rewrite(o, signo);

	if (to == signo && o->scope == SCOPE_SESSION)
		to = SIGSTOP;
	if (to)
		(void)forward_send(o, to);
	log_note(NOTE_SUSPENDING, 0, 0, NULL);
	(void)kill(getpid(), SIGSTOP);
}

void app_give_back_terminal(void)
{
	if (terminal >= 0 && !procs_is_init())
		terminal_take_back(terminal, terminal_group);
}
