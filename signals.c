/*
 * signals.c - the only place where PID 1 waits.
 *
 * Two ways to wait, one behind the other. The plain one, here, is rt_sigtimedwait(2) and wait4(2):
 * a signal costs one call, and SIGCHLD leads to a round of reaping. On Linux 6.15 the first orphan
 * switches to the other one (autoreap.h), where the kernel reaps. The switch is made that late
 * because the plain way starts with fewer system calls and passes signals on faster, and most
 * containers never see an orphan.
 */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "autoreap.h"
#include "children.h"
#include "log.h"
#include "messages.h"
#include "status.h"
#include "util.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* the same on every architecture */
#endif

#define ALL_SIGNALS UINT64_MAX
#define FAULTS                                                                                     \
	(SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) |      \
		SIGNAL_BIT(SIGABRT) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGSYS))

static const struct timespec at_once;

static uint64_t taken; /* the signals that are blocked and waited for */
static uint64_t inherited_mask;
static bool inherited_chld_ignored;
static bool reap_pending; /* an end was announced and not yet looked for */
static int stops_wanted;  /* WUNTRACED | WCONTINUED, or 0 */
static bool empty_wanted;
static bool orphans_are_said;
static unsigned signals_in_a_row;
static uint64_t heard; /* which they were, since the last look at the others */

int signals_init(bool take_faults)
{
	struct sigaction old;

	taken = take_faults ? ALL_SIGNALS : ALL_SIGNALS & ~FAULTS;
	if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &taken, &inherited_mask, sizeof taken) < 0)
		return -1;
	if (sigaction(SIGCHLD, NULL, &old) == 0 && old.sa_handler == SIG_IGN) {
		inherited_chld_ignored = true;
		(void)signal(SIGCHLD, SIG_DFL);
	}
	return 0;
}

void signals_set_reaping(bool kernel_may, bool say_orphans)
{
	autoreap_allow(kernel_may && !say_orphans);
	orphans_are_said = say_orphans;
}

void signals_restore_inherited(void)
{
	if (inherited_chld_ignored || autoreap_is_on())
		(void)signal(SIGCHLD, inherited_chld_ignored ? SIG_IGN : SIG_DFL);
	(void)syscall(
		SYS_rt_sigprocmask, SIG_SETMASK, &inherited_mask, NULL, sizeof inherited_mask);
}

