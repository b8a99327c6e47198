/*
 * notify.c - --notify: the socket, and the child that reads it.
 *
 * The socket is an abstract one: it needs no directory to write to, so that it works with a
 * read-only root and as any user. A pod's containers share those names, hence one that cannot be
 * guessed.
 */
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format.h"
#include "log.h"
#include "names.h"
#include "ready.h"
#include "workers.h"

static struct notify_server server = {.socket = -1};
static struct service reader = WORKERS_SERVICE("--notify: its reader");
static bool is_wanted;

/* 32 digits. */
static int make_name(char *digits)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return -1;
	for (size_t i = 0; i < sizeof bytes; i++) {
		*digits++ = hex[bytes[i] >> 4];
		*digits++ = hex[bytes[i] & 15];
	}
	return 0;
}

static int make_socket(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);
	const int one = 1;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path + 1, name + 1, length - 1); /* a NUL for the @ */
	length += offsetof(struct sockaddr_un, sun_path);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) == 0 &&
		bind(fd, (struct sockaddr *)&address, (socklen_t)length) == 0)
		return fd;
	return -1; /* shim ends for it */
}

int notify_init(const struct options *o, char *error, size_t size)
{
	static char variable[] = "NOTIFY_SOCKET=@shim/0123456789abcdef0123456789abcdef";
	char *name = variable + sizeof "NOTIFY_SOCKET=" - 1;
	static char limit[40];

	if (o->explain)
		return 0;
	is_wanted = true;
	server.watchdog_ns = o->watchdog_ns;
	if (make_name(name + sizeof "@shim/" - 1) < 0 || (server.socket = make_socket(name)) < 0) {
		(void)format_text(error, size, "--notify: %s", error_text(errno));
		return -1;
	}
	(void)format_text(
		limit, sizeof limit, "WATCHDOG_USEC=%lld", (long long)(o->watchdog_ns / 1000));
	if (putenv(variable) == 0 && (!o->watchdog_ns || putenv(limit) == 0))
		return 0;
	(void)format_text(error, size, "--notify: %s", error_text(ENOMEM));
	return -1;
}

static int serve_in_worker(void *context, char *reason, size_t size)
{
	int status = notify_serve(context);

	if (status == EXIT_SHIM)
		(void)format_text(reason, size, "%s", error_text(errno));
	return status;
}

void notify_start(void)
{
	struct work work = {.run = serve_in_worker,
		.context = &server,
		.keep = &server.socket,
		.keep_count = 1,
		.role = SEAL_NOTIFY};

	server.page = ready_page();
	workers_start_service(&reader, &work);
}

enum notify_progress notify_child_ended(pid_t pid, int status)
{
	char reason[WORKERS_REASON];
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (!workers_service_ended(&reader, pid, reason))
		return NOTIFY_IDLE;
	if (code == NOTIFY_EXIT_READY || code == NOTIFY_EXIT_STOPPING) {
		server.is_ready = code == NOTIFY_EXIT_READY;
		notify_start();
		return NOTIFY_CHANGE;
	}
	if (code == NOTIFY_EXIT_SILENT) {
		server.watchdog_ns = 0; /* once */
		notify_start();
		return NOTIFY_SILENT;
	}
	workers_start_later(&reader, status, reason, WORKERS_PAUSE_NS);
	return NOTIFY_BUSY;
}

int64_t notify_deadline_ns(void)
{
	return reader.again_ns;
}

void notify_check_time(int64_t now_ns)
{
	if (workers_is_due(&reader, now_ns))
		notify_start();
}

bool notify_is_ready(void)
{
	return !is_wanted || server.is_ready;
}

int notify_descriptor(void)
{
	return server.socket;
}
