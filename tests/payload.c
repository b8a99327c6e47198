/*
 * payload.c - the one program that misbehaves for the scenarios; its first argument says how.
 *
 * Static, no handlers, no heap: signals are blocked and taken with raw system calls and 64-bit
 * masks, so that 32 to 34 count like all others. Every line is one write. Started by harness.py
 * only, in a PID namespace of its own: it refuses to run in the one whose inode (OUTER_PIDNS) was
 * compiled in.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef OUTER_PIDNS
#error "build with -DOUTER_PIDNS=$(stat -Lc %i /proc/self/ns/pid)"
#endif

enum { SIGNALS = 64, BAD_USAGE = 99 };

/* The kernel's own struct sigaction, as far as it is the same everywhere: the disposition comes
 * first. */
struct action {
	uintptr_t handler;
	unsigned long rest[15];
};

extern char **environ;

static int number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 0);
	if (end == text || *end) {
		dprintf(2, "payload: not a number: %s\n", text);
		_exit(BAD_USAGE);
	}
	return (int)n;
}

static void fail(const char *what)
{
	dprintf(2, "payload: %s: %s\n", what, strerror(errno));
	_exit(BAD_USAGE);
}

static uint64_t bit(int signo)
{
	return UINT64_C(1) << (signo - 1);
}

static uint64_t mask_change(int how, uint64_t set)
{
	uint64_t old = 0;
	syscall(SYS_rt_sigprocmask, how, how == SIG_SETMASK || set ? &set : NULL, &old,
		sizeof(set));
	return old;
}

static void disposition_set(int signo, uintptr_t handler)
{
	struct action action = {.handler = handler};
	syscall(SYS_rt_sigaction, signo, &action, NULL, sizeof(uint64_t));
}

