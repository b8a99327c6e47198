/*
 * spawn.c - starts a program as a child.
 *
 * Between clone and exec the child runs on a stack of its own in shim's memory while shim waits in
 * the kernel (vfork(2)): only async-signal-safe calls, and no write but to struct spawn and the
 * environment. A hook is forked instead: while its program is on a file system that does not
 * answer, shim would wait in the kernel and keep no deadline.
 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sanitizer/asan_interface.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "format.h"
#include "log.h"
#include "parse.h"
#include "privs.h"
#include "signals.h"
#include "terminal.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000 /* Linux 5.2; ignored before */
#endif

enum {
	CHILD_STACK = 16 * 1024, /* a path buffer, a log line, and room */
	CANDIDATE_MAX = 4096,    /* PATH_MAX */
	REPORT_MS = 100,         /* how long shim waits for what exec says */
};

const char *spawn_stage_name(enum spawn_stage stage)
{
	static const char names[][20] = {
		[SPAWN_DONE] = "done",
		[SPAWN_FORK] = "fork",
		[SPAWN_PRIVS] = "give privileges to",
		[SPAWN_EXEC] = "execute",
	};

	_Static_assert(sizeof names / sizeof *names == SPAWN_STAGES, "every stage has words");
	return names[stage];
}

const char *spawn_search_path(void)
{
	const char *path = getenv("PATH");

	return path ? path : "/bin:/usr/bin";
}

const char *spawn_next_directory(const char *path, char *dir, size_t size)
{
	const char *end = path;

	while (*end && *end != ':')
		end++;
	size_t length = (size_t)(end - path);
	if (length == 0)
		(void)format_text(dir, size, ".");
	else if (length < size) {
		memcpy(dir, path, length);
		dir[length] = '\0';
	} else
		dir[0] = '\0';
	return *end ? end + 1 : NULL;
}

/*
 * execvp(3)'s rule for a script without a #! line: /bin/sh runs it. Not for a program of another
 * architecture, which a shell would only read as garbage. "sh" takes the slot before argv[0], so
 * that there is no limit to the arguments.
 */
static void run_by_shell(char *path, char **argv, char **environment)
{
	static char shell[] = "sh";
	char head[4] = "";
	char *name = argv[0];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ssize_t length = read(fd, head, sizeof head);
		(void)close(fd);
		if (length < 0 || memchr(head, '\0', (size_t)length) ||
			memcmp(head, "\177ELF", sizeof head) == 0) {
			errno = ENOEXEC;
			return;
		}
	}
	argv[-1] = shell;
	argv[0] = path;
	(void)execve("/bin/sh", argv - 1, environment);
	argv[0] = name;
	errno = ENOEXEC; /* no shell: then the file itself is what could not be run */
}

static void execute_path(char *path, char **argv, char **environment)
{
	(void)execve(path, argv, environment);
	if (errno == ENOEXEC)
		run_by_shell(path, argv, environment);
}

/* execvp(3) with glibc's rules, which musl's differ from: no search for a name with a slash, EACCES
 * is told only when nothing better was found, and scripts without #! go to the shell. */
static int execute(char **argv, char **environment)
{
	char candidate[CANDIDATE_MAX];
	char *name = argv[0];
	bool denied = false;

	if (!*name)
		return ENOENT;
	if (strchr(name, '/')) {
		execute_path(name, argv, environment);
		return errno;
	}
	if (strlen(name) > 255)
		return ENAMETOOLONG;
	for (const char *path = spawn_search_path(); path;) {
		path = spawn_next_directory(path, candidate, sizeof candidate - 257);
		if (!*candidate)
			continue;
		size_t length = strlen(candidate);
		candidate[length] = '/';
		memcpy(candidate + length + 1, name, strlen(name) + 1);
		execute_path(candidate, argv, environment);
		if (errno == EACCES)
			denied = true;
		else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE &&
			 errno != ENODEV && errno != ETIMEDOUT)
			return errno;
	}
	return denied ? EACCES : ENOENT;
}

/* sd_listen_fds(3): passed sockets are for the process that LISTEN_PID names. When that was shim,
 * they are the child's now. */
static void rename_listen_pid(char **environment)
{
	static char variable[32];
	static const char listen_pid[] = "LISTEN_PID=";
	long pid;

	for (char **p = environment; *p; p++) {
		if (strncmp(*p, listen_pid, sizeof listen_pid - 1) != 0)
			continue;
		if (parse_number(*p + sizeof listen_pid - 1, 1, INT32_MAX, &pid) == 0 &&
			pid == getppid()) {
			(void)format_text(
				variable, sizeof variable, "%s%d", listen_pid, (int)getpid());
			*p = variable;
		}
		return;
	}
}

/* Its own process group; a sandbox that knows none leaves it in shim's. */
static void place_in_group(struct spawn *s)
{
	s->placement = PLACE_GROUP;
	if (setpgid(0, 0) == 0)
		return;
	s->group_error = errno;
	s->placement = PLACE_SAME;
}

