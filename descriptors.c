/*
 * descriptors.c - closing what shim inherited and the app now has: a socket that the app closes
 * must be closed for good.
 */
#include "descriptors.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on every architecture */
#endif

void descriptors_reserve(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", O_RDWR | O_CLOEXEC); /* gets the lowest free one */
}

static void sort(int *numbers, size_t count)
{
	for (size_t i = 1; i < count; i++)
		for (size_t j = i; j > 0 && numbers[j] < numbers[j - 1]; j--) {
			int other = numbers[j];
			numbers[j] = numbers[j - 1];
			numbers[j - 1] = other;
		}
}

/* All of first..last. close_range(2) is Linux 5.9, and some sandboxes refuse it. */
static void close_span(unsigned first, unsigned last)
{
	enum { LIMIT_UNKNOWN = 1024, LIMIT_MAX = 1 << 20 };
	struct rlimit limit;

	if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		limit.rlim_cur = LIMIT_UNKNOWN;
	if (limit.rlim_cur > LIMIT_MAX)
		limit.rlim_cur = LIMIT_MAX;
	if (last >= limit.rlim_cur)
		last = (unsigned)limit.rlim_cur;
	for (unsigned fd = first; fd <= last; fd++)
		(void)close((int)fd);
}

void descriptors_close(int *keep, size_t count)
{
	unsigned first = 3;

	sort(keep, count);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < (int)first)
			continue;
		close_span(first, (unsigned)keep[i] - 1);
		first = (unsigned)keep[i] + 1;
	}
	close_span(first, ~0U);
}
