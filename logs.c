/*
 * logs.c - the child between the app's output and the container's.
 *
 * One loop that never blocks in a write, so that a reader who stops reading one stream holds up
 * that one only: it is not read any further, its pipe fills, and the app waits as it would for the
 * reader itself. O_NONBLOCK would be seen by all who share the file; so each write says it for
 * itself (RWF_NOWAIT), and where the kernel cannot, poll(2) and PIPE_BUF promise the same for
 * pipes.
 */
#include "logs.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "format.h"
#include "names.h"
#include "records.h"
#include "util.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

enum {
	WHOLE = 4096,            /* PIPE_BUF: such a write is never torn by another's */
	LAST_READ = 1024 * 1024, /* when all has ended: what a pipe can hold at most */
};

struct stream;

struct sink {
	int fd;
	bool may_block;
	bool is_shims; /* shim itself writes there, too, and its lines must not cut ours */
	bool is_blocked;
	struct stream *holder; /* whose line has been written in part */
};

struct stream {
	int source; /* 0: none, or its end was seen */
	unsigned mask;
	bool is_behind; /* it has read what it could not write yet */
	bool is_dry;    /* there was nothing to read in the last round, and it was asked */
	size_t last_read;
	struct sink *sink;
	struct records records;
};

/* What is never touched costs nothing: no page of it is there in PID 1. */
static struct stream streams[LOGS_STREAMS];
static struct sink sinks[2];
static const struct logs_plan *plan;
static bool is_ending, has_no_nowait;
static unsigned gone; /* streams that nobody reads any more */
static char *problem;
static size_t problem_size;

static void prepare(void)
{
	static const char names[LOGS_STREAMS][8] = {"stdout", "stderr", "stderr"};

	for (int i = 0; i < 2; i++)
		sinks[i] = (struct sink){.fd = STDOUT_FILENO + i,
			.may_block = plan->may_block[i],
			.is_shims = i > 0};
	for (int i = 0; i < LOGS_STREAMS; i++) {
		streams[i].source = plan->sources[i];
		streams[i].mask = 1U << i;
		streams[i].sink = &sinks[i > 0 || plan->is_same];
		streams[i].records.stream = names[i];
		streams[i].records.source = i == LOGS_HOOK ? "hook" : NULL;
		streams[i].records.nest = plan->nest;
		streams[i].records.is_plain = !plan->is_json;
	}
}

/* --- out --- */

static ssize_t write_some(const struct sink *sink, const char *text, size_t length)
{
	struct iovec iov = {(char *)(uintptr_t)text, length};
	struct pollfd writable = {.fd = sink->fd, .events = POLLOUT};

	if (!sink->may_block)
		return write(sink->fd, text, length);
	if (!has_no_nowait) {
		ssize_t written = syscall(SYS_pwritev2, sink->fd, &iov, 1UL, -1L, -1L, RWF_NOWAIT);
		if (written >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EPERM &&
					    errno != EINVAL))
			return written;
		has_no_nowait = true;
	}
	if (poll(&writable, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(sink->fd, text, length < WHOLE ? length : WHOLE);
}

/* How much to write at once: whole lines. */
static size_t next_piece(const struct stream *s)
{
	const char *text = s->records.out + s->records.done;
	size_t length = s->records.ready - s->records.done;

	if (!s->sink->is_shims || length <= WHOLE)
		return length;
	const char *end = memrchr(text, '\n', WHOLE);
	if (!end)
		end = memchr(text + WHOLE, '\n', length - WHOLE);
	return end ? (size_t)(end - text) + 1 : length;
}

/* Nobody reads it: then the app is to learn that, and PID 1 lets go of the pipe, too. What else
 * fails (a full disk) is no reason to stop the app; it is dropped, and said. */
static void write_failed(struct stream *s, size_t length)
{
	if (errno != EPIPE) {
		(void)format_text(
			problem, problem_size, "%s: %s", s->records.stream, error_text(errno));
		records_wrote(&s->records, length);
		return;
	}
	gone |= s->mask;
	s->source = 0;
	records_wrote(&s->records, s->records.ready - s->records.done);
}

static void write_out(struct stream *s)
{
	struct sink *sink = s->sink;

	while (s->records.done < s->records.ready && !sink->is_blocked &&
		(!sink->holder || sink->holder == s)) {
		size_t length = next_piece(s);
		ssize_t written = write_some(sink, s->records.out + s->records.done, length);

		if (written < 0 && errno == EAGAIN)
			sink->is_blocked = true;
		else if (written < 0 && errno != EINTR) {
			sink->holder = NULL;
			write_failed(s, length);
		} else if (written >= 0) {
			sink->holder = (size_t)written < length ? s : NULL;
			records_wrote(&s->records, (size_t)written);
		}
	}
}

/* --- in --- */

static void keep_tail(const char *text, size_t length)
{
	struct logs_tail *tail = plan->tail;

	tail->total += length;
	if (length > LOGS_TAIL) {
		text += length - LOGS_TAIL;
		length = LOGS_TAIL;
	}
	size_t at = (size_t)((tail->total - length) % LOGS_TAIL);
	size_t first = length < LOGS_TAIL - at ? length : LOGS_TAIL - at;
	memcpy(tail->ring + at, text, first);
	memcpy(tail->ring, text + first, length - first);
}

static void read_in(struct stream *s)
{
	char *at;
	size_t room = records_space(&s->records, &at);
	ssize_t count = read(s->source, at, room);

	if (count > 0) {
		if (plan->tail && s == &streams[LOGS_ERR])
			keep_tail(at, (size_t)count);
		records_take(&s->records, (size_t)count, clock_wall_ns(), clock_now_ns());
		if (is_ending)
			s->last_read += (size_t)count;
	} else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
		s->source = 0;
		records_end(&s->records);
	}
}

