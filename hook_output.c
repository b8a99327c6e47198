/*
 * hook_output.c - what the command of a hook prints, on its way to the container's log.
 */
#include "hook_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format.h"
#include "logging.h"
#include "util.h"
#include "workers.h"

enum {
	WHOLE = 4096,   /* PIPE_BUF: such a write is never torn by another's */
	KIND_SIZE = 16, /* "post-start: " */
};

struct reader {
	int source, sink;
	const char *kind; /* stands before each line; NULL: nothing does */
	bool is_within;   /* the line that is being written has begun */
	size_t out_length;
	char out[WHOLE];
	char text[WHOLE];
	size_t line_length;
	char line[WORKERS_REASON];
};

static pid_t readers[WORKERS_SLOTS]; /* 0: a free place */

/* --- in the child --- */

/* False when nobody reads it: then the hook is to learn that. What else fails (a full disk) is lost
 * as it would be without us. */
static bool pass_on(const struct reader *r, const char *text, size_t length)
{
	return write_all(r->sink, text, length) == 0 || errno != EPIPE;
}

/* The last line so far goes to where PID 1 sees it. Control characters, and blanks at the
 * beginning, are not what it said. */
static void note_last(struct reader *r, const char *text, size_t length, char *last, size_t size)
{
	for (; length; text++, length--) {
		if (*text == '\n' && r->line_length) {
			r->line[r->line_length] = '\0';
			(void)format_text(last, size, "%s", r->line);
			r->line_length = 0;
		} else if ((unsigned char)*text > ' ' || (*text == ' ' && r->line_length))
			if (r->line_length < sizeof r->line - 1)
				r->line[r->line_length++] = *text;
	}
}

static bool flush(struct reader *r)
{
	size_t length = r->out_length;

	r->out_length = 0;
	return pass_on(r, r->out, length);
}

static bool put(struct reader *r, const char *text, size_t length)
{
	if (length > sizeof r->out - r->out_length && !flush(r))
		return false;
	if (length > sizeof r->out)
		return pass_on(r, text, length);
	memcpy(r->out + r->out_length, text, length);
	r->out_length += length;
	return true;
}

/* Whose line it is stands before it, but for JSON, which a collector of logs could not read then.
 */
static bool put_line(struct reader *r, const char *text, size_t length)
{
	bool is_named = r->kind && !r->is_within && *text != '{';

	r->is_within = text[length - 1] != '\n';
	/* One that no longer fits begins in a write of its own. */
	if (length + KIND_SIZE > sizeof r->out - r->out_length && !flush(r))
		return false;
	if (is_named && !(put(r, r->kind, strlen(r->kind)) && put(r, ": ", 2)))
		return false;
	return put(r, text, length);
}

static bool put_lines(struct reader *r, const char *text, size_t length)
{
	while (length) {
		const char *newline = memchr(text, '\n', length);
		size_t part = newline ? (size_t)(newline - text) + 1 : length;

		if (!put_line(r, text, part))
			return false;
		text += part;
		length -= part;
	}
	return flush(r);
}

/* A part of a line waits for the rest only while there is more to read: shim writes to the same
 * log. */
static int read_in_worker(void *context, char *reason, size_t size)
{
	struct reader *r = context;
	struct pollfd more = {.fd = r->source, .events = POLLIN};
	size_t held = 0;
	ssize_t n;

	while ((n = read(r->source, r->text + held, sizeof r->text - held)) > 0) {
		size_t length = held + (size_t)n, ready = length;
		const char *newline = memrchr(r->text, '\n', length);

		if (length == sizeof r->text && newline && poll(&more, 1, 0) > 0)
			ready = (size_t)(newline - r->text) + 1;
		note_last(r, r->text + held, (size_t)n, reason, size);
		if (!put_lines(r, r->text, ready))
			return EXIT_FAILURE;
		held = length - ready;
		memmove(r->text, r->text + ready, held);
	}
	(void)put_lines(r, r->text, held);
	note_last(r, "\n", 1, reason, size);
	return EXIT_SUCCESS;
}

/* --- in PID 1 --- */

static pid_t *find(pid_t pid)
{
	for (size_t i = 0; i < WORKERS_SLOTS; i++)
		if (readers[i] == pid)
			return &readers[i];
	return NULL;
}

pid_t hook_output_start(const char *kind, int *end)
{
	static struct reader reader; /* the child's copy is what is used */
	pid_t *place = find(0);
	int fds[2];

	*end = logging_hook_errors();
	if (!place || (!*end && isatty(STDERR_FILENO)) || pipe2(fds, O_CLOEXEC) < 0)
		return 0;
	(void)fchmod(fds[1], 0666);       /* for /dev/stderr opened by another user */
	reader.kind = *end ? NULL : kind; /* folded records are not to be spoiled */
	reader.source = fds[0];
	reader.sink = *end ? *end : STDERR_FILENO;
	struct work work = {
		.run = read_in_worker,
		.context = &reader,
		.keep = (const int[]){fds[0], *end ? *end : -1},
		.keep_count = 2,
		.role = SEAL_LOGS,
	};
	pid_t pid = workers_start(&work);
	(void)close(fds[0]);
	if (pid <= 0) {
		(void)close(fds[1]);
		return 0;
	}
	*place = pid;
	*end = fds[1];
	return pid;
}

void hook_output_last(pid_t reader, char *buf, size_t size)
{
	workers_peek_reason(reader, buf, size);
}

bool hook_output_ended(pid_t pid, char *buf, size_t size)
{
	pid_t *place = pid > 0 ? find(pid) : NULL;

	if (!place)
		return false;
	*place = 0;
	workers_take_reason(pid, buf, size);
	return true;
}

bool hook_output_is_busy(void)
{
	for (size_t i = 0; i < WORKERS_SLOTS; i++)
		if (readers[i])
			return true;
	return false;
}