/* Takes one signal of all, at most ms (< 0: for ever). Its number, or 0. */
static int signal_take(long ms, siginfo_t *info)
{
	uint64_t all = ~UINT64_C(0);
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	long n;
	do {
		n = syscall(SYS_rt_sigtimedwait, &all, info, ms < 0 ? NULL : &t, sizeof(all));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? 0 : (int)n;
}

static void pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static _Noreturn void sleep_for_ever(void)
{
	for (;;)
		pause();
}

/* -- what it can do
 * ------------------------------------------------------------------------------------------ */

static void report_signals(void)
{
	uint64_t ignored = 0;
	for (int n = 1; n <= SIGNALS; n++) {
		struct action action = {0};
		syscall(SYS_rt_sigaction, n, NULL, &action, sizeof(uint64_t));
		if (action.handler == (uintptr_t)SIG_IGN)
			ignored |= bit(n);
	}
	printf("blocked %016llx\n", (unsigned long long)mask_change(SIG_BLOCK, 0));
	printf("ignored %016llx\n", (unsigned long long)ignored);
}

/* report: one fact a line. */
static int do_report(char **argv)
{
	char cwd[4096];
	printf("pid %d\nppid %d\npgid %d\nsid %d\n", getpid(), getppid(), getpgrp(), getsid(0));
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	printf("tpgid %d\n", tty < 0 ? -1 : tcgetpgrp(tty));
	if (tty >= 0)
		close(tty);
	report_signals();
	printf("uid %u\ngid %u\n", getuid(), getgid());
	printf("cwd %s\n", getcwd(cwd, sizeof(cwd)) ? cwd : strerror(errno));
	printf("fds");
	for (int fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf(" %d", fd);
	printf("\nnnp %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	for (char **word = argv; *word; word++)
		printf("arg %s\n", *word);
	for (char **word = environ; *word; word++)
		printf("env %s\n", *word);
	printf("end\n");
	return fflush(stdout) ? BAD_USAGE : 0;
}

/* exit N [MS]: after MS ms. */
static int do_exit(char **argv)
{
	if (argv[1])
		pause_ms(number(argv[1]));
	return argv[0] ? number(argv[0]) : 0;
}

/* kill N: dies of signal N, whatever was inherited. */
static int do_kill(char **argv)
{
	int signo = number(argv[0]);
	disposition_set(signo, (uintptr_t)SIG_DFL);
	mask_change(SIG_UNBLOCK, bit(signo));
	kill(getpid(), signo);
	pause_ms(1000);
	return BAD_USAGE;
}

/* signals [END [CODE]]: names each signal as it comes, and exits with CODE at END. */
static int do_signals(char **argv)
{
	int end = argv[0] ? number(argv[0]) : 0;
	int code = argv[0] && argv[1] ? number(argv[1]) : 0;
	siginfo_t info;
	mask_change(SIG_SETMASK, ~UINT64_C(0));
	dprintf(1, "ready %d\n", getpid());
	for (;;) {
		int n = signal_take(-1, &info);
		dprintf(1, "got %d\n", n);
		if (n == end)
			return code;
	}
}

/* ignore: every signal. Ends when it is killed. */
static int do_ignore(char **argv)
{
	(void)argv;
	for (int n = 1; n <= SIGNALS; n++)
		disposition_set(n, (uintptr_t)SIG_IGN);
	dprintf(1, "ready %d\n", getpid());
	sleep_for_ever();
}

/* hold [NAME]: every signal does what it does by default. */
static int do_hold(char **argv)
{
	mask_change(SIG_SETMASK, 0);
	for (int n = 1; n <= SIGNALS; n++)
		disposition_set(n, (uintptr_t)SIG_DFL);
	if (argv[0])
		prctl(PR_SET_NAME, argv[0]);
	dprintf(1, "ready %d\n", getpid());
	sleep_for_ever();
}

/* slow N MS CODE: at signal N works MS ms more (naming what else comes), then exits with CODE. */
static int do_slow(char **argv)
{
	int end = number(argv[0]), code = number(argv[2]), n;
	long until = -1;
	siginfo_t info;
	mask_change(SIG_SETMASK, ~UINT64_C(0));
	dprintf(1, "ready %d\n", getpid());
	while (until < 0 || now_ms() < until) {
		n = signal_take(until < 0 ? -1 : until - now_ms(), &info);
		if (n == 0)
			continue;
		dprintf(1, "got %d\n", n);
		if (n == end && until < 0)
			until = now_ms() + number(argv[1]);
	}
	dprintf(1, "flushed\n");
	return code;
}

/* orphans N [MS]: leaves N grandchildren behind that end at once or after MS ms; then waits for
 * TERM. */
static int do_orphans(char **argv)
{
	int count = number(argv[0]);
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();
		if (pid < 0)
			fail("fork");
		if (pid == 0) {
			if (fork() == 0 && argv[1])
				pause_ms(number(argv[1]));
			_exit(i & 127);
		}
		waitpid(pid, NULL, 0);
		if (i && i % 10000 == 0)
			dprintf(1, "so far %d\n", i);
	}
	dprintf(1, "made %d\n", count);
	return do_signals((char *[]){"15", "0", NULL});
}

/* stopself: stops by SIGSTOP, names the signals that come after CONT, ends at TERM. */
static int do_stopself(char **argv)
{
	(void)argv;
	mask_change(SIG_SETMASK, ~UINT64_C(0));
	dprintf(1, "stopping %d\n", getpid());
	kill(getpid(), SIGSTOP);
	dprintf(1, "continued\n");
	return do_signals((char *[]){"15", "0", NULL});
}

/* crowd N [HOW]: N more of the same group, all ended by any signal; exits at TERM. HOW: apart, each
 * in a session of its own; stopped, each by SIGSTOP. */
static int do_crowd(char **argv)
{
	const char *how = argv[1] ? argv[1] : "";
	for (int i = number(argv[0]); i > 0; i--) {
		pid_t pid = fork();
		if (pid < 0)
			fail("fork");
		if (pid == 0 && strcmp(how, "apart") == 0)
			setsid();
		if (pid == 0 && strcmp(how, "stopself") == 0)
			_exit(do_stopself(NULL));
		if (pid == 0)
			sleep_for_ever();
	}
	return do_signals((char *[]){"15", "0", NULL});
}

/* stuck: in uninterruptible sleep (state D) until a child ends that ignores every signal. */
static int do_stuck(char **argv)
{
	(void)argv;
	for (int n = 1; n <= SIGNALS; n++)
		disposition_set(n, (uintptr_t)SIG_IGN);
	pid_t pid = vfork();
	if (pid == 0) {
		dprintf(1, "ready %d\n", getpid());
		sleep_for_ever();
	}
	return 0;
}

static void *work_on(void *words)
{
	_exit(do_slow(words));
}

/* headless N MS CODE: as slow, but the main thread is gone: a zombie that works on. */
static int do_headless(char **argv)
{
	pthread_t thread;
	mask_change(SIG_SETMASK, ~UINT64_C(0));
	if (pthread_create(&thread, NULL, work_on, argv))
		fail("pthread_create");
	syscall(SYS_exit, 0);
	return BAD_USAGE;
}

/* send PID SIG [COUNT [CODE]]: signals from inside; what cannot be sent makes it fail. */
static int do_send(char **argv)
{
	int count = argv[2] ? number(argv[2]) : 1;
	while (count-- > 0)
		if (number(argv[0]) <= 0 || kill(number(argv[0]), number(argv[1])) < 0)
			fail("kill");
	return argv[2] && argv[3] ? number(argv[3]) : 0;
}

/* -- where another program is run
 * ------------------------------------------------------------------------------ */

static void terminal_take(void)
{
	setsid();
	if (ioctl(0, TIOCSCTTY, 0) < 0)
		fail("TIOCSCTTY");
}

/* Without privilege a filter needs the promise that there will be none. */
static void filter_install(struct sock_fprog *program)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) == 0)
		return;
	if (errno != EACCES || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) < 0)
		fail("seccomp");
}

