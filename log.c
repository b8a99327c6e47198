/*
 * log.c - one line, one write, never blocking. Owns the voice and the level; called by every module
 * that speaks.
 *
 * shim's own voice is here; those of the programs it stands in for are in compat.c.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "format.h"
#include "names.h"
#include "out.h"
#include "util.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

enum { LINE_MAX_BYTES = 1024, SLACK = 4 };

#define OWN_PHRASES(X, of)                                                                         \
	X(of, NOTE_SPAWNED, LEVEL_INFO, "app started: %s, pid %1")                                 \
	X(of, NOTE_SIGNAL, LEVEL_DEBUG, "received %n")                                             \
	X(of, NOTE_REAPED_EXITED, LEVEL_DEBUG, "process %1 exited with %2")                        \
	X(of, NOTE_REAPED_KILLED, LEVEL_DEBUG, "process %1 was killed by %m")                      \
	X(of, NOTE_ORPHAN_REAPED, LEVEL_WARN, "reaped orphan process %1")                          \
	X(of, NOTE_NONE_TO_REAP, LEVEL_TRACE, "nothing more to reap")                              \
	X(of, NOTE_NO_CHILD, LEVEL_TRACE, "no process is left")                                    \
	X(of, NOTE_APP_EXITED, LEVEL_INFO, "app exited with %1 after %t")                          \
	X(of, NOTE_APP_KILLED, LEVEL_INFO, "app was killed by %n (%g)%c after %t")                 \
	X(of, NOTE_LEAVING, LEVEL_INFO, "exiting with %1 after %t")                                \
	X(of, NOTE_FORWARDED, LEVEL_DEBUG, "passed on %n")                                         \
	X(of, NOTE_FORWARD_GONE, LEVEL_DEBUG, "%n was not passed on: the app has ended")           \
	X(of, NOTE_FORWARD_FAILED, LEVEL_WARN, "cannot pass on %n: %f%s")                          \
	X(of, NOTE_REWRITTEN, LEVEL_DEBUG, "%n is rewritten to %m")                                \
	X(of, NOTE_DROPPED, LEVEL_DEBUG, "%n is dropped")                                          \
	X(of, NOTE_SUBREAPER, LEVEL_INFO, "registered as child subreaper")                         \
	X(of, NOTE_SUBREAPER_FAILED, LEVEL_WARN, "cannot register as child subreaper: %e")         \
	X(of, NOTE_NOT_INIT, LEVEL_WARN,                                                           \
		"neither PID 1 nor a child subreaper, so orphaned processes will "                 \
		"not be reaped; run shim as PID 1 or with -s")                                     \
	X(of, NOTE_SETSID, LEVEL_DEBUG, "app leads its own session")                               \
	X(of, NOTE_DETACHED_LEADER, LEVEL_DEBUG,                                                   \
		"gave up the terminal; the SIGHUP and SIGCONT that come of it "                    \
		"are not passed on")                                                               \
	X(of, NOTE_DETACHED, LEVEL_DEBUG, "gave up the terminal")                                  \
	X(of, NOTE_DETACH_FAILED, LEVEL_DEBUG, "no terminal to give up: %e")                       \
	X(of, NOTE_ATTACH_FAILED, LEVEL_DEBUG, "no terminal for the app: %e")                      \
	X(of, NOTE_FOREGROUND_FAILED, LEVEL_WARN, "cannot hand the terminal over to the app: %e")  \
	X(of, NOTE_HANDOFF_SIGNAL, LEVEL_DEBUG,                                                    \
		"%n comes of giving up the terminal and is not passed on")                         \
	X(of, NOTE_SUSPENDING, LEVEL_DEBUG, "stopping with the app")                               \
	X(of, NOTE_LIFECYCLE, LEVEL_INFO, "after %t: %s")                                          \
	X(of, NOTE_LEFT_BEHIND, LEVEL_WARN, "killed as the container ends: %s")                    \
	X(of, NOTE_OUT_OF_TIME, LEVEL_WARN, "the grace period is over, killing %s")

static const struct own_words {
	char silence;
	OWN_PHRASES(PHRASE_ROOM, )
} own_words = {'\0', OWN_PHRASES(PHRASE_WORDS, )};
static const struct phrase own_phrases[NOTES] = {OWN_PHRASES(PHRASE_AT, own_words)};
static const struct voice own_voice = {
	.prefix =
		{
			[LEVEL_FATAL] = "shim: ",
			[LEVEL_WARN] = "shim: warning: ",
			[LEVEL_INFO] = "shim: ",
			[LEVEL_DEBUG] = "shim: ",
			[LEVEL_TRACE] = "shim: ",
		},
	.stdout_from = LEVELS,
	.phrases = own_phrases,
	.words = (const char *)&own_words,
};

static struct {
	const struct voice *voice;
	enum level level;
	int64_t since_ns;
	bool is_json;
	bool is_sealed;
	int terminal; /* of a sealed process; -1: none */
} state = {.voice = &own_voice, .level = LEVEL_WARN};

