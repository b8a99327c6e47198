/*
 * termlog.c - the termination file: opened once, written over and over, shared with the app.
 *
 * Owns the descriptor and knows what it wrote last and where, so that it replaces just that. Called
 * by shim.c. The words are termtext.c's and termjson.c's, the memory counters oom.c's.
 */
#include "termlog.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "names.h"
#include "oom.h"
#include "util.h"

#define DEFAULT_PATH "/dev/termination-log"

/* More of the app's text than this is not moved to close the gap that ours leaves: the file may be
 * huge. */
enum { MOVE_MAX = 65536, CHUNK = 4096, REST_MIN = 8 };

static struct {
	bool readable;
	bool json;
	bool on_failure;
	bool complained;
	/* What we wrote last: the line break that ends the app's last line if it has none, our
	 * line, its line break. */
	off_t offset;
	size_t length;           /* 0: nothing */
	struct timespec written; /* the file's time then: the only trace of other writers when it
				    cannot be read */
} file;

/* Apart from the rest: pages that are touched by nobody who writes no message. */
static char last_text[TERMLOG_MAX + 1];
/* And this, so that the zeroes above take no room in the binary. */
static int descriptor = -1;

static void complain(const char *what, int error)
{
	if (!file.complained)
		log_at(LEVEL_WARN, "termination message: %s: %s", what, error_text(error));
	file.complained = true;
}

/* A regular file that may be written, or -1. */
static int open_file(const char *path, bool create)
{
	int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | (create ? O_CREAT : 0);
	struct stat st;

	int fd = open(path, O_RDWR | flags, 0644);
	file.readable = fd >= 0;
	if (fd < 0 && errno == EACCES) /* mode 0222: not ours to read, still ours to write */
		fd = open(path, O_WRONLY | flags, 0644);
	if (fd < 0)
		return -1;
	int error = 0;
	if (fstat(fd, &st) != 0)
		error = errno;
	else if (!S_ISREG(st.st_mode))
		error = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	if (error == 0 && fd > STDERR_FILENO)
		return fd;
	/* Started with 0, 1 or 2 closed: a message to stderr must not land in the file. */
	int moved = error == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;
	if (error == 0 && moved < 0)
		error = errno;
	(void)close(fd); /* nothing was written */
	errno = error;
	return moved;
}

void termlog_open(const struct options *o)
{
	const char *path = o->termination_log != NULL ? o->termination_log : DEFAULT_PATH;
	bool named = o->termination_log != NULL;

	if (o->termination_none || o->personality != AS_SHIM)
		return;
	descriptor = open_file(path, named);
	if (descriptor < 0) {
		/* Outside of Kubernetes there is no such file, and that is not worth a word. */
		enum level level = !named && errno == ENOENT ? LEVEL_DEBUG : LEVEL_WARN;
		if (log_prints(level))
			log_at(level, "no termination message: %s: %s", path,
				errno == EINVAL ? "not a regular file" : error_text(errno));
		return;
	}
	file.json = o->termination_format == FORMAT_JSON;
	file.on_failure = o->termination_on_failure;
	oom_open(OOM_MEMBERSHIP, OOM_ROOT);
}

int termlog_descriptor(void)
{
	return descriptor;
}

/* All n bytes at this place, or as many as there are. Returns how many; fewer than n with errno set
 * (0: end of file). */
