/*
 * signals.c - the only place where PID 1 waits.
 *
 * Two ways to wait, one behind the other. The plain one is rt_sigtimedwait(2) and wait4(2): a
 * signal costs one call, and SIGCHLD leads to a round of reaping. On Linux 6.15 the first orphan
 * switches to the other: SIGCHLD is ignored, so the kernel reaps orphans without waking anybody,
 * and our own children are held by pidfd, which still tells their status then (PIDFD_GET_INFO). The
 * switch is made that late because the plain way starts with fewer system calls and passes signals
 * on faster, and most containers never see an orphan.
 */
#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "messages.h"
#include "status.h"
#include "util.h"

/* From linux/pidfd.h of 6.15, which build machines do not have yet. */
struct pidfd_info_64 {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ids[8];
	int32_t exit_code;
};
#define PIDFD_GET_INFO_64   _IOWR(0xFF, 11, struct pidfd_info_64)
#define PIDFD_INFO_EXIT_BIT (UINT64_C(1) << 3)
#define PIDFD_SIGNAL_GROUP  (1U << 2) /* Linux 6.9 */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* the same on every architecture */
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424 /* the same on every architecture */
#endif
_Static_assert(sizeof(struct pidfd_info_64) == 64, "PIDFD_INFO_SIZE_VER0");

#define ALL_SIGNALS UINT64_MAX
#define FAULTS                                                                                     \
	(SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) |      \
		SIGNAL_BIT(SIGABRT) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGSYS))

struct child {
	pid_t pid; /* 0: a free slot */
	int pidfd;
	bool ended;
	bool stopped; /* that was told, so the kernel does not tell it again */
};

static uint64_t taken; /* the signals that are blocked and waited for */
static uint64_t inherited_mask;
static bool inherited_chld_ignored;
static struct child children[SIGNALS_CHILDREN];
static size_t child_slots;  /* slots in use, holes included */
static bool pidfds_pending; /* the kernel reaped until now: somebody may have gone unseen */
static bool reap_pending;   /* an end was announced and not yet looked for */
static int stops_wanted;    /* WUNTRACED | WCONTINUED, or 0 */
static bool empty_wanted;
static bool kernel_reaping_allowed;
static bool orphans_are_said;
static int signal_fd = -1; /* open while the kernel reaps */
static unsigned signals_in_a_row;
static uint64_t heard; /* which they were, since the last look at the others */

static void set_sigchld(void (*disposition)(int))
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = disposition;
	(void)sigaction(SIGCHLD, &action, NULL); /* cannot fail for SIGCHLD */
}

int signals_init(bool take_faults)
{
	struct sigaction old;

	taken = take_faults ? ALL_SIGNALS : ALL_SIGNALS & ~FAULTS;
	if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &taken, &inherited_mask, sizeof taken) < 0)
		return -1;
	if (sigaction(SIGCHLD, NULL, &old) == 0 && old.sa_handler == SIG_IGN) {
		inherited_chld_ignored = true;
		set_sigchld(SIG_DFL);
	}
	return 0;
}

void signals_set_reaping(bool kernel_may, bool say_orphans)
{
	kernel_reaping_allowed = kernel_may && !say_orphans;
	orphans_are_said = say_orphans;
}