/* SLACK, so that what is cut off can be seen to begin inside a UTF-8 sequence. */
struct line {
	char text[LINE_MAX_BYTES + SLACK];
	size_t length;
};

void log_init(const struct voice *voice, enum level level)
{
	state.voice = voice ? voice : &own_voice;
	state.level = level;
	state.since_ns = clock_now_ns();
}

void log_use_json(void)
{
	state.is_json = true;
}

bool log_prints(enum level level)
{
	return level <= state.level;
}

/* A terminal knows no RWF_NOWAIT; another open file of it can be non-blocking without the app
 * noticing. */
static int reopen_terminal(int fd)
{
	char path[32];

	if (!isatty(fd))
		return -1;
	format_text(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void log_seal(void)
{
	state.terminal = reopen_terminal(STDERR_FILENO);
	state.is_sealed = true;
}

static ssize_t write_plain(int fd, const struct iovec *iov)
{
	int terminal = state.is_sealed ? state.terminal : reopen_terminal(fd);
	ssize_t written;

	if (terminal < 0)
		return write(fd, iov->iov_base, iov->iov_len);
	written = write(terminal, iov->iov_base, iov->iov_len);
	if (!state.is_sealed)
		(void)close(terminal); /* nothing is buffered here */
	return written;
}

/* EAGAIN of a regular file means that the disk would be waited for, which is no reader's fault and
 * ends. */
static bool is_regular_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* What fails or would block is dropped: there is nobody to tell. */
static void write_line(int fd, char *text, size_t length)
{
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	struct iovec iov = {text, length};
	long written;

	if (poll(&writable, 1, 0) == 0 || (writable.revents & POLLNVAL))
		return;
	/* Ready is not a promise: another process may fill the pipe first. */
	written = syscall(SYS_pwritev2, fd, &iov, 1UL, -1L, -1L, RWF_NOWAIT);
	if (written < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM ||
				   errno == EINVAL || (errno == EAGAIN && is_regular_file(fd))))
		written = write_plain(fd, &iov);
	if (written < 0)
		take_signal_of(errno);
}

static void add_text(struct line *line, const char *text)
{
	size_t length = strlen(text);
	size_t room = sizeof line->text - line->length;

	if (length > room)
		length = room;
	memcpy(line->text + line->length, text, length);
	line->length += length;
}

static void add_number(struct line *line, long number)
{
	char text[24];

	format_text(text, sizeof text, "%ld", number);
	add_text(line, text);
}

static void add_elapsed(struct line *line)
{
	char text[DURATION_SIZE];

	add_text(line, format_duration(clock_now_ns() - state.since_ns, text));
}

static void add_char(struct line *line, char c)
{
	char text[] = {c, '\0'};

	add_text(line, text);
}

/* One % sequence of log.h. */
static void add_item(struct line *line, char item, long a, long b, const char *s)
{
	char name[SIGNAL_NAME_SIZE];
	char description[32];

	switch (item) {
	case '1':
	case '2':
		add_number(line, item == '1' ? a : b);
		break;
	case 's':
		add_text(line, s ? s : "");
		break;
	case 'g':
		add_text(line, signal_description((int)a, description));
		break;
	case 'n':
	case 'm':
		add_text(line, signal_name((int)(item == 'n' ? a : b), name));
		break;
	case 'e':
	case 'f':
		add_text(line, error_text((int)(item == 'e' ? a : b)));
		break;
	case 'c':
		add_text(line, b ? ", core dumped" : "");
		break;
	case 't':
		add_elapsed(line);
		break;
	case 'p':
		/* Not libc's, which may remember the parent's in a child made without it. */
		add_number(line, syscall(SYS_getpid));
		break;
	default:
		add_char(line, item);
		break;
	}
}

static void add_words(struct line *line, const char *words, long a, long b, const char *s)
{
	for (; *words != '\0'; words++) {
		if (words[0] == '%' && words[1] != '\0')
			add_item(line, *++words, a, b, s);
		else
			add_char(line, *words);
	}
}

static void begin_line(struct line *line, enum level level)
{
	const char *prefix = state.voice->prefix[level];

	line->length = 0;
	if (!state.is_json)
		add_words(line, prefix, 0, 0, NULL);
}

static void write_json(int fd, struct line *line, enum level level)
{
	static const char levels[LEVELS][8] = {"error", "warning", "info", "debug", "trace"};
	char text[LINE_MAX_BYTES + 256], time[TIME_SIZE];
	static const char end[] = {'"', '}', '\n'};
	struct out o = {.buf = text, .limit = sizeof text, .closers = sizeof end};

	line->text[line->length] = '\0';
	out_format(&o, "{\"time\":\"%s\",\"level\":\"%s\",\"source\":\"shim\",\"message\":\"",
		format_time(clock_wall_ns(), time), levels[level]);
	out_part(&o, line->text, true, LINE_MAX_BYTES);
	memcpy(text + o.length, end, sizeof end);
	write_line(fd, text, o.length + sizeof end);
}

static void end_line(struct line *line, enum level level)
{
	int fd = level >= state.voice->stdout_from ? STDOUT_FILENO : STDERR_FILENO;

	line->length = utf8_cut(line->text, line->length, LINE_MAX_BYTES - 1);
	if (state.is_json) {
		write_json(fd, line, level);
		return;
	}
	line->text[line->length++] = '\n';
	write_line(fd, line->text, line->length);
}

/* What a user wrote, or what a process calls itself, may hold line breaks and what moves a
 * terminal; the log is one line a message all the same. */
static void make_harmless(struct line *line)
{
	for (size_t i = 0; i < line->length; i++)
		if ((unsigned char)line->text[i] < ' ' || line->text[i] == 0x7f)
			line->text[i] = '?';
}

void log_note(enum note note, long a, long b, const char *s)
{
	const struct phrase *phrase = &state.voice->phrases[note];
	int saved_errno = errno;
	struct line line;

	if (!phrase->at || !log_prints(phrase->level))
		return;
	begin_line(&line, phrase->level);
	add_words(&line, state.voice->words + phrase->at, a, b, s);
	if (state.voice == &own_voice) /* peers' words have line breaks of their own */
		make_harmless(&line);
	end_line(&line, phrase->level);
	errno = saved_errno;
}

void log_at(enum level level, const char *fmt, ...)
{
	int saved_errno = errno;
	struct line line;
	va_list args;

	if (!log_prints(level))
		return;
	begin_line(&line, level);
	va_start(args, fmt);
	line.length +=
		vformat_text(line.text + line.length, sizeof line.text - line.length, fmt, args);
	va_end(args);
	make_harmless(&line);
	end_line(&line, level);
	errno = saved_errno;
}

void log_write(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		struct pollfd writable = {.fd = fd, .events = POLLOUT};
		ssize_t written = write(fd, text, left);

		if (written >= 0) {
			text += written;
			left -= (size_t)written;
		} else if (errno == EAGAIN) {
			(void)poll(&writable, 1, -1); /* somebody made it non-blocking */
		} else if (errno != EINTR) {
			take_signal_of(errno);
			return;
		}
	}
}
