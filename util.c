/*
 * util.c - the clocks, and what else is too small for a module of its own.
 */
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

static int64_t read_clock(clockid_t id)
{
	struct timespec now = {0};

	(void)clock_gettime(id, &now); /* these two clocks cannot fail */
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

size_t utf8_cut(const char *text, size_t length, size_t max)
{
	size_t lead = max;

	if (length <= max)
		return length;
	/* A sequence is at most 4 bytes; more continuation bytes than that are no UTF-8 and are cut
	 * anywhere. */
	while (lead > 0 && max - lead < 3 && ((unsigned char)text[lead] & 0xC0) == 0x80)
		lead--;
	return ((unsigned char)text[lead] & 0xC0) == 0xC0 ? lead : max;
}

int64_t earlier_ns(int64_t a_ns, int64_t b_ns)
{
	if (a_ns < 0 || b_ns < 0)
		return a_ns < 0 ? b_ns : a_ns;
	return a_ns < b_ns ? a_ns : b_ns;
}

int write_all(int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, data, length);

		if (written < 0 && errno == EAGAIN) {
			struct pollfd writable = {.fd = fd, .events = POLLOUT};
			(void)poll(&writable, 1, -1);
		} else if (written < 0 && errno != EINTR) {
			return -1;
		} else if (written > 0) {
			data += written;
			length -= (size_t)written;
		}
	}
	return 0;
}

void take_signal_of(int error)
{
	const int signo = error == EPIPE ? SIGPIPE : error == EFBIG ? SIGXFSZ : 0;
	const uint64_t set = signo ? SIGNAL_BIT(signo) : 0;
	const struct timespec at_once = {0, 0};
	int saved_errno = errno;

	/* The raw call, since libc's sigset functions know fewer signals. */
	if (signo)
		(void)syscall(SYS_rt_sigtimedwait, &set, NULL, &at_once, sizeof set);
	errno = saved_errno;
}
