/*
 * herd.c - processes by the thousand. All of them share one page that says who there is, and who is
 * about to end.
 */
#include "herd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stamps.h"

enum { POLL_US = 200, WATCH_US = 1000, GIVE_UP_S = 60 };

/* Shared with every process made here. */
struct herd {
	atomic_int started;
	atomic_int peak;
	_Atomic pid_t pids[HERD_MOST];
	atomic_bool is_ending[HERD_MOST];
	atomic_bool is_gone[HERD_MOST]; /* kept by count_zombies() */
};

static struct herd *herd;
static bool watching;

_Noreturn void fail(const char *what)
{
	dprintf(STDOUT_FILENO, "failed %s: %s\n", what, strerror(errno));
	_exit(99);
}

void *shared_memory(size_t size, int fd)
{
	int flags = MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	return p;
}

static pid_t fork_or_fail(void)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	return pid;
}

/* An orphan's whole life. The slot is taken by the parent, so that slots are in the order of
 * creation. */
static _Noreturn void orphan(int slot, int pipe_fd)
{
	char c;

	herd->pids[slot] = getpid();
	herd->started++;
	if (pipe_fd >= 0)
		while (read(pipe_fd, &c, 1) < 0 && errno == EINTR)
			;
	herd->is_ending[slot] = true;
	_exit(0);
}

void herd_init(void)
{
	herd = shared_memory(sizeof(*herd), -1);
}

void herd_reset(void)
{
	memset(herd, 0, sizeof(*herd));
}

static bool is_gone(int slot)
{
	return herd->pids[slot] > 0 && kill(herd->pids[slot], 0) < 0 && errno == ESRCH;
}

static bool is_zombie(pid_t pid)
{
	char path[32], stat[64];
	int fd;
	ssize_t length;
	const char *state;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, stat, sizeof stat - 1);
	close(fd);
	stat[length < 0 ? 0 : length] = '\0';
	state = strchr(stat, ')');
	return state && state[1] && state[2] == 'Z';
}

/* Only those that are about to end or have ended are looked at closely: the rest is asleep. */
static void count_zombies(int n)
{
	int zombies = 0;

	for (int i = 0; i < n && herd->pids[i]; i++) {
		if (!herd->is_ending[i] || herd->is_gone[i])
			continue;
		zombies += is_zombie(herd->pids[i]);
		herd->is_gone[i] = is_gone(i);
	}
	if (zombies > herd->peak)
		herd->peak = zombies;
}

/* Returns when the numbers of all n are free again: every one has been reaped. */
static void await_gone(int n, int64_t limit)
{
	for (int i = 0; i < n;) {
		if (is_gone(i)) {
			i++;
			continue;
		}
		if (now_ns() > limit) {
			errno = ETIMEDOUT;
			fail("orphans not reaped");
		}
		if (watching)
			count_zombies(n);
		usleep(watching ? WATCH_US : POLL_US);
	}
}

int herd_peak(void)
{
	return herd->peak;
}

static int64_t time_limit(void)
{
	return now_ns() + GIVE_UP_S * INT64_C(1000000000);
}

static void make_orphan(int slot)
{
	pid_t parent = fork_or_fail();

	if (parent == 0) {
		if (fork_or_fail() == 0)
			orphan(slot, -1);
		_exit(0);
	}
	waitpid(parent, NULL, 0);
}

int64_t herd_paced(int n)
{
	int64_t start = now_ns(), limit = time_limit();

	for (int i = 0; i < n; i++) {
		make_orphan(i);
		while (!is_gone(i)) {
			if (now_ns() > limit)
				fail("orphan not reaped");
			usleep(20);
		}
		/* The init goes back to sleep before the next one: calls are to be counted, not
		 * shared. */
		usleep(1000);
	}
	return now_ns() - start;
}

/* Before all the others, or the peak is over when the watcher's turn comes. musl's own call is a
 * stub. */
void herd_watch(int n)
{
	struct sched_param priority = {.sched_priority = 1};

	watching = n != 0;
	if (watching &&
		syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) < 0)
		fail("sched_setscheduler");
}

/* Watches from beside, since the one that makes the orphans has no time for it. */
static pid_t start_watcher(int n)
{
	pid_t pid = fork_or_fail();

	if (pid)
		return pid;
	herd_watch(1);
	while (getppid() != 1) {
		count_zombies(n);
		usleep(WATCH_US);
	}
	_exit(0);
}

int64_t herd_stream(int n)
{
	int64_t start, end;
	pid_t watcher = watching ? start_watcher(n) : 0;

	start = now_ns();
	for (int i = 0; i < n; i++)
		make_orphan(i);
	await_gone(n, time_limit());
	end = now_ns();
	if (watcher) {
		kill(watcher, SIGKILL);
		waitpid(watcher, NULL, 0);
	}
	return end - start;
}

static void await_started(int n)
{
	while (herd->started < n)
		usleep(1000);
	usleep(20000); /* the last ones are asleep, the machine is quiet */
}

int64_t herd_burst(int n)
{
	int64_t start;
	int fds[2];
	pid_t parent;

	if (pipe(fds) < 0)
		fail("pipe");
	parent = fork_or_fail();
	if (parent == 0) {
		close(fds[1]);
		for (int i = 0; i < n; i++)
			if (fork_or_fail() == 0)
				orphan(i, fds[0]);
		_exit(0);
	}
	waitpid(parent, NULL, 0);
	await_started(n);
	start = now_ns();
	close(fds[1]);
	await_gone(n, time_limit());
	close(fds[0]);
	return now_ns() - start;
}

/* A process of the app's own group, waiting for the signal that ends it. */
static _Noreturn void member(int slot)
{
	signal(SIGTERM, SIG_DFL);
	herd->pids[slot] = getpid();
	herd->started++;
	for (;;)
		pause();
}

static void make_members(int n)
{
	for (int i = 0; i < n; i++)
		if (fork_or_fail() == 0)
			member(i);
}

/* The app's own children: their end is the app's and the kernel's to clear away, on the way out. */
int64_t herd_group(int n)
{
	make_members(n);
	await_started(n);
	return 0;
}

/* Orphans in the app's group; the app itself does not mind SIGTERM. Sent to the init, which passes
 * it on. */
int64_t herd_term(int n)
{
	pid_t parent;
	int64_t start;

	signal(SIGTERM, SIG_IGN);
	parent = fork_or_fail();
	if (parent == 0) {
		make_members(n);
		_exit(0);
	}
	waitpid(parent, NULL, 0);
	await_started(n);
	start = now_ns();
	kill(1, SIGTERM);
	await_gone(n, time_limit());
	return now_ns() - start;
}
