/*
 * shim.c - what happens next: the life of a container as one table.
 *
 * options -> wait -> start -> events -> stop -> reason -> exit. Everything else is asked of a
 * module and comes back as an event; only this file knows the phase, and only this file ends the
 * process.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compat.h"
#include "descriptors.h"
#include "forward.h"
#include "install.h"
#include "log.h"
#include "options.h"
#include "outcome.h"
#include "procs.h"
#include "shim.h"
#include "signals.h"
#include "spawn.h"
#include "terminal.h"
#include "termlog.h"
#include "util.h"

enum phase { WAITING, PREPARING, STARTING, RUNNING, DRAINING, STOPPING, FINISHING, DONE, PHASES };

/* What an event means to the lifecycle. */
enum occasion {
	ON_STOP,      /* the first stop signal */
	ON_AGAIN,     /* one more of them */
	ON_SIGNAL,    /* any other signal */
	ON_SUSPENDED, /* the app was stopped (SIGSTOP, Ctrl-Z) */
	ON_ENDED,     /* the app has ended */
	ON_EMPTY,     /* no process is left */
	ON_DEADLINE,  /* the phase's time is over */
	ON_LOST,      /* the app is gone without a status */
	OCCASIONS
};

static const char *const phase_names[] = {
	[WAITING] = "waiting",
	[PREPARING] = "preparing",
	[STARTING] = "starting",
	[RUNNING] = "running",
	[DRAINING] = "draining",
	[STOPPING] = "stopping",
	[FINISHING] = "finishing",
	[DONE] = "done",
};
static const char *const occasion_names[] = {
	[ON_STOP] = "stop signal",
	[ON_AGAIN] = "another stop signal",
	[ON_SIGNAL] = "signal",
	[ON_SUSPENDED] = "app suspended",
	[ON_ENDED] = "app ended",
	[ON_EMPTY] = "all ended",
	[ON_DEADLINE] = "time over",
	[ON_LOST] = "app lost",
};
_Static_assert(sizeof phase_names / sizeof *phase_names == PHASES, "every phase has a name");
_Static_assert(sizeof occasion_names / sizeof *occasion_names == OCCASIONS, "and every occasion");
_Static_assert((int)PHASES <= (int)TERMLOG_PHASES, "the message has room for all phases");

static struct options o;
static struct termlog_facts facts;
static enum phase phase;
static int64_t entered_ns;       /* when the phase began */
static int64_t deadline_ns = -1; /* of the phase; < 0: none */
static int64_t kill_ns = -1;     /* the end of the time budget, once a stop was asked for */
static pid_t app;                /* 0: not started, or none at all */
static int terminal = -1;        /* the one whose foreground was handed to the app, or could be */
static int sent_stop_signal;     /* what the app was told to stop with; 0: nothing yet */
static bool is_lingering;

/* --- what the actions are made of --- */

/* The time budget starts with the first stop signal and is never extended. */
static void begin_stop(int signo)
{
	facts.stop_signal = signo;
	facts.stop_ns = clock_now_ns();
	if (o.grace_ns >= 0)
		kill_ns = facts.stop_ns + outcome_kill_after_ns(o.grace_ns);
}

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
	if (a_ns < 0 || b_ns < 0)
		return a_ns < 0 ? b_ns : a_ns;
	return a_ns < b_ns ? a_ns : b_ns;
}

/* --- actions: what a cell of the table does; each returns the phase that follows --- */

static enum phase stay(const struct event *event)
{
	(void)event;
	return phase;
}

/* A cell that cannot be reached: said, and survived. */
static enum phase bug(const struct event *event)
{
	log_at(LEVEL_WARN, "internal error: event %d while %s", (int)event->kind,
		phase_names[phase]);
	return phase;
}

static enum phase stop(const struct event *event)
{
	begin_stop(event->signo);
	return DRAINING;
}

/* dumb-init stops the app for real when it is asked to stop for the terminal, and itself with it.
 */
static void forward_suspension(int signo)
{
	int to = forward_rewrite(&o, signo);

	if (to == signo && o.scope == SCOPE_SESSION)
		to = SIGSTOP;
	if (to)
		(void)forward_send(&o, to);
	log_note(NOTE_SUSPENDING, 0, 0, NULL);
	(void)kill(getpid(), SIGSTOP);
}

static enum phase pass_on(const struct event *event)
{
	int signo = event->signo;

	if (o.stop_with_app && (signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU)) {
		forward_suspension(signo);
		return phase;
	}
	if (signo == SIGCONT && terminal >= 0) {
		bool is_ours;
		/* The shell above has continued us (fg): what it gave us belongs to the app. */
		if (terminal_find(&is_ours) >= 0 && is_ours)
			(void)terminal_give(terminal, app);
	}
	int to = forward_rewrite(&o, signo);
	if (to)
		(void)forward_send(&o, to);
	return phase;
}