void signals_restore_clean(void)
{
	/* All zeroes are SIG_DFL, no flags and an empty mask in every architecture's kernel layout;
	 * libc's sigaction would refuse 32 to 34. */
	static const unsigned long by_default[16];
	static const uint64_t none;

	for (int signo = 1; signo <= SIGNAL_LAST; signo++)
		(void)syscall(SYS_rt_sigaction, signo, by_default, NULL, sizeof none);
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

void signals_watch_stops(void)
{
	stops_wanted = WUNTRACED | WCONTINUED;
	autoreap_allow(false);
}

size_t signals_descriptors(int *fds, size_t max)
{
	size_t count = 0;

	if (autoreap_is_on() && max)
		fds[count++] = autoreap_descriptor();
	return count + children_descriptors(fds + count, max - count);
}

static void reap_ourselves(void)
{
	autoreap_end();
	reap_pending = true;
}

/* Only the plain way tells when the last child is gone. */
void signals_want_empty(void)
{
	empty_wanted = true;
	reap_ourselves();
}

pid_t signals_fork(void)
{
	bool kernel_reaps = autoreap_pause();
	pid_t pid = _Fork();

	if (pid == 0) {
		autoreap_end();
		return 0;
	}
	int error = errno;
	bool needs_pidfd = pid > 0 && autoreap_needs_pidfds();
	int pidfd = needs_pidfd ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (pid > 0 && children_watch(pid, pidfd) < 0) {
		(void)kill(pid, SIGKILL); /* too many; it is an orphan to us then */
		if (pidfd >= 0)
			(void)close(pidfd);
		error = EAGAIN;
		pid = -1;
	}
	if (kernel_reaps) {
		if (pidfd >= 0 || pid < 0)
			autoreap_go_on();
		else
			autoreap_end();
		reap_pending = true;
	}
	errno = error;
	return pid;
}

/* tini says so of SIGCHLD only. */
static void note_signal(int signo)
{
	log_note(NOTE_SIGNAL, signo, 0, NULL);
	if (signo == SIGCHLD)
		log_note(NOTE_CHILD_SIGNAL, 0, 0, NULL);
}

static void note_reaped(pid_t pid, int status)
{
	if (WIFEXITED(status))
		log_note(NOTE_REAPED_EXITED, pid, WEXITSTATUS(status), NULL);
	else if (WIFSIGNALED(status))
		log_note(NOTE_REAPED_KILLED, pid, WTERMSIG(status), NULL);
}

static void note_orphan(pid_t pid, int status)
{
	note_reaped(pid, status);
	if (WIFEXITED(status))
		log_note(NOTE_ORPHAN_EXITED, pid, WEXITSTATUS(status), NULL);
	else if (WIFSIGNALED(status))
		log_note(NOTE_ORPHAN_KILLED, pid, WTERMSIG(status), NULL);
	if (orphans_are_said)
		log_note(NOTE_ORPHAN_REAPED, pid, 0, NULL);
	status_count(COUNT_ORPHANS);
}

/* wait4() found no children at all. */
static bool none_left(struct event *event)
{
	/* While the kernel reaps this is the normal case: the pidfds tell the rest. */
	struct child *lost = autoreap_is_on() ? NULL : children_next_living(NULL);

	log_note(NOTE_NO_CHILD, 0, 0, NULL);
	if (lost) {
		lost->has_ended = true;
		*event = (struct event){.kind = EVENT_LOST, .pid = lost->pid};
		return true;
	}
	reap_pending = false;
	if (!empty_wanted)
		return false;
	empty_wanted = false;
	*event = (struct event){.kind = EVENT_EMPTY};
	return true;
}

/* What wait4() has told. True when it is an event: the end of a watched child, or its stop. */
static bool take_status(pid_t pid, int status, struct event *event)
{
	struct child *child = children_find_living(pid);

	if (!child)
		return false;
	child->is_stopped = WIFSTOPPED(status);
	child->has_ended = !WIFSTOPPED(status) && !WIFCONTINUED(status);
	*event = (struct event){.kind = child->has_ended ? EVENT_EXIT : EVENT_STOPPED,
		.pid = pid,
		.status = status};
	return !WIFCONTINUED(status);
}

/* Reaps what has ended. True when that is an event; the rest is left for the next call. */
static bool reap(struct event *event)
{
	bool fewer = false;

	for (;;) {
		int status;
		pid_t pid = wait4(-1, &status, WNOHANG | stops_wanted, NULL);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0 && errno == ECHILD)
			return none_left(event);
		if (pid <= 0) { /* < 0: refused, which does not mean that there is nobody */
			log_note(NOTE_NONE_TO_REAP, 0, 0, NULL);
			reap_pending = false;
			*event = (struct event){.kind = fewer ? EVENT_FEWER : EVENT_DEADLINE};
			return fewer;
		}
		if (take_status(pid, status, event))
			return true;
		if (WIFSTOPPED(status) || WIFCONTINUED(status))
			continue;
		note_orphan(pid, status);
		fewer = empty_wanted;
		autoreap_begin(taken & ~SIGNAL_BIT(SIGCHLD));
	}
}

/* How long to wait, for a call that takes a relative time. NULL: for ever. */
static struct timespec *time_left(int64_t deadline_ns, struct timespec *left)
{
	if (deadline_ns < 0)
		return NULL;
	int64_t ns = deadline_ns - clock_now_ns();
	if (ns < 0)
		ns = 0;
	*left = (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = (long)(ns % NS_PER_S)};
	return left;
}