/* Makes one system call answer error, for this process and all it becomes and starts. */
static void syscall_deny(const char *error, const char *call)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number(call), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)number(error)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	filter_install(&program);
}

/* The same for calls that have one of these bits in their first argument, as of a kernel that does
 * not know the flag. */
static void flag_deny(const char *error, const char *call, const char *bits)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number(call), 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)number(bits), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)number(error)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	filter_install(&program);
}

static void limit_set(int what, rlim_t value)
{
	struct rlimit limit = {value, value};
	if (setrlimit(what, &limit) < 0)
		fail("setrlimit");
}

static void user_become(int uid)
{
	if (setgroups(0, NULL) < 0 || setgid(0) < 0 || setuid((uid_t)uid) < 0)
		fail("setuid");
}

static void directory_remove(const char *path)
{
	if (mkdir(path, 0755) < 0 || chdir(path) < 0 || rmdir(path) < 0)
		fail(path);
}

static void descriptor_open(int fd, const char *path)
{
	int got = open(path, O_RDONLY);
	if (got < 0 || (got != fd && (dup2(got, fd) < 0 || close(got) < 0)))
		fail(path);
}

/* Until somebody writes a byte to the FIFO: time to attach a tracer. */
static void gate_wait(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || readv(fd, &(struct iovec){&byte, 1}, 1) != 1) /* shim's calls are counted */
		fail(path);
	close(fd);
}

/* After the first orphan shim may leave the reaping to the kernel. */
static void orphan_leave(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (fork() == 0)
			pause_ms(20);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	pause_ms(60);
}

/* clang-format off */
/* One option of `with` and its value; returns how many words it took. */
static int with_apply(const char *option, char **value)
{
	switch (option[1]) {
	case 'i': disposition_set(number(value[0]), (uintptr_t)SIG_IGN); return 1;
	case 'b': mask_change(SIG_BLOCK, bit(number(value[0]))); return 1;
	case 'c': close(number(value[0])); return 1;
	case 'd': if (chdir(value[0]) < 0) fail(value[0]); return 1;
	case 'D': directory_remove(value[0]); return 1;
	case 'r': if (chroot(value[0]) < 0 || chdir("/") < 0) fail(value[0]); return 1;
	case 'u': user_become(number(value[0])); return 1;
	case 'k': if (prctl(PR_CAPBSET_DROP, number(value[0]), 0, 0, 0) < 0) fail("capbset"); return 1;
	case 'p': prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); return 0;
	case 'n': limit_set(RLIMIT_NPROC, (rlim_t)number(value[0])); return 1;
	case 'N': limit_set(RLIMIT_NOFILE, (rlim_t)number(value[0])); return 1;
	case 'C': limit_set(RLIMIT_CORE, RLIM_INFINITY); return 0;
	case 'e': syscall_deny(value[0], value[1]); return 2;
	case 'E': flag_deny(value[0], value[1], value[2]); return 3;
	case 'f': descriptor_open(number(value[0]), value[1]); return 2;
	case 't': terminal_take(); return 0;
	case 's': setsid(); return 0;
	case 'g': gate_wait(value[0]); return 1;
	case 'O': orphan_leave(); return 0;
	case 'x': clearenv(); return 0;
	case 'S': prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); return 0;
	default: dprintf(2, "payload: with: %s?\n", option); _exit(BAD_USAGE);
	}
}
/* clang-format on */

/* with OPTION… -- CMD: an odd place to be started in. */
static int do_with(char **argv)
{
	while (*argv && strcmp(*argv, "--") != 0) {
		const char *option = *argv++;
		argv += with_apply(option, argv);
	}
	if (!*argv || !*++argv)
		return BAD_USAGE;
	execvp(argv[0], argv);
	fail(argv[0]);
	return BAD_USAGE;
}

/* The child of `init`: its own group, in front on the terminal for -f, behind for -b. */
static pid_t init_start(char **command, bool group, bool front)
{
	pid_t pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		if (group)
			setpgid(0, 0);
		if (front)
			tcsetpgrp(0, getpid());
		mask_change(SIG_SETMASK, 0);
		execvp(command[0], command);
		fail(command[0]);
	}
	return pid;
}

/*
 * init [-t] [-f|-b] [-m MS] -- CMD: the PID 1 of a namespace in which CMD is none. -t takes the
 * terminal first; -m waits MS ms after the end of CMD for what else ends. Says at the end who owns
 * the terminal, and which process is still there.
 */
