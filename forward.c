/*
 * forward.c - who gets a signal, and as which.
 *
 * A process group is never signalled by its number once its leader has been reaped, and pid -1 is
 * used by PID 1 only, where it means the container.
 */
#include "forward.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "children.h"
#include "format.h"
#include "log.h"
#include "names.h"
#include "procs.h"
#include "status.h"

static pid_t app; /* 0: there is none */
static bool app_has_ended;
static bool leads_group;    /* the app leads a process group of its own */
static bool has_left_group; /* the app is in another one by now, and maybe not alone in its own */
static bool group_was_told; /* a stop signal reached the whole group */
static bool all_were_told;
static char refused[192]; /* why a signal could not be sent; "": it has not happened */

void forward_start(pid_t pid, enum placement placed)
{
	app = pid;
	leads_group = placed != PLACE_SAME;
}

void forward_app_ended(void)
{
	app_has_ended = true;
}

int forward_rewrite(const struct options *o, int signo)
{
	int to = o->rewrite[signo];

	if (to == signo)
		return signo;
	log_note(NOTE_REWRITTEN, signo, to, NULL);
	if (!to)
		log_note(NOTE_DROPPED, signo, 0, NULL);
	return to;
}

/* The app's process group, whether or not its leader lives. */
static int send_group(int signo)
{
	if (!leads_group) {
		if (!app_has_ended)
			return kill(app, signo);
		errno = ESRCH;
		return -1;
	}
	int result = procs_send_group(app, signo);
	/* Nobody is left in the group, and the app lives: it has moved to another one. */
	if (app && !app_has_ended && (has_left_group || (result < 0 && errno == ESRCH)))
		return kill(app, signo);
	return result;
}

/* Those that an app which goes to another group leaves behind hide that it was not reached. Asked
 * at a stop only: for each signal it would be one system call more. */
static void find_app(void)
{
	pid_t group = leads_group && app && !app_has_ended ? getpgid(app) : -1;

	has_left_group = group > 0 && group != app;
}

/* Everything but shim and its helpers. kill(2) reaches all at one instant, so that nobody forks out
 * of it; the walk is for when somebody is to be left out. Without /proc better too many than none.
 */
static int send_all(int signo, pid_t except)
{
	if (procs_is_init() && !except && !procs_spares_any())
		return kill(-1, signo);
	int reached = procs_signal(signo, except);
	if (reached < 0 && procs_is_init())
		return kill(-1, signo);
	if (reached < 0)
		return send_group(signo);
	errno = ESRCH;
	return reached ? 0 : -1;
}

static int send_scope(const struct options *o, int signo)
{
	if (!app && !app_has_ended) {
		errno = ESRCH;
		return -1;
	}
	if (app_has_ended && procs_is_init())
		return send_all(signo, 0);
	if (app_has_ended) {
		bool is_group_left = send_group(signo) == 0;
		bool are_others_left = procs_signal(signo, leads_group ? app : 0) > 0;
		errno = ESRCH;
		return is_group_left || are_others_left ? 0 : -1;
	}
	switch (o->scope) {
	case SCOPE_CHILD:
		return kill(app, signo);
	case SCOPE_GROUP:
	case SCOPE_SESSION:
		return send_group(signo);
	case SCOPE_ALL:
		return send_all(signo, 0);
	}
	return 0;
}

/* Whose process it is, if that can be told: " (the app runs as uid 65534 …)". */
static const char *explain_refusal(char *buf, size_t size)
{
	char path[32];
	struct stat st;

	(void)format_text(path, sizeof path, "/proc/%d", (int)app);
	if (stat(path, &st) < 0)
		(void)format_text(buf, size, " (is CAP_KILL missing?)");
	else
		(void)format_text(buf, size,
			" (the app runs as uid %u, shim as %u: CAP_KILL is missing)",
			(unsigned)st.st_uid, (unsigned)geteuid());
	return buf;
}

/* EPERM is the usual one: an app of another uid, and CAP_KILL dropped. Said once: each signal would
 * be refused alike. */
static void complain(int signo, int error)
{
	char reason[96] = "", name[SIGNAL_NAME_SIZE];

	if (error == ESRCH) {
		log_note(NOTE_FORWARD_GONE, signo, 0, NULL);
		return;
	}
	if (*refused)
		return;
	if (error == EPERM)
		(void)explain_refusal(reason, sizeof reason);
	(void)format_text(refused, sizeof refused, "cannot pass on %s: %s%s",
		signal_name(signo, name), error_text(error), reason);
	log_note(NOTE_FORWARD_FAILED, signo, error, reason);
}

const char *forward_refused(void)
{
	return *refused ? refused : NULL;
}

int forward_send(const struct options *o, int signo)
{
	log_note(NOTE_FORWARDING, signo, 0, NULL);
	int result = send_scope(o, signo);
	if (result == 0)
		status_count(COUNT_SIGNALS);
	int error = errno;
	if (result < 0)
		complain(signo, error);
	log_note(NOTE_FORWARDED, signo, 0, NULL);
	errno = error;
	return result;
}

void forward_stop(const struct options *o, int signo)
{
	find_app();
	if (forward_send(o, signo) == 0) {
		all_were_told = all_were_told || o->scope == SCOPE_ALL;
		group_was_told = group_was_told || o->scope != SCOPE_CHILD;
	}
	if (signo != SIGCONT && app && !app_has_ended && children_is_stopped(app))
		(void)send_scope(o, SIGCONT);
}

void forward_continue(const struct options *o)
{
	int reached = 0;

	if (o->scope == SCOPE_ALL)
		reached = procs_signal_group(SIGCONT, 0, true);
	else if (o->scope != SCOPE_CHILD && app && leads_group)
		reached = procs_signal_group(SIGCONT, app, true);
	else if (app && !app_has_ended)
		reached = procs_continue(app); /* where waitid(2) is refused */
	if (reached < 0) /* no /proc: better one too many than a stop that nobody can act on */
		(void)send_scope(o, SIGCONT);
}

void forward_rest(int signo)
{
	if (all_were_told)
		return;
	if (!procs_is_init()) {
		if (!group_was_told)
			(void)send_group(signo);
		(void)procs_signal(signo, leads_group ? app : 0);
		return;
	}
	(void)send_all(signo, group_was_told && leads_group ? app : 0);
}

void forward_continue_rest(void)
{
	(void)procs_signal_group(SIGCONT, 0, true);
}

void forward_unwrapped(const struct options *o, int signo)
{
	/* As orphans they are shim's. What is below them is theirs to stop: --scope child says so.
	 */
	if (o->scope != SCOPE_CHILD || procs_signal_children(signo) < 0)
		forward_rest(signo);
}

void forward_last(int signo)
{
	if (leads_group)
		(void)send_group(signo);
	log_note(NOTE_FORWARDED, signo, 0, NULL);
}

void forward_kill(void)
{
	if (procs_is_init()) {
		(void)send_all(SIGKILL, 0);
		return;
	}
	if (app)
		(void)send_group(SIGKILL);
	(void)procs_signal(SIGKILL, 0);
}
