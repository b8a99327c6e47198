/*
 * hot.c - prints the addresses, from the start of the file, that a program executes as PID 1 of a
 * namespace of its own: it is stepped through, and so are its children until they execute
 * something. Usage: hot PROGRAM [ARG...]. For scripts/hot, x86-64 only.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SPAN = 1 << 20 };
static unsigned char seen[SPAN];

static int run(char **argv)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("proc", "/proc", "proc", 0, NULL) < 0 || ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
		return 125;
	alarm(60);
	execv(argv[0], argv);
	return 126;
}

/* Where the first mapping of the program begins. */
static unsigned long find_base(pid_t pid)
{
	char path[64];
	unsigned long base = 0;

	snprintf(path, sizeof path, "/proc/%d/auxv", (int)pid);
	FILE *auxv = fopen(path, "r");
	unsigned long entry[2];
	while (auxv && fread(entry, sizeof entry, 1, auxv) == 1)
		if (entry[0] == 3) /* AT_PHDR; the headers are in the first page */
			base = entry[1] & ~4095UL;
	if (auxv)
		fclose(auxv);
	return base;
}

static void step(pid_t pid, unsigned long base, int status)
{
	struct user_regs_struct regs;
	int signo = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_EXEC) {
		ptrace(PTRACE_DETACH, pid, 0, 0);
		return;
	}
	if (ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0 && regs.rip - base < SPAN)
		seen[regs.rip - base] = 1;
	if (event || signo == SIGTRAP || signo == SIGSTOP)
		signo = 0;
	ptrace(PTRACE_SINGLESTEP, pid, 0, signo);
}

int main(int argc, char **argv)
{
	int status;

	if (argc < 2 || unshare(CLONE_NEWPID) < 0)
		return 125;
	pid_t init = fork();
	if (init == 0)
		_exit(run(argv + 1));
	if (init < 0 || waitpid(init, &status, 0) < 0 || !WIFSTOPPED(status))
		return 125;
	unsigned long base = find_base(init);
	ptrace(PTRACE_SETOPTIONS, init, 0,
		PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
	for (pid_t pid = init; pid > 0; pid = waitpid(-1, &status, __WALL)) {
		if (WIFSTOPPED(status))
			step(pid, base, status);
		else if (pid == init)
			break;
	}
	for (unsigned long i = 0; i < SPAN; i++)
		if (seen[i])
			printf("@%lx\n", i); /* the app prints, too */
	return 0;
}
