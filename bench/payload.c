/*
 * payload.c - the app that runs under the init which is measured. Tiny and static, so that it costs
 * as little as an app can.
 *
 * payload stamp   stamp the first statement and the last, end
 * payload echo N  make N orphans, then stamp each SIGUSR1 and answer with one byte on stdout
 * payload serve   obey the commands on stdin, one a line; the answer is the command's name,
 * nanoseconds, peak of zombies paced N       N orphans, each one made when the one before is gone
 *   stream N      N orphans as fast as they can be made
 *   burst N       N orphans that live, and then all end at once
 *   term N        N orphans in the app's group, ended by a SIGTERM to the init
 *   group N       N children in the app's group, for whoever ends them
 *   watch 0|1     look for the peak of zombies (takes time: not while timing); no answer
 *   exit N        no answer
 * SIGUSR1 is answered with "signal".
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stamps.h"

enum { MOST = 20000, POLL_US = 200, WATCH_US = 1000, GIVE_UP_S = 60 };

/* Shared with every process made here. */
struct herd {
	atomic_int started;
	atomic_int peak;
	_Atomic pid_t pids[MOST];
	atomic_bool is_ending[MOST];
	atomic_bool is_gone[MOST]; /* kept by count_zombies() */
};

static struct herd *herd;
static bool watching;

static _Noreturn void fail(const char *what)
{
	dprintf(STDOUT_FILENO, "failed %s: %s\n", what, strerror(errno));
	_exit(99);
}

static void *shared(size_t size, int flags, int fd)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);

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

static int stamp(int64_t started)
{
	struct stamps *stamps = shared(STAMPS_SIZE, 0, STAMPS_FD);

	stamps->started = started;
	stamps->ended = now_ns();
	_exit(0);
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

static void reset_herd(void)
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

static int64_t paced(int n)
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

static int echo(int orphans)
{
	struct stamps *stamps = shared(STAMPS_SIZE, 0, STAMPS_FD);
	sigset_t set;

	paced(orphans);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (write(STDOUT_FILENO, ".", 1) == 1) {
		if (sigwaitinfo(&set, NULL) != SIGUSR1)
			fail("sigwaitinfo");
		stamps->taken = now_ns();
	}
	return 0;
}

/* Before all the others, or the peak is over when the watcher's turn comes. musl's own call is a
 * stub. */
static void watch(int n)
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
	watch(1);
	while (getppid() != 1) {
		count_zombies(n);
		usleep(WATCH_US);
	}
	_exit(0);
}

static int64_t stream(int n)
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

static int64_t burst(int n)
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
static int64_t group(int n)
{
	make_members(n);
	await_started(n);
	return 0;
}

/* Orphans in the app's group; the app itself does not mind SIGTERM. Sent to the init, which passes
 * it on. */
static int64_t term(int n)
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

static void report(const char *word, int64_t ns)
{
	dprintf(STDOUT_FILENO, "%s %lld %d\n", word, (long long)ns, herd->peak);
}

static void obey(const char *line)
{
	char word[16] = "";
	int n = 0;

	if (sscanf(line, "%15s %d", word, &n) != 2 || n < 0 || n > MOST)
		fail(line);
	reset_herd();
	if (strcmp(word, "exit") == 0)
		_exit(n);
	if (strcmp(word, "watch") == 0)
		watch(n);
	else if (strcmp(word, "paced") == 0)
		report(word, paced(n));
	else if (strcmp(word, "stream") == 0)
		report(word, stream(n));
	else if (strcmp(word, "burst") == 0)
		report(word, burst(n));
	else if (strcmp(word, "term") == 0)
		report(word, term(n));
	else if (strcmp(word, "group") == 0)
		report(word, group(n));
	else
		fail(line);
}

static void answer(int signo)
{
	(void)signo;
	if (write(STDOUT_FILENO, "signal\n", 7) != 7)
		_exit(98);
}

static int serve(void)
{
	struct sigaction action = {.sa_handler = answer, .sa_flags = SA_RESTART};
	char line[64];
	size_t length = 0;

	sigaction(SIGUSR1, &action, NULL);
	dprintf(STDOUT_FILENO, "ready\n");
	while (length < sizeof(line) - 1 && read(STDIN_FILENO, line + length, 1) == 1) {
		if (line[length] != '\n') {
			length++;
			continue;
		}
		line[length] = '\0';
		length = 0;
		obey(line);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int64_t started = now_ns();
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "stamp") == 0)
		return stamp(started);
	herd = shared(sizeof(*herd), MAP_ANONYMOUS, -1);
	if (strcmp(mode, "echo") == 0)
		return echo(argc > 2 ? atoi(argv[2]) : 0);
	if (strcmp(mode, "serve") == 0)
		return serve();
	dprintf(STDERR_FILENO, "payload: the app of bench/measure, not to be started by hand\n");
	return 2;
}