void signals_restore_inherited(void)
{
	if (inherited_chld_ignored || signal_fd >= 0)
		set_sigchld(inherited_chld_ignored ? SIG_IGN : SIG_DFL);
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

static struct child *find_child(pid_t pid)
{
	for (size_t i = 0; i < child_slots; i++)
		if (children[i].pid == pid)
			return &children[i];
	return NULL;
}

int signals_watch(pid_t pid, int pidfd)
{
	struct child *slot = find_child(0);

	if (!slot) {
		if (child_slots == SIGNALS_CHILDREN)
			return -1;
		slot = &children[child_slots++];
	}
	*slot = (struct child){.pid = pid, .pidfd = pidfd};
	return 0;
}

bool signals_has_ended(pid_t pid)
{
	struct child *child = find_child(pid);

	return child && child->ended;
}

void signals_forget(pid_t pid)
{
	struct child *child = find_child(pid);

	if (!child)
		return;
	if (child->pidfd >= 0)
		(void)close(child->pidfd);
	*child = (struct child){.pidfd = -1};
}

void signals_watch_stops(void)
{
	stops_wanted = WUNTRACED | WCONTINUED;
	kernel_reaping_allowed = false;
}

size_t signals_descriptors(int *fds, size_t max)
{
	size_t count = 0;

	if (signal_fd >= 0 && count < max)
		fds[count++] = signal_fd;
	for (size_t i = 0; i < child_slots && count < max; i++)
		if (children[i].pid && children[i].pidfd >= 0)
			fds[count++] = children[i].pidfd;
	return count;
}

/* musl's ioctl takes an int, which the number does not fit. */
static long ask_pidfd(int pidfd, struct pidfd_info_64 *info)
{
	return syscall(SYS_ioctl, pidfd, PIDFD_GET_INFO_64, info);
}

static bool exit_event(struct child *child, int status, struct event *event)
{
	child->ended = true;
	*event = (struct event){.kind = EVENT_EXIT, .pid = child->pid, .status = status};
	return true;
}

/* Does this kernel tell the status of a child that it has reaped itself? Linux 6.13 knows the call
 * without that, and says nothing about it for a living process: hence the release. */
static bool kernel_tells_status(void)
{
	struct utsname uts;
	long major = 0, minor = 0;
	const char *p;

	if (uname(&uts) < 0)
		return false;
	for (p = uts.release; *p >= '0' && *p <= '9'; p++)
		major = major * 10 + (*p - '0');
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++)
			minor = minor * 10 + (*p - '0');
	if (major < 6 || (major == 6 && minor < 15))
		return false;

	for (size_t i = 0; i < child_slots; i++) {
		struct pidfd_info_64 info = {.mask = PIDFD_INFO_EXIT_BIT};

		if (children[i].pid && !children[i].ended &&
			(children[i].pidfd < 0 || ask_pidfd(children[i].pidfd, &info) < 0))
			return false;
	}
	return true;
}