/* Records out of what was read, and out with them, until there are none or the reader is slow. */
static void work(struct stream *s, int64_t now_ns)
{
	do {
		s->is_behind = !records_work(&s->records);
		if (!s->is_behind)
			records_check_time(&s->records, now_ns);
		write_out(s);
	} while (s->is_behind && !s->records.ready);
	s->is_behind = s->is_behind || s->records.ready;
}

/* --- the loop --- */

/* Whether it has is not known before it is asked. */
static bool has_input_left(const struct stream *s)
{
	return s->source && !gone && s->last_read < LAST_READ;
}

/* Waits until something can be done, and does the reading. */
static void wait_and_read(void)
{
	struct pollfd fds[1 + LOGS_STREAMS + 2] = {{.fd = plan->control, .events = POLLIN}};
	struct timespec left;
	int64_t deadline_ns = is_ending || gone ? 0 : -1;
	nfds_t count = 1 + LOGS_STREAMS;

	if (is_ending)
		fds[0].fd = -1;
	for (int i = 0; i < LOGS_STREAMS; i++) {
		bool is_wanted = has_input_left(&streams[i]) && !streams[i].is_behind;
		fds[1 + i] =
			(struct pollfd){.fd = is_wanted ? streams[i].source : -1, .events = POLLIN};
		deadline_ns = earlier_ns(deadline_ns, records_deadline_ns(&streams[i].records));
	}
	for (int i = 0; i < 2; i++)
		if (sinks[i].is_blocked) {
			fds[count++] = (struct pollfd){.fd = sinks[i].fd, .events = POLLOUT};
			if (is_ending || gone)
				deadline_ns = -1; /* nothing else is waited for */
		}
	if (deadline_ns > 0) {
		deadline_ns -= clock_now_ns();
		if (deadline_ns < 0)
			deadline_ns = 0;
	}
	left.tv_sec = deadline_ns / NS_PER_S;
	left.tv_nsec = (long)(deadline_ns % NS_PER_S);
	if (ppoll(fds, count, deadline_ns < 0 ? NULL : &left, NULL) < 0)
		return;
	is_ending = is_ending || fds[0].revents;
	sinks[0].is_blocked = sinks[1].is_blocked = false; /* trying is cheap */
	for (int i = 0; i < LOGS_STREAMS; i++) {
		streams[i].is_dry =
			!fds[1 + i].revents && (fds[1 + i].fd >= 0 || !has_input_left(&streams[i]));
		if (fds[1 + i].revents)
			read_in(&streams[i]);
	}
}

/* One round of one stream; nothing is held back any more when leaving. True: it is through. */
static bool go_on(struct stream *s, bool is_leaving)
{
	int64_t now_ns = clock_now_ns();

	work(s, now_ns);
	if (!is_leaving || !s->is_dry || s->is_behind)
		return false;
	records_end(&s->records);
	work(s, now_ns);
	return !s->is_behind;
}

int logs_run(void *context, char *reason, size_t size)
{
	plan = context;
	problem = reason;
	problem_size = size;
	prepare();
	for (;;) {
		wait_and_read();
		bool is_leaving = is_ending || gone, is_through = is_leaving;
		for (int i = 0; i < LOGS_STREAMS; i++)
			is_through = go_on(&streams[i], is_leaving) && is_through;
		if (is_through)
			return gone ? LOGS_GONE | (int)gone : 0;
	}
}