static size_t read_at(off_t at, char *buf, size_t n)
{
	size_t done = 0;
	while (done < n) {
		ssize_t got = pread(descriptor, buf + done, n - done, at + (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = 0;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

static size_t write_at(off_t at, const char *buf, size_t n)
{
	size_t done = 0;
	while (done < n) {
		ssize_t put = pwrite(descriptor, buf + done, n - done, at + (off_t)done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			take_signal_of(errno);
		if (put == 0)
			errno = ENOSPC;
		if (put <= 0)
			break;
		done += (size_t)put;
	}
	return done;
}

static int cut_at(off_t size)
{
	int rc;
	do
		rc = ftruncate(descriptor, size);
	while (rc != 0 && errno == EINTR);
	return rc;
}

/* Where what is left of ours starts, up to the end of where it was; that end when nothing is left.
 */
static off_t find_own(const struct stat *st)
{
	char now[TERMLOG_MAX + 1];
	off_t end = file.offset + (off_t)file.length;
	size_t k = file.length;

	if (file.length == 0 || st->st_size < end)
		return end;
	if (!file.readable) {
		bool untouched = st->st_size == end && st->st_mtim.tv_sec == file.written.tv_sec &&
				 st->st_mtim.tv_nsec == file.written.tv_nsec;
		return untouched ? file.offset : end;
	}
	if (read_at(file.offset, now, k) < k)
		return end;
	while (k > 0 && now[k - 1] == last_text[k - 1])
		k--;
	if (k == 0)
		return file.offset;
	/* An app that has held the file open without O_APPEND writes over the head of ours. The
	 * byte before the part that is still ours is certainly the app's; when it ends a line, what
	 * follows is not, unless it is so short that the app may well have written the same. What
	 * cannot be told apart stays. */
	if (now[k - 1] == '\n' && file.length - k >= REST_MIN)
		return file.offset + (off_t)k;
	return end;
}

/*
 * Takes [from, to) out of the middle of the file: moves what follows down, so that the gap is at
 * the end. A kill in between leaves some of the app's text twice and none of it lost. Returns where
 * the gap starts, or -1.
 */
static off_t close_gap(off_t from, off_t to, off_t size)
{
	char chunk[CHUNK];
	while (to < size) {
		size_t want = size - to < CHUNK ? (size_t)(size - to) : CHUNK;
		size_t n = read_at(to, chunk, want);
		if (n < want || write_at(from, chunk, n) < n)
			return -1;
		from += (off_t)n;
		to += (off_t)n;
	}
	return from;
}

/* The same when what follows is too much to move: blanks. The reader of the last 4096 bytes does
 * not see them. */
static void blank_gap(off_t from, off_t to)
{
	char blanks[TERMLOG_MAX + 1];
	size_t n = (size_t)(to - from);
	memset(blanks, ' ', n);
	if (last_text[0] == '\n' && from == file.offset)
		blanks[0] = '\n';
	blanks[n - 1] = '\n';
	(void)write_at(from, blanks, n); /* tidiness only */
}

/* Removes the rest of a message that did not fit (disk full): a cut line of text is better than
 * none, half an object of JSON is not. */
static void undo_short_write(size_t done, size_t all)
{
	int error = errno;
	size_t keep = file.json ? 0 : utf8_cut(last_text, all, done);
	file.length = 0;
	if (done > 0 && cut_at(file.offset + (off_t)keep) == 0)
		file.length = keep;
	complain("write", error);
}

/* Ours goes to [start, end of file), where old bytes may be overwritten. length 0: nothing of ours
 * stays. */
static void put_at_end(off_t start, size_t old, const char *line, size_t length)
{
	struct stat st;
	char last;
	size_t n = 0;

	if (length > 0) {
		/* What cannot be read is taken to end without a line break: a blank line is no
		 * harm. */
		bool broken = start == 0 ||
			      (file.readable && read_at(start - 1, &last, 1) == 1 && last == '\n');
		if (!broken)
			last_text[n++] = '\n';
		memcpy(last_text + n, line, length);
		n += length;
		last_text[n++] = '\n';
	}
	file.offset = start;
	file.length = n;
	/* In one go over all of the old, so that a kill before the file is cut shows no half of
	 * each. */
	size_t all = n;
	if (n < old) {
		memset(last_text + n, '\n', old - n);
		all = old;
	}
	size_t done = write_at(start, last_text, all);
	if (done < all) {
		undo_short_write(done, all);
		return;
	}
	/* Unless the app has appended just now: its text must not be cut off. Ours then stays with
	 * empty lines below. */
	off_t end = start + (off_t)old;
	if (n < old && fstat(descriptor, &st) == 0 && st.st_size == end &&
		cut_at(start + (off_t)n) == 0)
		return;
	file.length = all;
}

/* Puts line (without its line break) in the place of what we wrote before, behind all that is the
 * app's. */
static void replace(const char *line, size_t length)
{
	struct stat st;
	if (fstat(descriptor, &st) != 0) {
		complain("fstat", errno);
		return;
	}
	off_t to = file.offset + (off_t)file.length;
	off_t from = find_own(&st);
	off_t start = st.st_size;
	size_t old = 0;

	if (from < to) {
		old = (size_t)(to - from);
		if (st.st_size - to <= MOVE_MAX) {
			start = close_gap(from, to, st.st_size);
		} else {
			blank_gap(from, to);
			old = 0;
		}
	}
	file.length = 0;
	if (start < 0) {
		complain("rewrite", errno);
		return;
	}
	put_at_end(start, old, line, length);
	if (!file.readable && fstat(descriptor, &st) == 0)
		file.written = st.st_mtim;
}

void termlog_write(struct termlog_facts *facts, bool final)
{
	char line[TERMLOG_MAX]; /* with its line break 4096 bytes, which is what the kubelet reads
				   from the end */
	size_t length = 0;

	if (descriptor < 0)
		return;
	facts->oom_kills = oom_kills();
	facts->memory_limit = facts->oom_kills > 0 ? oom_limit() : -1;
	int64_t now = clock_now_ns();
	/* Nobody may see an empty file as "no message" but where the user wants the log's tail
	 * instead. */
	if (!(final && file.on_failure && facts->exit_code == 0))
		length = (file.json ? termlog_json : termlog_text)(
			facts, now, final, line, sizeof(line));
	if (length > 0 && facts->tail != NULL && !file.json)
		length = termlog_add_tail(facts->tail, line, length, sizeof(line));
	replace(line, length);
}
