/*
 * messages.c - words between two processes that are both shim.
 */
#include "messages.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

int messages_send(pid_t pid, enum message message)
{
	siginfo_t info;

	memset(&info, 0, sizeof info);
	info.si_signo = MESSAGE_SIGNAL;
	info.si_code = MESSAGE_CODE;
	info.si_pid = getpid(); /* the kernel does not fill it in */
	info.si_uid = getuid();
	info.si_value.sival_int = (int)message;
	return (int)syscall(SYS_rt_sigqueueinfo, pid, MESSAGE_SIGNAL, &info);
}

int messages_wait(pid_t from, int64_t deadline_ns)
{
	static const uint64_t set = SIGNAL_BIT(MESSAGE_SIGNAL);

	for (;;) {
		int64_t left_ns = deadline_ns - clock_now_ns();
		struct timespec left = {0, 0};
		siginfo_t info;

		if (left_ns > 0)
			left = (struct timespec){
				(time_t)(left_ns / NS_PER_S), (long)(left_ns % NS_PER_S)};
		if (syscall(SYS_rt_sigtimedwait, &set, &info, &left, sizeof set) ==
			MESSAGE_SIGNAL) {
			if (info.si_code == MESSAGE_CODE && info.si_pid == from)
				return info.si_value.sival_int;
		} else if (errno != EINTR)
			return -1;
	}
}