/* Somebody pressed Ctrl-Z, and a shell with job control waits for us, not for the app. */
static enum phase suspend_with_app(const struct event *event)
{
	if (WSTOPSIG(event->status) == SIGSTOP || !terminal_has_job_control())
		return phase;
	terminal_take_back(terminal, app);
	(void)kill(getpid(), SIGSTOP);
	return phase;
}

static enum phase end(const struct event *event)
{
	facts.ended = true;
	facts.ended_ns = clock_now_ns();
	facts.status = event->status;
	forward_app_ended();
	if (WIFEXITED(event->status))
		log_note(NOTE_APP_EXITED, WEXITSTATUS(event->status), 0, NULL);
	else
		log_note(NOTE_APP_KILLED, WTERMSIG(event->status), WCOREDUMP(event->status) ? 1 : 0,
			NULL);
	return FINISHING;
}

static enum phase lose(const struct event *event)
{
	(void)event;
	facts.failure = "the app's exit status was lost";
	log_at(LEVEL_FATAL, "%s", facts.failure);
	return DONE;
}

/* The grace period is spent. The platform would kill PID 1 next and the reason would be lost, so
 * the last words come first. */
static enum phase run_out_of_time(const struct event *event)
{
	(void)event;
	facts.out_of_time = true;
	facts.exit_code = outcome_status(&o, &facts, sent_stop_signal);
	(void)procs_names(facts.survivors, sizeof facts.survivors);
	termlog_write(&facts, false);
	log_note(NOTE_OUT_OF_TIME, (long)((clock_now_ns() - facts.stop_ns) / NS_PER_MS), 0,
		facts.survivors);
	forward_kill();
	return DONE;
}

static enum phase leave(const struct event *event)
{
	(void)event;
	return DONE;
}

/* The app has ended, others have not. First they are told, then they are waited for. */
static enum phase linger(const struct event *event)
{
	int64_t now_ns = clock_now_ns();

	if (is_lingering && deadline_ns == kill_ns)
		return run_out_of_time(event);
	if (o.linger_ns == 0 && !o.until_empty)
		return DONE;
	if (is_lingering) {
		if (procs_names(facts.survivors, sizeof facts.survivors) > 0)
			log_note(NOTE_LEFT_BEHIND, 0, 0, facts.survivors);
		forward_kill();
		return DONE;
	}
	is_lingering = true;
	deadline_ns = kill_ns;
	if (o.until_empty && !facts.stop_signal)
		return phase;
	forward_rest(SIGTERM);
	deadline_ns = earlier(now_ns + o.linger_ns, kill_ns);
	return phase;
}

/* --until-empty: what is left is the app. */
static enum phase stop_rest(const struct event *event)
{
	if (!o.until_empty)
		return pass_on(event);
	begin_stop(event->signo);
	deadline_ns = kill_ns;
	sent_stop_signal = o.stop_signal ? o.stop_signal : forward_rewrite(&o, event->signo);
	(void)forward_send(&o, sent_stop_signal);
	return phase;
}

/* --- the table --- */

static enum phase (*const table[PHASES][OCCASIONS])(const struct event *event) =
	{
		[WAITING] = {bug, bug, bug, bug, bug, bug, bug, bug},
		[PREPARING] = {bug, bug, bug, bug, bug, bug, bug, bug},
		[STARTING] = {bug, bug, bug, bug, bug, bug, bug, bug},
		[RUNNING] =
			{
				[ON_STOP] = stop,
				[ON_AGAIN] = bug,
				[ON_SIGNAL] = pass_on,
				[ON_SUSPENDED] = suspend_with_app,
				[ON_ENDED] = end,
				[ON_EMPTY] = bug,
				[ON_DEADLINE] = bug,
				[ON_LOST] = lose,
			},
		[DRAINING] = {bug, bug, bug, bug, bug, bug, bug, bug},
		[STOPPING] =
			{
				[ON_STOP] = bug,
				[ON_AGAIN] = pass_on,
				[ON_SIGNAL] = pass_on,
				[ON_SUSPENDED] = stay,
				[ON_ENDED] = end,
				[ON_EMPTY] = bug,
				[ON_DEADLINE] = run_out_of_time,
				[ON_LOST] = lose,
			},
		[FINISHING] =
			{
				[ON_STOP] = stop_rest,
				[ON_AGAIN] = pass_on,
				[ON_SIGNAL] = pass_on,
				[ON_SUSPENDED] = stay,
				[ON_ENDED] = bug,
				[ON_EMPTY] = leave,
				[ON_DEADLINE] = linger,
				[ON_LOST] = leave,
			},
		[DONE] = {bug, bug, bug, bug, bug, bug, bug, bug},
};

