/*
 * children.c - the children that shim has started and whose ends it waits for.
 */
#include "children.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Newer than what build machines have. */
#define PIDFD_SIGNAL_GROUP (1U << 2) /* Linux 6.9 */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424 /* the same on every architecture */
#endif

static struct child children[CHILDREN_MAX];
static size_t places; /* in use, holes included */

static struct child *find_child(pid_t pid)
{
	for (size_t i = 0; i < places; i++)
		if (children[i].pid == pid)
			return &children[i];
	return NULL;
}

int children_watch(pid_t pid, int pidfd)
{
	struct child *place = find_child(0);

	if (!place) {
		if (places == CHILDREN_MAX)
			return -1;
		place = &children[places++];
	}
	*place = (struct child){.pid = pid, .pidfd = pidfd};
	return 0;
}

bool children_has_ended(pid_t pid)
{
	const struct child *child = find_child(pid);

	return child && child->has_ended;
}

bool children_is_stopped(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};
	const struct child *child = find_child(pid);

	if (child && child->is_stopped)
		return true;
	return waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

void children_forget(pid_t pid)
{
	struct child *child = find_child(pid);

	if (!child)
		return;
	if (child->pidfd >= 0)
		(void)close(child->pidfd);
	*child = (struct child){.pidfd = -1};
}

int children_send_group(pid_t pid, int signo)
{
	const struct child *child = find_child(pid);

	if (!child) {
		errno = ESRCH;
		return -1;
	}
	if (!child->has_ended)
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

size_t children_descriptors(int *fds, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < places && count < max; i++)
		if (children[i].pid && children[i].pidfd >= 0)
			fds[count++] = children[i].pidfd;
	return count;
}

struct child *children_next_living(struct child *after)
{
	struct child *child = after ? after + 1 : children;

	for (; child < children + places; child++)
		if (child->pid && !child->has_ended)
			return child;
	return NULL;
}

struct child *children_find_living(pid_t pid)
{
	struct child *child = children_next_living(NULL);

	while (child && child->pid != pid)
		child = children_next_living(child);
	return child;
}