/*
 * Takes one signal of set, waiting for it at most as long as left says (NULL: for ever). True when
 * there is an event: SIGCHLD is none, but that the time was over is. EINTR: shim was stopped and
 * continued, or traced.
 */
static bool take_signal(uint64_t set, const struct timespec *left, struct event *event)
{
	siginfo_t info;
	int signo = (int)syscall(SYS_rt_sigtimedwait, &set, &info, left, sizeof set);

	*event = (struct event){.kind = EVENT_DEADLINE};
	if (signo < 0)
		return errno == EAGAIN;
	note_signal(signo);
	if (signo == SIGCHLD) {
		reap_pending = true;
		return false;
	}
	bool is_message = signo == MESSAGE_SIGNAL && info.si_code == MESSAGE_CODE;
	*event = (struct event){.kind = is_message ? EVENT_MESSAGE : EVENT_SIGNAL,
		.signo = signo,
		.sender = info.si_code <= 0 ? info.si_pid : 0,
		.status = info.si_value.sival_int};
	return true;
}

/* One that is pending, and no SIGCHLD. */
static bool take_pending(uint64_t set, struct event *event)
{
	return take_signal(set & ~SIGNAL_BIT(SIGCHLD), &at_once, event) &&
	       event->kind != EVENT_DEADLINE;
}

/* Whichever way it is. True when there is an event. */
static bool wait_for_any(int64_t deadline_ns, struct event *event)
{
	struct timespec space, *left = time_left(deadline_ns, &space);

	if (!autoreap_is_on())
		return take_signal(taken, left, event);
	enum autoreap_news news = autoreap_wait(left, event);
	if (!autoreap_is_on())
		reap_pending = true; /* it has given up */
	return news == AUTOREAP_SIGNAL ? take_pending(taken, event) : news == AUTOREAP_EVENT;
}

/*
 * Somebody may send signals faster than they can be passed on. The kernel hands out the lowest
 * number first, so SIGCHLD or the stop signal might never come, and no wait would ever end for its
 * deadline: hence a look at the children and at the other signals now and then, and a deadline that
 * has come is told after one signal more.
 */
static bool is_overdue(int64_t deadline_ns)
{
	return signals_in_a_row && deadline_ns > 0 && clock_now_ns() >= deadline_ns;
}

static bool is_flooded(void)
{
	enum { LOOK_EVERY = 256 };

	return signals_in_a_row && signals_in_a_row % LOOK_EVERY == 0;
}

/* One that none of the flood is. */
static bool take_unheard(struct event *event)
{
	uint64_t unheard = taken & ~heard;

	heard = 0;
	return take_pending(unheard, event);
}

static void next_event(int64_t deadline_ns, struct event *event)
{
	bool overdue = is_overdue(deadline_ns);

	*event = (struct event){.kind = EVENT_DEADLINE};
	if (is_flooded()) {
		reap_pending = reap_pending || !autoreap_is_on();
		if (take_unheard(event))
			return;
	}
	for (;;) {
		if (autoreap_find_unseen(event))
			return;
		if (reap_pending && reap(event))
			return;
		if (deadline_ns == 0 || overdue)
			return;
		if (wait_for_any(deadline_ns, event))
			return;
	}
}

void signals_next(int64_t deadline_ns, struct event *event)
{
	next_event(deadline_ns, event);
	if (event->kind == EVENT_EXIT)
		note_reaped(event->pid, event->status);
	bool is_signal = event->kind == EVENT_SIGNAL || event->kind == EVENT_MESSAGE;
	signals_in_a_row = is_signal ? signals_in_a_row + 1 : 0;
	if (is_signal)
		heard |= SIGNAL_BIT(event->signo);
}

uint64_t signals_take_pending(uint64_t set)
{
	uint64_t had = 0;
	long signo;

	while ((signo = syscall(SYS_rt_sigtimedwait, &set, NULL, &at_once, sizeof set)) > 0)
		had |= SIGNAL_BIT(signo);
	return had;
}