/* --- entering a phase: each returns the phase that follows, itself to stay in it --- */

static enum phase enter_waiting(void)
{
	return PREPARING;
}

static enum phase enter_preparing(void)
{
	return STARTING;
}

/* Why the app could not be started is the last thing there is to say. */
static enum phase fail_to_start(const struct spawn *s)
{
	static char reason[1024];

	(void)spawn_explain(s, reason, sizeof reason);
	facts.failure = reason;
	facts.exit_code = s->stage == SPAWN_EXEC ? compat_exec_status(o.personality, s->error)
						 : o.failure_status;
	if (o.personality == AS_SHIM)
		log_at(LEVEL_FATAL, "%s", reason);
	return DONE;
}

static void warn_of_terminal(int error)
{
	if (error && error != ENOTTY && error != ENXIO && error != EBADF && error != EPERM)
		log_note(NOTE_FOREGROUND_FAILED, error, 0, NULL);
}

/* The app has what was inherited; shim lets go of it, so as not to keep a socket or a mount busy.
 */
static void let_go(void)
{
	int keep[SIGNALS_CHILDREN + 2];
	size_t count = signals_descriptors(keep, SIGNALS_CHILDREN + 1);

	keep[count++] = termlog_descriptor();
	if (!o.keep_descriptors)
		descriptors_close(keep, count);
	if (!o.keep_directory)
		(void)!chdir("/"); /* a nicety: where it fails, shim stays where it is */
}

static enum phase enter_starting(void)
{
	bool is_ours = false;
	uint64_t handoff = 0;

	if (!o.command) {
		let_go();
		return RUNNING;
	}
	if (o.placement == PLACE_GROUP)
		terminal = terminal_find(&is_ours);
	if (o.placement == PLACE_SESSION)
		handoff = terminal_detach();

	struct spawn s = {
		.argv = o.command,
		.placement = o.placement,
		.terminal = is_ours ? terminal : -1,
		.attach_terminal = true,
		.clean_signals = o.reset_signals,
		.hand_on_sockets = !o.keep_descriptors,
	};
	facts.started_ns = clock_now_ns();
	facts.started_wall_ns = clock_wall_ns();
	if (spawn_run(&s) < 0) {
		facts.started_ns = 0;
		return fail_to_start(&s);
	}
	app = s.pid;
	log_note(NOTE_SPAWNED, app, 0, o.command[0]);
	(void)signals_watch(app, s.pidfd); /* the list is empty: there is room */
	forward_start(app, s.placement);
	warn_of_terminal(s.terminal_error);
	if (terminal >= 0 && !procs_is_init() && o.personality == AS_SHIM)
		signals_watch_stops();
	for (int signo = 1; signo <= SIGCONT; signo++)
		if (handoff & SIGNAL_BIT(signo)) {
			log_note(NOTE_SIGNAL, signo, 0, NULL);
			log_note(NOTE_HANDOFF_SIGNAL, signo, 0, NULL);
		}
	let_go();
	return RUNNING;
}

static enum phase enter_running(void)
{
	return RUNNING;
}

static enum phase enter_draining(void)
{
	return STOPPING;
}

static enum phase enter_stopping(void)
{
	if (!app)
		return FINISHING;
	sent_stop_signal = o.stop_signal ? o.stop_signal : forward_rewrite(&o, facts.stop_signal);
	forward_stop(&o, sent_stop_signal);
	deadline_ns = kill_ns;
	termlog_write(&facts, false);
	return STOPPING;
}

/* First a look, whether anybody is left at all. */
static enum phase enter_finishing(void)
{
	if (o.term_at_end) {
		int signo = forward_rewrite(&o, SIGTERM);
		if (signo)
			forward_last(signo);
	}
	signals_want_empty();
	deadline_ns = 0;
	return FINISHING;
}

static enum phase enter_done(void)
{
	return DONE;
}

static enum phase (*const entries[PHASES])(void) = {
	[WAITING] = enter_waiting,
	[PREPARING] = enter_preparing,
	[STARTING] = enter_starting,
	[RUNNING] = enter_running,
	[DRAINING] = enter_draining,
	[STOPPING] = enter_stopping,
	[FINISHING] = enter_finishing,
	[DONE] = enter_done,
};

/* Goes on to the next phase, and from there as far as it leads at once. why: what made it. */
static void move_on(enum phase next, const char *why)
{
	char line[96];

	while (next != phase) {
		int64_t now_ns = clock_now_ns();
		(void)format_text(line, sizeof line, "%s%s%s -> %s", phase_names[phase],
			*why ? " + " : "", why, phase_names[next]);
		log_note(NOTE_LIFECYCLE, 0, 0, line);
		facts.phase_names[phase] = phase_names[phase];
		facts.phase_ns[phase] += now_ns - entered_ns;
		entered_ns = now_ns;
		deadline_ns = -1;
		phase = next;
		facts.phase = phase_names[phase];
		next = entries[phase]();
		why = "";
	}
}

