/*
 * measure.c - starts an init as PID 1 of a fresh PID namespace, with its own /proc, and times it
 * from outside. Usage: measure MODE COUNT GAP_US INIT [ARG...]
 *
 * startup   COUNT times, with payload stamp; a line each: nanoseconds from exec to the app's first
 *           statement, and from the app's last to the init's end
 *
 * signals   COUNT SIGUSR1, with payload echo; a line each: nanoseconds from kill() to the app
 *
 * group     once, with payload serve: nanoseconds from SIGTERM until the init, the app and COUNT
 *           others are gone
 *
 * hold      with payload serve: says "pid N", waits for a line on stdin, then starts the init; at
 *           its end says "exit STATUS"
 *
 * Needs root. Nothing outlives it: the init dies with measure, its namespace with the init, and
 * measure has an alarm.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stamps.h"

enum { LIMIT_S = 120, MOST = 100000, WARM_UP = 3, WARM_UP_SIGNALS = 50, YIELD_NS = 20000 };

static struct stamps *stamps;
static const char *mode;

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "measure %s: %s: %s\n", mode, what, strerror(errno));
	exit(1);
}

/* One mount namespace for all runs: its teardown must not fall into the time that is measured. */
static void prepare(void)
{
	int fd = memfd_create("stamps", 0);

	if (fd < 0 || ftruncate(fd, STAMPS_SIZE) < 0)
		fail("memfd");
	stamps = mmap(NULL, STAMPS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (stamps == MAP_FAILED || dup2(fd, STAMPS_FD) < 0)
		fail("stamps");
	close(fd);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail("unshare (root is needed)");
	alarm(LIMIT_S);
}

/* What the init is given: pipe ends to become its stdin and stdout, one it waits on before it
 * begins; -1: none. */
struct channel {
	int in, out, go;
};

static const struct channel no_channel = {-1, -1, -1};

static _Noreturn void become_init(const struct channel *c, char **argv)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	if (c->in >= 0 && dup2(c->in, STDIN_FILENO) < 0)
		_exit(127);
	if (c->out >= 0 && dup2(c->out, STDOUT_FILENO) < 0)
		_exit(127);
	if (c->go >= 0) {
		close(STAMPS_FD); /* the descriptors of an init that is held are looked at */
		if (read(c->go, &byte, 1) != 1)
			_exit(127);
	}
	stamps->exec = now_ns();
	execv(argv[0], argv);
	_exit(127);
}

static pid_t start_init(const struct channel *c, char **argv)
{
	pid_t pid;

	*stamps = (struct stamps){0};
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid < 0)
		fail("clone");
	if (pid == 0)
		become_init(c, argv);
	return pid;
}

static int await_end(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("waitpid");
	return status;
}

static void drop_proc(void)
{
	umount2("/proc", MNT_DETACH);
}

static int startup(long count, long unused, char **argv)
{
	(void)unused;
	for (long i = -WARM_UP; i < count; i++) {
		pid_t pid = start_init(&no_channel, argv);
		int status = await_end(pid);
		int64_t end = now_ns();

		drop_proc();
		if (status || !stamps->ended) {
			fprintf(stderr, "measure: %s ended with status %d\n", argv[0], status);
			return 1;
		}
		if (i >= 0)
			printf("%lld %lld\n", (long long)(stamps->started - stamps->exec),
				(long long)(end - stamps->ended));
	}
	return 0;
}

static void make_pipe(int fds[2])
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		fail("pipe");
}

/* One byte at a time: what follows is not for measure. */
static char await_byte(int fd)
{
	char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		fail("nothing left to read");
	return byte;
}

static void await_line(int fd)
{
	while (await_byte(fd) != '\n')
		;
}

/* Until the init and the app are asleep again. Without a gap this CPU never sleeps, so that nothing
 * but code is timed. */
static void leave_gap(long gap_us)
{
	int64_t end = now_ns() + YIELD_NS;

	if (gap_us > 0)
		usleep((useconds_t)gap_us);
	else
		while (now_ns() < end)
			sched_yield();
}

static int signals(long count, long gap_us, char **argv)
{
	struct channel channel = no_channel;
	int answer[2];
	pid_t pid;

	make_pipe(answer);
	channel.out = answer[1];
	pid = start_init(&channel, argv);
	close(answer[1]);
	await_byte(answer[0]);
	for (long i = -WARM_UP_SIGNALS; i < count; i++) {
		leave_gap(gap_us);
		stamps->sent = now_ns();
		if (kill(pid, SIGUSR1) < 0)
			fail("kill");
		await_byte(answer[0]);
		if (i >= 0)
			printf("%lld\n", (long long)(stamps->taken - stamps->sent));
	}
	kill(pid, SIGKILL);
	await_end(pid);
	return 0;
}

static int group(long count, long unused, char **argv)
{
	struct channel channel = no_channel;
	int answer[2], command[2];
	int64_t start, end;
	pid_t pid;

	(void)unused;
	make_pipe(answer);
	make_pipe(command);
	channel.out = answer[1];
	channel.in = command[0];
	pid = start_init(&channel, argv);
	close(answer[1]);
	await_line(answer[0]);
	dprintf(command[1], "group %ld\n", count);
	await_line(answer[0]);
	start = now_ns();
	kill(pid, SIGTERM);
	await_end(pid);
	end = now_ns();
	printf("%lld\n", (long long)(end - start));
	return 0;
}

static int hold(long unused, long unused_too, char **argv)
{
	struct channel channel = no_channel;
	int go[2], status;
	pid_t pid;

	(void)unused;
	(void)unused_too;
	make_pipe(go);
	channel.go = go[0];
	pid = start_init(&channel, argv);
	dprintf(STDOUT_FILENO, "pid %d\n", pid);
	await_line(STDIN_FILENO);
	if (write(go[1], ".", 1) != 1)
		fail("go");
	status = await_end(pid);
	dprintf(STDOUT_FILENO, "exit %d\n",
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}

static const struct {
	const char *name;
	int (*run)(long count, long gap_us, char **argv);
} modes[] = {{"startup", startup}, {"signals", signals}, {"group", group}, {"hold", hold}};

int main(int argc, char **argv)
{
	long count, gap_us;

	if (argc < 5) {
		fprintf(stderr,
			"usage: measure startup|signals|group|hold COUNT GAP_US INIT [ARG...]\n");
		return 2;
	}
	mode = argv[1];
	count = strtol(argv[2], NULL, 10);
	gap_us = strtol(argv[3], NULL, 10);
	if (count < 0 || count > MOST || gap_us < 0 || gap_us > MOST) {
		fprintf(stderr, "measure: counts from 0 to %d\n", MOST);
		return 2;
	}
	prepare();
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(mode, modes[i].name) == 0)
			return modes[i].run(count, gap_us, argv + 4);
	fprintf(stderr, "measure: no such mode: %s\n", mode);
	return 2;
}