/* From here on what ends is gone at once; what ended before is still for wait4() to fetch. */
static void let_kernel_reap(void)
{
	uint64_t wanted = taken & ~SIGNAL_BIT(SIGCHLD);

	kernel_reaping_allowed = false; /* one try */
	if (!kernel_tells_status())
		return;
	signal_fd =
		(int)syscall(SYS_signalfd4, -1, &wanted, sizeof wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		return;
	set_sigchld(SIG_IGN);
	status_count_no_more(COUNT_ORPHANS);
}

/* Back to the plain way. */
static void reap_ourselves(void)
{
	kernel_reaping_allowed = false;
	if (signal_fd >= 0) {
		set_sigchld(SIG_DFL);
		(void)close(signal_fd);
		signal_fd = -1;
		pidfds_pending = true;
	}
	reap_pending = true;
}

/* Only the plain way tells when the last child is gone. */
void signals_want_empty(void)
{
	empty_wanted = true;
	reap_ourselves();
}

/*
 * While the kernel reaps, a child could be gone before there is a pidfd for it: for that moment it
 * does not, and what becomes a zombie in it is fetched in the next round.
 */
pid_t signals_fork(void)
{
	bool kernel_reaps = signal_fd >= 0;

	if (kernel_reaps)
		set_sigchld(SIG_DFL);
	pid_t pid = fork();
	if (pid == 0) {
		if (kernel_reaps)
			(void)close(signal_fd);
		return 0;
	}
	int error = errno;
	/* Or it may come to do so: one child without a pidfd would keep it from that. */
	bool needs_pidfd = kernel_reaps || kernel_reaping_allowed;
	int pidfd = pid > 0 && needs_pidfd ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (pid > 0 && signals_watch(pid, pidfd) < 0) {
		(void)kill(pid, SIGKILL); /* too many; it is an orphan to us then */
		if (pidfd >= 0)
			(void)close(pidfd);
		error = EAGAIN;
		pid = -1;
	}
	if (kernel_reaps && (pidfd >= 0 || pid < 0)) {
		set_sigchld(SIG_IGN);
		reap_pending = true;
	} else if (kernel_reaps)
		reap_ourselves();
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

static void note_reaped(pid_t pid, int status, bool is_orphan)
{
	if (WIFEXITED(status))
		log_note(NOTE_REAPED_EXITED, pid, WEXITSTATUS(status), NULL);
	else if (WIFSIGNALED(status))
		log_note(NOTE_REAPED_KILLED, pid, WTERMSIG(status), NULL);
	if (is_orphan && WIFEXITED(status))
		log_note(NOTE_ORPHAN_EXITED, pid, WEXITSTATUS(status), NULL);
	else if (is_orphan && WIFSIGNALED(status))
		log_note(NOTE_ORPHAN_KILLED, pid, WTERMSIG(status), NULL);
	if (is_orphan && orphans_are_said)
		log_note(NOTE_ORPHAN_REAPED, pid, 0, NULL);
}

static bool lost_event(struct child *child, struct event *event)
{
	child->ended = true;
	*event = (struct event){.kind = EVENT_LOST, .pid = child->pid};
	return true;
}

/* wait4() found no children at all. */
static bool none_left(struct event *event)
{
	log_note(NOTE_NO_CHILD, 0, 0, NULL);
	/* While the kernel reaps this is the normal case: the pidfds tell the rest. */
	for (size_t i = 0; i < child_slots && signal_fd < 0; i++)
		if (children[i].pid && !children[i].ended)
			return lost_event(&children[i], event);
	reap_pending = false;
	if (!empty_wanted)
		return false;
	empty_wanted = false;
	*event = (struct event){.kind = EVENT_EMPTY};
	return true;
}

/* A child that has ended keeps its slot for the sake of its group, while an orphan may have its
 * number by now. */
static struct child *find_living(pid_t pid)
{
	struct child *child = find_child(pid);

	return child && !child->ended ? child : NULL;
}

/* True when it is an event: a watched child was stopped. */
static bool stop_event(struct child *child, int status, struct event *event)
{
	if (!child)
		return false;
	child->stopped = WIFSTOPPED(status);
	*event = (struct event){.kind = EVENT_STOPPED, .pid = child->pid, .status = status};
	return child->stopped;
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

		struct child *child = find_living(pid);
		if (WIFSTOPPED(status) || WIFCONTINUED(status)) {
			if (stop_event(child, status, event))
				return true;
			continue;
		}
		note_reaped(pid, status, !child);
		if (child)
			return exit_event(child, status, event);
		status_count(COUNT_ORPHANS);
		fewer = empty_wanted;
		if (kernel_reaping_allowed)
			let_kernel_reap();
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

static bool signal_event(int signo, int code, uint32_t pid, int value, struct event *event)
{
	bool is_message = signo == MESSAGE_SIGNAL && code == MESSAGE_CODE;

	*event = (struct event){.kind = is_message ? EVENT_MESSAGE : EVENT_SIGNAL,
		.signo = signo,
		.sender = code <= 0 ? (pid_t)pid : 0,
		.status = value};
	return true;
}

/* Plain: true when there is an event. */
static bool wait_for_signal(int64_t deadline_ns, struct event *event)
{
	struct timespec left;
	siginfo_t info;
	long signo = syscall(
		SYS_rt_sigtimedwait, &taken, &info, time_left(deadline_ns, &left), sizeof taken);

	if (signo < 0) {
		/* EINTR: shim was stopped and continued, or traced. */
		event->kind = EVENT_DEADLINE;
		return errno == EAGAIN;
	}
	note_signal((int)signo);
	if (signo == SIGCHLD) {
		reap_pending = true;
		return false;
	}
	return signal_event(
		(int)signo, info.si_code, (uint32_t)info.si_pid, info.si_value.sival_int, event);
}

static bool read_signal(struct event *event)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof info) != (ssize_t)sizeof info) {
		if (errno != EAGAIN && errno != EINTR)
			reap_ourselves();
		return false;
	}
	note_signal((int)info.ssi_signo);
	return signal_event((int)info.ssi_signo, info.ssi_code, info.ssi_pid, info.ssi_int, event);
}

/* The kernel has reaped this child: ask its pidfd how it ended. */
static bool read_status(struct child *child, struct event *event)
{
	struct pidfd_info_64 info = {.mask = PIDFD_INFO_EXIT_BIT};

	if (ask_pidfd(child->pidfd, &info) < 0 || !(info.mask & PIDFD_INFO_EXIT_BIT)) {
		reap_ourselves(); /* it would not tell of the next one either, and that may be the
				     app */
		return lost_event(child, event);
	}
	note_reaped(child->pid, info.exit_code, false);
	return exit_event(child, info.exit_code, event);
}

/*
 * While the kernel reaps: true when there is an event. A pidfd reports POLLIN when the process has
 * ended and POLLHUP when it has been reaped; only then is its status there, so only that is asked
 * for.
 */
