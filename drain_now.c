/*
 * drain_now.c - shim --drain-now, a program of its own: what a pre-stop exec hook runs.
 *
 * It asks again and again, and PID 1 answers each time at once: so nothing has to be remembered of
 * who waits, and nobody is answered who is gone. Called by setup.c.
 */
#include "drain_now.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compat.h"
#include "format.h"
#include "log.h"
#include "messages.h"
#include "names.h"
#include "privs.h"
#include "shim.h"
#include "util.h"

enum { EXIT_DRAINED = 0, EXIT_NOT_DRAINED = 1, INIT = 1, NAME_SIZE = 64, ASK_EVERY_MS = 200 };

#define ANSWER_WITHIN_NS (5 * NS_PER_S)

/* The first line or string of a small file; "" if it cannot be read. */
static void read_name(const char *path, char name[NAME_SIZE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, name, NAME_SIZE - 1);

	if (fd >= 0)
		(void)close(fd);
	name[length < 0 ? 0 : length] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

/* Another program would die of the signal, or pass it on to one that does. */
static bool is_init_shim(void)
{
	struct stat mine, theirs;
	char name[NAME_SIZE], own_name[NAME_SIZE], called[NAME_SIZE];

	read_name("/proc/1/comm", name);
	read_name("/proc/self/comm", own_name);
	read_name("/proc/1/cmdline", called);
	bool is_same = stat("/proc/1/exe", &theirs) == 0 && stat("/proc/self/exe", &mine) == 0
			       ? mine.st_dev == theirs.st_dev && mine.st_ino == theirs.st_ino
			       : *name && strcmp(name, own_name) == 0; /* another user's file */
	if (getpid() == INIT)
		log_at(LEVEL_FATAL,
			"--drain-now: this is PID 1 itself; it is for a second process");
	else if (!is_same)
		log_at(LEVEL_FATAL, "--drain-now: PID 1 is not this shim%s%s", *name ? " but " : "",
			name);
	else if (compat_personality(called) != AS_SHIM)
		log_at(LEVEL_FATAL, "--drain-now: PID 1 is shim as %s, which does not drain",
			called);
	else
		return true;
	return false;
}

/* An answer comes from PID 1's user, who may not send a signal to root's process. */
static void become_user_of_init(void)
{
	struct stat init;

	if (geteuid() == 0 && stat("/proc/1", &init) == 0 && init.st_uid != 0)
		(void)privs_set_user(init.st_uid); /* else it shows */
}

int drain_now_main(int64_t timeout_ns)
{
	uint64_t blocked = SIGNAL_BIT(MESSAGE_SIGNAL);
	int64_t start_ns = clock_now_ns();
	char text[DURATION_SIZE];

	if (!is_init_shim())
		return EXIT_NOT_DRAINED;
	become_user_of_init();
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, sizeof blocked);
	for (;;) {
		if (messages_send(INIT, MESSAGE_DRAIN) < 0) {
			log_at(LEVEL_FATAL, "--drain-now: PID 1 cannot be asked: %s",
				error_text(errno));
			return EXIT_NOT_DRAINED;
		}
		int answer = messages_wait(INIT, clock_now_ns() + ANSWER_WITHIN_NS);
		if (answer == MESSAGE_IS_DRAINED)
			return EXIT_DRAINED;
		if (answer != MESSAGE_IS_DRAINING) {
			log_at(LEVEL_FATAL, "--drain-now: PID 1 does not answer");
			return EXIT_NOT_DRAINED;
		}
		if (timeout_ns >= 0 && clock_now_ns() >= start_ns + timeout_ns) {
			log_at(LEVEL_FATAL, "--drain-now: not drained after %s",
				format_duration(timeout_ns, text));
			return EXIT_NOT_DRAINED;
		}
		(void)poll(NULL, 0, ASK_EVERY_MS);
	}
}