/* The new process group or session, and the terminal: as much of it as can be had. */
static void place(struct spawn *s)
{
	switch (s->placement) {
	case PLACE_SAME:
		return;
	case PLACE_GROUP:
		place_in_group(s);
		if (s->terminal >= 0 && s->placement == PLACE_GROUP &&
			terminal_give(s->terminal, getpid()) < 0)
			s->terminal_error = errno;
		return;
	case PLACE_SESSION:
		if (setsid() < 0) {
			place_in_group(s);
			return;
		}
		if (s->attach_terminal && terminal_attach() < 0)
			log_note(NOTE_ATTACH_FAILED, errno, 0, NULL);
		log_note(NOTE_SETSID, 0, 0, NULL);
		return;
	}
}

/* A hook's output belongs to the container's log, and the app's sockets and input are not for it.
 */
static void redirect_hook(struct spawn *s)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null > 0)
		(void)dup2(null, STDIN_FILENO); /* without one it keeps the app's input */
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	(void)fcntl(STDERR_FILENO, F_SETFD, 0); /* where descriptors_reserve() was needed */
	descriptors_close(s->report, s->report[0] >= 0 ? 2 : 0);
}

/* AddressSanitizer knows nothing of the stack this runs on. */
__attribute__((no_sanitize_address)) static int child_main(void *context)
{
	struct spawn *s = context;
	char **environment = s->environment ? s->environment : environ;

	place(s);
	if (s->output)
		(void)dup2(s->output, STDOUT_FILENO); /* cannot fail: both are in range */
	if (s->errors)
		(void)dup2(s->errors, STDERR_FILENO);
	if (s->is_hook)
		redirect_hook(s);
	if (s->directory)
		(void)!chdir(s->directory);
	if (s->directory_fd)
		(void)!fchdir(s->directory_fd); /* may search it: it could be opened */
	if (s->hand_on_sockets)
		rename_listen_pid(environment);
	if (s->drops_privileges && privs_become(&s->call) < 0) {
		s->error = errno;
		s->stage = SPAWN_PRIVS;
		_exit(EXIT_SHIM);
	}
	if (s->clean_signals)
		signals_restore_clean();
	else
		signals_restore_inherited();
	s->error = execute(s->argv, environment);
	s->stage = SPAWN_EXEC;
	if (s->report[0] >= 0) /* the child has the other end too, so there is no SIGPIPE */
		(void)!write(s->report[1], &s->error, sizeof s->error);
	log_note(NOTE_EXEC_FAILED, s->error, 0, s->argv[0]);
	_exit(s->error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXEC);
}

/* How it went, from a child that does not share our memory. None yet: it will end with 126 or 127,
 * or run. */
static void read_report(struct spawn *s)
{
	struct pollfd fd = {.fd = s->report[0], .events = POLLIN};

	(void)close(s->report[1]);
	if (s->pid > 0 && poll(&fd, 1, REPORT_MS) > 0 &&
		read(fd.fd, &s->error, sizeof s->error) == sizeof s->error)
		s->stage = SPAWN_EXEC;
	(void)close(fd.fd);
}

int spawn_run(struct spawn *s)
{
	char stack[CHILD_STACK] __attribute__((aligned(16)));
	int flags = SIGCHLD;

	s->report[0] = -1;
	if (!s->is_hook || pipe2(s->report, O_CLOEXEC) < 0)
		flags |= CLONE_VM | CLONE_VFORK;
	char *name = s->argv[0], *before = s->argv[-1];

	s->stage = SPAWN_DONE;
	s->error = s->group_error = s->terminal_error = 0;
	s->pidfd = -1;
	s->pid = clone(child_main, stack + sizeof stack, flags | CLONE_PIDFD, s, &s->pidfd);
	if (s->pid < 0 && errno != EAGAIN && errno != ENOMEM)
		s->pid = clone(child_main, stack + sizeof stack, flags, s);
	int error = errno;
	if (s->report[0] >= 0)
		read_report(s);
	/* A script that went to the shell has left its path there, which was on the child's stack.
	 */
	s->argv[0] = name;
	s->argv[-1] = before;
	if (s->pid < 0) {
		s->stage = SPAWN_FORK;
		s->error = error;
		log_note(NOTE_FORK_FAILED, s->error, 0, NULL);
		return -1;
	}
	ASAN_UNPOISON_MEMORY_REGION(stack, sizeof stack); /* nothing but for sanitized builds */
	if (s->stage == SPAWN_DONE)
		return 0;
	while (wait4(s->pid, NULL, 0, NULL) < 0 && errno == EINTR)
		continue;
	if (s->pidfd >= 0)
		(void)close(s->pidfd);
	s->pidfd = -1;
	return -1;
}