/* --- the loop --- */

static enum occasion classify_signal(int signo)
{
	if (!(o.stop_on & SIGNAL_BIT(signo)) || (!o.stop_signal && o.rewrite[signo] == 0))
		return ON_SIGNAL;
	return facts.stop_signal ? ON_AGAIN : ON_STOP;
}

static enum occasion classify(const struct event *event)
{
	switch (event->kind) {
	case EVENT_SIGNAL:
		return classify_signal(event->signo);
	case EVENT_EXIT:
		return ON_ENDED;
	case EVENT_STOPPED:
		return ON_SUSPENDED;
	case EVENT_EMPTY:
		return ON_EMPTY;
	case EVENT_DEADLINE:
		return ON_DEADLINE;
	case EVENT_LOST:
		break;
	}
	return ON_LOST;
}

static void step(const struct event *event)
{
	if (event->kind == EVENT_SIGNAL && (o.swallow & SIGNAL_BIT(event->signo)))
		return;
	enum occasion occasion = classify(event);
	move_on(table[phase][occasion](event), occasion_names[occasion]);
}

/* --- before and after --- */

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

/* Reads the command line as the name that shim was called by asks for. -1 to go on, or the exit
 * status. */
static int read_command_line(int argc, char **argv)
{
	char error[512];

	options_defaults(&o);
	o.personality = compat_personality(argv[0]);
	if (o.personality != AS_SHIM)
		return compat_parse(&o, argc, argv);

	enum verdict verdict =
		options_parse(&o, argv, take_variable("SHIM_OPTS"), error, sizeof error);
	log_init(NULL, (enum level)o.verbosity);
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
		return install_copy(o.install_dir);
	case VERDICT_BAD:
		break;
	}
	log_at(LEVEL_FATAL, "%s", error);
	return EXIT_SHIM;
}

/* Being handed the orphans, when that does not come by itself. */
static void become_reaper(void)
{
	int is_reaper = 0;

	if (o.subreaper) {
		if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
			log_note(NOTE_SUBREAPER, 0, 0, NULL);
		else
			log_note(NOTE_SUBREAPER_FAILED, errno, 0, NULL);
		return;
	}
	if (o.quiet_when_not_init || procs_is_init())
		return;
	if (prctl(PR_GET_CHILD_SUBREAPER, &is_reaper, 0, 0, 0) < 0 || !is_reaper)
		log_note(NOTE_NOT_INIT, 0, 0, NULL);
}

/* PR_SET_PDEATHSIG is too late when the parent died just before: then the signal is ours to send.
 */
static void follow_parent(void)
{
	pid_t parent = getppid();

	if (prctl(PR_SET_PDEATHSIG, o.parent_death_signal, 0, 0, 0) < 0)
		log_at(LEVEL_WARN, "--parent-death: %s", error_text(errno));
	else if (getppid() != parent)
		(void)kill(getpid(), o.parent_death_signal);
}

static void prepare(void)
{
	const char *reaping = getenv("SHIM_TEST_REAPING");

	if (o.parent_death_signal)
		follow_parent();
	become_reaper();
	if (!o.termination_none)
		termlog_open(&o);
	/* Debug output tells of each orphan, so each has to be seen. */
	signals_set_reaping(!log_prints(LEVEL_DEBUG) && !(reaping && strcmp(reaping, "plain") == 0),
		o.warn_reap);
	facts.exit_code = -1;
	facts.memory_limit = -1;
	facts.app = o.command ? base_name(o.command[0]) : NULL;
	entered_ns = clock_now_ns();
}

static int finish(void)
{
	if (facts.exit_code < 0)
		facts.exit_code =
			facts.failure ? EXIT_SHIM : outcome_status(&o, &facts, sent_stop_signal);
	termlog_write(&facts, true);
	if (terminal >= 0 && !procs_is_init())
		terminal_take_back(terminal, app);
	log_note(NOTE_LEAVING, facts.exit_code, 0, NULL);
	return facts.exit_code;
}

int main(int argc, char **argv)
{
	struct event event;
	enum personality name = compat_personality(argv[0]);

	signals_init(name == AS_SHIM || name == AS_DUMB_INIT);
	int status = read_command_line(argc, argv);
	if (status >= 0)
		_exit(status);
	prepare();
	move_on(PREPARING, "");
	while (phase != DONE) {
		signals_next(deadline_ns, &event);
		step(&event);
	}
	_exit(finish());
}
