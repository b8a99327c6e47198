/*
 * notify_server.c - reads what the app says of itself; a sealed child of PID 1.
 *
 * Any process of the container may speak (systemd's NotifyAccess=all). Another container of the
 * pod, which shares the network namespace and with it the names of abstract sockets, may not: its
 * process ids are none here.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "notify.h"
#include "parse.h"
#include "util.h"

enum { DATAGRAM_MAX = 4096 };

/* The value of the line, if it begins with name ("READY="). */
static const char *value_of(const char *line, const char *end, const char *name, size_t *length)
{
	size_t n = strlen(name);

	if ((size_t)(end - line) < n || memcmp(line, name, n) != 0)
		return NULL;
	*length = (size_t)(end - line) - n;
	return line + n;
}

static bool says(const char *line, const char *end, const char *words)
{
	size_t rest;

	return value_of(line, end, words, &rest) && rest == 0;
}

/* Microseconds; what is no number or too large is 0. */
static int64_t parse_usec(const char *digits, size_t length)
{
	char text[20];
	long number = 0;

	if (length == 0 || length >= sizeof text)
		return 0;
	memcpy(text, digits, length);
	text[length] = '\0';
	return parse_number(text, 0, LONG_MAX / 1000, &number) == 0 ? number * (int64_t)1000 : 0;
}

void notify_parse(const char *datagram, size_t length, struct notify_words *words)
{
	const char *last = datagram + length;

	memset(words, 0, sizeof *words);
	for (const char *line = datagram; line < last;) {
		const char *end = memchr(line, '\n', (size_t)(last - line));
		const char *value;
		size_t size;

		if (!end)
			end = last;
		words->is_ready |= says(line, end, "READY=1");
		words->is_stopping |= says(line, end, "STOPPING=1");
		words->is_alive |= says(line, end, "WATCHDOG=1");
		words->is_in_trouble |= says(line, end, "WATCHDOG=trigger");
		value = value_of(line, end, "EXTEND_TIMEOUT_USEC=", &size);
		if (value)
			words->extend_ns = parse_usec(value, size);
		value = value_of(line, end, "STATUS=", &size);
		if (value) {
			words->text = value;
			words->text_length = size;
		}
		line = end + 1;
	}
}

/* The next datagram of a process of this container; its length, 0 for none that counts. Descriptors
 * that come with it find no room, and the kernel closes them: a sender that waits for that
 * (BARRIER=1) may go on. */
static ssize_t receive(int fd, char buf[DATAGRAM_MAX])
{
	union {
		struct cmsghdr header; /* for its alignment */
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec piece = {buf, DATAGRAM_MAX};
	struct msghdr message = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control};
	ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = length < 0 ? NULL : CMSG_FIRSTHDR(&message);
	struct ucred sender;

	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
		(message.msg_flags & MSG_TRUNC))
		return 0;
	memcpy(&sender, CMSG_DATA(c), sizeof sender);
	return sender.pid > 0 ? length : 0;
}

static void tell(struct status_page *page, const struct notify_words *words)
{
	size_t length = words->text_length;

	if (!page || !words->text)
		return;
	if (length >= STATUS_TEXT_SIZE)
		length = utf8_cut(words->text, length, STATUS_TEXT_SIZE - 1);
	for (size_t i = 0; i <= length; i++)
		atomic_store_explicit(&page->said[i],
			(unsigned char)(i < length ? words->text[i] : '\0'), memory_order_relaxed);
}

/* False: the time was over before anything came. */
static bool wait_until(int fd, int64_t due_ns)
{
	struct pollfd what = {.fd = fd, .events = POLLIN};
	int64_t left_ns = due_ns - clock_now_ns();
	struct timespec left = {0, 0};

	if (left_ns > 0)
		left = (struct timespec){(time_t)(left_ns / NS_PER_S), (long)(left_ns % NS_PER_S)};
	return ppoll(&what, 1, due_ns < 0 ? NULL : &left, NULL) != 0;
}

int notify_serve(const struct notify_server *s)
{
	bool is_watched = s->is_ready && s->watchdog_ns > 0;
	int64_t due_ns = is_watched ? clock_now_ns() + s->watchdog_ns : -1;
	char buf[DATAGRAM_MAX];

	for (;;) {
		struct notify_words words;
		bool has_come = wait_until(s->socket, due_ns);
		int64_t now_ns = clock_now_ns();

		/* Much too late means that all stood still (a paused machine), the app with it. */
		if (!has_come && now_ns < due_ns + s->watchdog_ns / 2 + NS_PER_S)
			return NOTIFY_EXIT_SILENT;
		ssize_t length = has_come ? receive(s->socket, buf) : 0;
		if (length < 0)
			return EXIT_SHIM;
		notify_parse(buf, (size_t)length, &words);
		tell(s->page, &words);
		if (is_watched && words.is_in_trouble)
			return NOTIFY_EXIT_SILENT;
		if (is_watched && (words.is_alive || !has_come))
			due_ns = now_ns + s->watchdog_ns;
		if (is_watched && now_ns + words.extend_ns > due_ns)
			due_ns = now_ns + words.extend_ns;
		if (words.is_stopping && s->is_ready)
			return NOTIFY_EXIT_STOPPING;
		if (words.is_ready && !words.is_stopping && !s->is_ready)
			return NOTIFY_EXIT_READY;
	}
}