static int do_init(char **argv)
{
	bool group = false, front = false;
	long wait_ms = -1;
	int status, code;
	mask_change(SIG_SETMASK, ~UINT64_C(0));
	for (; *argv && strcmp(*argv, "--") != 0; argv++) {
		if (strcmp(*argv, "-t") == 0)
			terminal_take();
		else if (strcmp(*argv, "-m") == 0)
			wait_ms = number(*++argv);
		else
			group = true, front = front || strcmp(*argv, "-f") == 0;
	}
	pid_t child = init_start(argv + 1, group, front), pid;
	while ((pid = waitpid(-1, &status, 0)) != child)
		if (pid < 0 && errno != EINTR)
			fail("wait");
	code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (WIFSIGNALED(status))
		dprintf(2, "init: killed by signal %d\n", WTERMSIG(status));
	if (wait_ms < 0)
		return code;
	if (front)
		dprintf(1, "after: terminal %s\n", tcgetpgrp(0) == child ? "given back" : "lost");
	for (long until = now_ms() + wait_ms;
		now_ms() < until && waitpid(-1, &status, WNOHANG) >= 0; pause_ms(20))
		;
	dprintf(1, "after: %s\n",
		waitpid(-1, &status, WNOHANG) < 0 ? "nobody left" : "somebody left");
	return code;
}

/* In the tracer: takes the vDSO out of the auxiliary vector of pid, which has just executed. */
static void vdso_hide(pid_t pid)
{
#ifdef __x86_64__
	struct user_regs_struct regs;
	unsigned long word = 1, at;
	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		fail("GETREGS");
	at = regs.rsp + sizeof(word);
	for (int lists = 0; lists < 2;
		at += sizeof(word)) { /* argv and environ end with a NULL each */
		word = (unsigned long)ptrace(PTRACE_PEEKDATA, pid, (void *)at, NULL);
		lists += word == 0;
	}
	for (; (word = (unsigned long)ptrace(PTRACE_PEEKDATA, pid, (void *)at, NULL)) != 0;
		at += 2 * sizeof(word))
		if (word == 33)                                              /* AT_SYSINFO_EHDR */
			ptrace(PTRACE_POKEDATA, pid, (void *)at, (void *)1); /* AT_IGNORE */
#else
	(void)pid;
#endif
}

/* novdso CMD: so that clock_gettime is a system call which a filter or strace sees. CMD keeps this
 * process' id. */
static int do_novdso(char **argv)
{
	pid_t self = getpid();
	int status;
	if (fork() == 0) {
		if (fork() != 0)
			_exit(0);
		if (ptrace(PTRACE_SEIZE, self, NULL, (void *)PTRACE_O_TRACEEXEC) < 0)
			fail("SEIZE");
		while (waitpid(self, &status, __WALL) == self &&
			status >> 8 != (SIGTRAP | PTRACE_EVENT_EXEC << 8))
			ptrace(PTRACE_CONT, self, NULL, NULL);
		vdso_hide(self);
		ptrace(PTRACE_DETACH, self, NULL, NULL);
		_exit(0);
	}
	wait(NULL);
	pause_ms(300); /* for the tracer; the scenario checks that it saw any call at all */
	execvp(argv[0], argv);
	fail(argv[0]);
	return BAD_USAGE;
}

/* -- */

static const struct {
	const char *name;
	int least; /* arguments */
	int (*run)(char **argv);
} commands[] = {
	{"report", 0, do_report},
	{"exit", 1, do_exit},
	{"kill", 1, do_kill},
	{"signals", 0, do_signals},
	{"ignore", 0, do_ignore},
	{"hold", 0, do_hold},
	{"slow", 3, do_slow},
	{"orphans", 1, do_orphans},
	{"crowd", 1, do_crowd},
	{"stopself", 0, do_stopself},
	{"stuck", 0, do_stuck},
	{"headless", 3, do_headless},
	{"send", 2, do_send},
	{"with", 2, do_with},
	{"init", 2, do_init},
	{"novdso", 1, do_novdso},
};

/* Where there is no /proc, a scenario has taken it away: nobody else's machine is without one. */
static bool in_outer_namespace(void)
{
	struct stat st;
	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == OUTER_PIDNS;
}

int main(int argc, char **argv)
{
	if (in_outer_namespace()) {
		dprintf(2, "payload: this only runs in a PID namespace of its own "
			   "(tests/harness.py)\n");
		return BAD_USAGE;
	}
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0 && argc - 2 >= commands[i].least)
			return commands[i].run(argv + 2);
	dprintf(2, "payload: no such thing: %s\n", argc > 1 ? argv[1] : "");
	return BAD_USAGE;
}
