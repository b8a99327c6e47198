/*
 * autoreap.c - the kernel reaps (Linux 6.15).
 */
#include "autoreap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children.h"
#include "status.h"

/* From linux/pidfd.h of 6.15, which build machines do not have yet. */
struct pidfd_info_64 {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ids[8];
	int32_t exit_code;
};
#define PIDFD_GET_INFO_64   _IOWR(0xFF, 11, struct pidfd_info_64)
#define PIDFD_INFO_EXIT_BIT (UINT64_C(1) << 3)
_Static_assert(sizeof(struct pidfd_info_64) == 64, "PIDFD_INFO_SIZE_VER0");

static bool may_begin;
static int signal_fd = -1; /* open while the kernel reaps */
static bool may_be_unseen; /* it did until now: somebody may have gone unseen */

void autoreap_allow(bool is_allowed)
{
	may_begin = is_allowed;
}

bool autoreap_is_on(void)
{
	return signal_fd >= 0;
}

bool autoreap_needs_pidfds(void)
{
	return may_begin || autoreap_is_on();
}

int autoreap_descriptor(void)
{
	return signal_fd;
}

/* musl's ioctl takes an int, which the number does not fit. */
static long ask_pidfd(int pidfd, struct pidfd_info_64 *info)
{
	*info = (struct pidfd_info_64){.mask = PIDFD_INFO_EXIT_BIT};
	return syscall(SYS_ioctl, pidfd, PIDFD_GET_INFO_64, info);
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

	struct child *child = NULL;
	while ((child = children_next_living(child))) {
		struct pidfd_info_64 info;

		if (child->pidfd < 0 || ask_pidfd(child->pidfd, &info) < 0)
			return false;
	}
	return true;
}

void autoreap_begin(uint64_t signals)
{
	if (!may_begin)
		return;
	may_begin = false; /* one try */
	if (!kernel_tells_status())
		return;
	signal_fd = (int)syscall(
		SYS_signalfd4, -1, &signals, sizeof signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		return;
	(void)signal(SIGCHLD, SIG_IGN);
	status_count_no_more(COUNT_ORPHANS);
}

void autoreap_end(void)
{
	may_begin = false;
	if (!autoreap_is_on())
		return;
	(void)signal(SIGCHLD, SIG_DFL);
	(void)close(signal_fd);
	signal_fd = -1;
	may_be_unseen = true;
}

bool autoreap_pause(void)
{
	if (autoreap_is_on())
		(void)signal(SIGCHLD, SIG_DFL);
	return autoreap_is_on();
}

void autoreap_go_on(void)
{
	(void)signal(SIGCHLD, SIG_IGN);
}

/* The kernel has reaped this child: its pidfd tells how it ended. */
static void read_status(struct child *child, struct event *event)
{
	struct pidfd_info_64 info;

	child->has_ended = true;
	if (ask_pidfd(child->pidfd, &info) == 0 && (info.mask & PIDFD_INFO_EXIT_BIT)) {
		*event = (struct event){
			.kind = EVENT_EXIT, .pid = child->pid, .status = info.exit_code};
		return;
	}
	*event = (struct event){.kind = EVENT_LOST, .pid = child->pid};
	autoreap_end(); /* it would not tell of the next one either, and that may be the app */
}

/*
 * A pidfd reports POLLIN when the process has ended and POLLHUP when it has been reaped; only then
 * is its status there, so only that is asked for.
 */
enum autoreap_news autoreap_wait(const struct timespec *left, struct event *event)
{
	struct pollfd fds[CHILDREN_MAX + 1];
	struct child *who[CHILDREN_MAX + 1];
	struct child *child = NULL;
	nfds_t count = 0;

	while ((child = children_next_living(child))) {
		who[count] = child;
		fds[count++] = (struct pollfd){.fd = child->pidfd};
	}
	fds[count] = (struct pollfd){.fd = signal_fd, .events = POLLIN};

	int ready = ppoll(fds, count + 1, left, NULL);
	if (ready == 0) {
		*event = (struct event){.kind = EVENT_DEADLINE};
		return AUTOREAP_EVENT;
	}
	if (ready < 0) {
		if (errno != EINTR)
			autoreap_end(); /* a sandbox that refuses ppoll(2) */
		return AUTOREAP_NOTHING;
	}
	for (nfds_t i = 0; i < count; i++)
		if (fds[i].revents) {
			read_status(who[i], event);
			return AUTOREAP_EVENT;
		}
	return AUTOREAP_SIGNAL;
}

/*
 * A watched child that ended just before SIGCHLD got its default back was reaped by the kernel, or
 * is about to be: only its pidfd will ever tell. POLLIN says that it has ended; whoever it does not
 * say it of yet will become a zombie, for the kernel looks at SIGCHLD later than it sets what
 * POLLIN shows. wait4() says 0 of one that somebody else traces: it becomes a zombie of ours when
 * the tracer lets go of it.
 */
bool autoreap_find_unseen(struct event *event)
{
	enum { RELEASE_MS = 1000 }; /* from its end to its release; some microseconds in fact */
	struct child *child = NULL;

	while (may_be_unseen && (child = children_next_living(child))) {
		struct pollfd fd = {.fd = child->pidfd, .events = POLLIN};
		int status;

		if (child->pidfd < 0 || poll(&fd, 1, 0) <= 0)
			continue;
		pid_t got = wait4(child->pid, &status, WNOHANG, NULL);
		if (got == 0)
			continue;
		if (got == child->pid) {
			child->has_ended = true;
			*event = (struct event){
				.kind = EVENT_EXIT, .pid = child->pid, .status = status};
			return true; /* there may be more */
		}
		fd.events = 0;
		(void)poll(&fd, 1, RELEASE_MS);
		read_status(child, event);
		return true;
	}
	may_be_unseen = false;
	return false;
}
