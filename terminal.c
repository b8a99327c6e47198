/*
 * terminal.c - handing the terminal to the app's process group, and taking it back.
 *
 * All signals are blocked in shim, so a change of the foreground from the background is not
 * answered with SIGTTOU (ioctl_tty(2), TIOCSPGRP).
 */
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "log.h"
#include "shim.h"
#include "signals.h"

/*
 * In a fresh PID namespace both our group and the foreground one may live outside, and both read as
 * 0. The kernel's own check tells them apart: while SIGTTIN is blocked, a read by a background
 * process fails with EIO. Nothing is read, as nothing is asked for.
 */
static bool may_read(int fd)
{
	return read(fd, NULL, 0) == 0;
}

int terminal_find(bool *in_foreground)
{
	static const int candidates[] = {STDIN_FILENO, STDERR_FILENO};

	*in_foreground = false;
	for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
		pid_t foreground = tcgetpgrp(candidates[i]);
		if (foreground < 0)
			continue; /* not a terminal, or not ours */
		*in_foreground =
			foreground == getpgrp() && (foreground > 0 || may_read(candidates[i]));
		return candidates[i];
	}
	return -1;
}

int terminal_give(int fd, pid_t group)
{
	return ioctl(fd, TIOCSPGRP, &group);
}

void terminal_take_back(int fd, pid_t group)
{
	if (tcgetpgrp(fd) == group)
		(void)terminal_give(fd, getpgrp()); /* a nicety: the shell above does it, too */
}

bool terminal_has_job_control(void)
{
	pid_t parent = getppid();

	return parent > 1 && getsid(parent) == getsid(0) && getpgid(parent) != getpgrp();
}

uint64_t terminal_detach(void)
{
	if (ioctl(STDIN_FILENO, TIOCNOTTY) < 0) {
		log_note(NOTE_DETACH_FAILED, errno, 0, NULL);
		return 0;
	}
	if (getsid(0) != getpid()) {
		log_note(NOTE_DETACHED, 0, 0, NULL);
		return 0;
	}
	log_note(NOTE_DETACHED_LEADER, 0, 0, NULL);
	/* The kernel has sent both before the call came back, so what is taken here is just those
	 * two. */
	return signals_take_pending(SIGNAL_BIT(SIGHUP) | SIGNAL_BIT(SIGCONT));
}

int terminal_attach(void)
{
	return ioctl(STDIN_FILENO, TIOCSCTTY, 0);
}