static bool wait_for_any(int64_t deadline_ns, struct event *event)
{
	struct pollfd fds[SIGNALS_CHILDREN + 1];
	struct child *who[SIGNALS_CHILDREN + 1];
	nfds_t count = 1;
	struct timespec left;

	fds[0] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
	for (size_t i = 0; i < child_slots; i++)
		if (children[i].pid && !children[i].ended) {
			who[count] = &children[i];
			fds[count++] = (struct pollfd){.fd = children[i].pidfd};
		}

	int ready = ppoll(fds, count, time_left(deadline_ns, &left), NULL);
	if (ready == 0)
		*event = (struct event){.kind = EVENT_DEADLINE};
	if (ready < 0 && errno != EINTR)
		reap_ourselves(); /* a sandbox that refuses ppoll(2): the plain way needs none */
	if (ready <= 0)
		return ready == 0;
	for (nfds_t i = 1; i < count; i++)
		if (fds[i].revents)
			return read_status(who[i], event);
	return read_signal(event);
}

/*
 * A watched child that ended just before SIGCHLD got its default back was reaped by the kernel, or
 * is about to be: only its pidfd will ever tell. POLLIN says that it has ended; whoever it does not
 * say it of yet will become a zombie, for the kernel looks at SIGCHLD later than it sets what
 * POLLIN shows. wait4() says 0 of one that somebody else traces: it becomes a zombie of ours when
 * the tracer lets go of it.
 */
static bool find_unseen(struct event *event)
{
	enum { RELEASE_MS = 1000 }; /* from its end to its release; some microseconds in fact */

	pidfds_pending = false;
	for (size_t i = 0; i < child_slots; i++) {
		struct child *child = &children[i];
		struct pollfd fd = {.fd = child->pidfd, .events = POLLIN};
		int status;

		if (!child->pid || child->ended || child->pidfd < 0 || poll(&fd, 1, 0) <= 0)
			continue;
		pid_t got = wait4(child->pid, &status, WNOHANG, NULL);
		if (got == 0)
			continue;
		pidfds_pending = true; /* there may be more */
		if (got == child->pid) {
			note_reaped(child->pid, status, false);
			return exit_event(child, status, event);
		}
		fd.events = 0;
		(void)poll(&fd, 1, RELEASE_MS);
		return read_status(child, event);
	}
	return false;
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
	static const struct timespec at_once;
	uint64_t others = taken & ~heard & ~SIGNAL_BIT(SIGCHLD);
	siginfo_t info;
	long signo = syscall(SYS_rt_sigtimedwait, &others, &info, &at_once, sizeof others);

	heard = 0;
	if (signo <= 0)
		return false;
	note_signal((int)signo);
	return signal_event(
		(int)signo, info.si_code, (uint32_t)info.si_pid, info.si_value.sival_int, event);
}

static void next_event(int64_t deadline_ns, struct event *event)
{
	bool overdue = is_overdue(deadline_ns);

	*event = (struct event){.kind = EVENT_DEADLINE};
	if (is_flooded()) {
		reap_pending = reap_pending || signal_fd < 0;
		if (take_unheard(event))
			return;
	}
	for (;;) {
		if (pidfds_pending && find_unseen(event))
			return;
		if (reap_pending && reap(event))
			return;
		if (deadline_ns == 0 || overdue)
			return;
		if (signal_fd < 0 ? wait_for_signal(deadline_ns, event)
				  : wait_for_any(deadline_ns, event))
			return;
	}
}

void signals_next(int64_t deadline_ns, struct event *event)
{
	next_event(deadline_ns, event);
	bool is_signal = event->kind == EVENT_SIGNAL || event->kind == EVENT_MESSAGE;
	signals_in_a_row = is_signal ? signals_in_a_row + 1 : 0;
	if (is_signal)
		heard |= SIGNAL_BIT(event->signo);
}

uint64_t signals_take_pending(uint64_t set)
{
	static const struct timespec at_once;
	uint64_t had = 0;
	long signo;

	while ((signo = syscall(SYS_rt_sigtimedwait, &set, NULL, &at_once, sizeof set)) > 0)
		had |= SIGNAL_BIT(signo);
	return had;
}

bool signals_is_stopped(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};
	const struct child *child = find_child(pid);

	if (child && child->stopped)
		return true;
	return waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

int signals_send_group(pid_t pid, int signo)
{
	struct child *child = find_child(pid);

	if (!child) {
		errno = ESRCH;
		return -1;
	}
	if (!child->ended)
		return kill(-pid, signo);
	if (child->pidfd < 0) {
		errno = ENOSYS;
		return -1;
	}
	int sent =
		(int)syscall(SYS_pidfd_send_signal, child->pidfd, signo, NULL, PIDFD_SIGNAL_GROUP);
	if (sent < 0 && errno != ESRCH)
		errno = ENOSYS; /* EINVAL from an old kernel, EPERM from a filter: both mean "not
				   this way" */
	return sent;
}
