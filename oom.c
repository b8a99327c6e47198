/*
 * oom.c - finds and reads the memory counters of our own cgroup, v2 or v1.
 *
 * Owns the cgroup's path and the count at the start. The count is cumulative over the cgroup's life
 * (a container that is restarted in place keeps it), so only differences mean anything. Called by
 * termlog.c.
 */
#include "oom.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "format.h"
#include "termlog.h"

enum { DIR_SIZE = 512, DEPTH_MAX = 16 };

/* v1 rounds "no limit" down to a page: 0x7ffffffffffff000 with pages of 4 KiB. No machine has this
 * much. */
#define LIMIT_NONE (1LL << 60)

static const char counter_v2[] = "memory.events";
static const char counter_v1[] = "memory.oom_control";

static struct {
	char dir[DIR_SIZE]; /* "": there is nothing to read */
	bool v1;
	long start;
} own;
static int held = -1; /* the counter, open for good */

/* The head of a small file. Returns its length, or -1. */
static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -1;
	size_t length = 0;
	while (length < size) {
		ssize_t n = read(fd, buf + length, size - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		length += (size_t)n;
		if (length < size) /* these files come in one piece: no second read for the end */
			break;
	}
	(void)close(fd); /* only read from */
	return (ssize_t)length;
}

/* dir + up times "/.." + "/" + name. Directories of a cgroup file system are never links, so ".."
 * is the parent. */
static ssize_t read_in(const char *dir, int up, const char *name, char *buf, size_t size)
{
	char path[DIR_SIZE + 3 * DEPTH_MAX + 32];
	size_t length = format_text(path, sizeof(path), "%s", dir);
	for (int i = 0; i < up; i++)
		length += format_text(path + length, sizeof(path) - length, "/..");
	length += format_text(path + length, sizeof(path) - length, "/%s", name);
	return length + 1 < sizeof(path) ? read_file(path, buf, size) : -1;
}

/* The digits that text starts with, ended by a line break or the end. -1: none, too many, or
 * something else follows. */
static long long parse_digits(const char *text, size_t length)
{
	long long value = 0;
	size_t i = 0;
	for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
		if (value > (LLONG_MAX - 9) / 10)
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	if (i == 0 || (i < length && text[i] != '\n'))
		return -1;
	return value;
}

long termlog_parse_oom(const char *text, size_t length)
{
	/* The blank matters: v1 begins with oom_kill_disable. */
	static const char key[] = "oom_kill ";
	const size_t key_length = sizeof(key) - 1;

	for (const char *line = text, *end = text + length; line < end;) {
		size_t left = (size_t)(end - line);
		if (left > key_length && memcmp(line, key, key_length) == 0) {
			long long n = parse_digits(line + key_length, left - key_length);
			return n <= LONG_MAX ? (long)n : -1;
		}
		const char *eol = memchr(line, '\n', left);
		line = eol != NULL ? eol + 1 : end;
	}
	return -1;
}

long long oom_parse_limit(const char *text, size_t length)
{
	long long limit = parse_digits(text, length);
	return limit < LIMIT_NONE ? limit : -1;
}

/* Is word one of the comma-separated ones? */
static bool list_has(const char *list, size_t length, const char *word)
{
	size_t n = strlen(word);
	for (size_t i = 0; i + n <= length; i++) {
		bool starts = i == 0 || list[i - 1] == ',';
		bool ends = i + n == length || list[i + n] == ',';
		if (starts && ends && memcmp(list + i, word, n) == 0)
			return true;
	}
	return false;
}

/* Copies a cgroup's path unless it leads out of the hierarchy: "/.." is what a cgroup outside of
 * our namespace's root looks like. */
static int copy_path(const char *from, size_t length, char *path, size_t size)
{
	if (length == 0 || from[0] != '/' || length >= size || memchr(from, '\0', length) != NULL)
		return -1;
	if (length >= 3 && memcmp(from, "/..", 3) == 0 && (length == 3 || from[3] == '/'))
		return -1;
	if (length == 1)
		length = 0;
	memcpy(path, from, length);
	path[length] = '\0';
	return 0;
}

int oom_find(const char *text, size_t length, bool *v1, char *path, size_t size)
{
	int found = -1;

	/* Lines are "hierarchy:controllers:path"; v2's is "0::path". */
	for (const char *line = text, *end = text + length; line < end;) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));
		if (eol == NULL)
			break; /* cut short, so is its path */
		const char *list = memchr(line, ':', (size_t)(eol - line));
		list = list != NULL ? list + 1 : eol;
		const char *colon = memchr(list, ':', (size_t)(eol - list));
		if (colon != NULL) {
			const char *from = colon + 1;
			size_t path_length = (size_t)(eol - from);
			if (list_has(list, (size_t)(colon - list), "memory")) {
				*v1 = true;
				return copy_path(from, path_length, path, size);
			}
			if (colon == list && line[0] == '0') {
				*v1 = false;
				found = copy_path(from, path_length, path, size);
			}
		}
		line = eol + 1;
	}
	return found;
}

/* Settles on root + sub + path when it has a counter. */
static bool try_dir(bool v1, const char *root, const char *path)
{
	char text[512];
	size_t length = format_text(own.dir, DIR_SIZE, "%s%s%s", root, v1 ? "/memory" : "", path);
	if (length + 1 < DIR_SIZE) {
		ssize_t n = read_in(own.dir, 0, v1 ? counter_v1 : counter_v2, text, sizeof(text));
		own.start = n < 0 ? -1 : termlog_parse_oom(text, (size_t)n);
		own.v1 = v1;
		if (own.start >= 0)
			return true;
	}
	own.dir[0] = '\0';
	return false;
}

void oom_open(const char *membership, const char *root)
{
	/* The root of all of v2 has no such file, so the one that is there is the root of our
	 * cgroup namespace: ours, or above us and counting for all below. Three system calls. */
	if (try_dir(false, root, ""))
		return;

	char text[2048], path[DIR_SIZE];
	bool v1;
	ssize_t length = read_file(membership, text, sizeof(text));
	if (length <= 0) { /* no /proc: a container's mount still shows its own cgroup */
		(void)try_dir(true, root, "");
		return;
	}
	if (oom_find(text, (size_t)length, &v1, path, sizeof(path)) != 0 || try_dir(v1, root, path))
		return;
	/* v1 without a cgroup namespace: the path is the host's, the mount begins at our own
	 * cgroup. */
	if (v1)
		(void)try_dir(true, root, "");
}

/* text: the counter's file, of length n. */
static long kills_in(const char *text, ssize_t n)
{
	long now = n < 0 ? -1 : termlog_parse_oom(text, (size_t)n);

	return now > own.start ? now - own.start : 0;
}

long oom_kills(void)
{
	char text[512];

	if (own.dir[0] == '\0')
		return 0;
	return kills_in(
		text, read_in(own.dir, 0, own.v1 ? counter_v1 : counter_v2, text, sizeof(text)));
}

void oom_hold(void)
{
	char path[DIR_SIZE + 32];

	(void)format_text(path, sizeof(path), "%s/%s", own.dir, own.v1 ? counter_v1 : counter_v2);
	if (own.dir[0] != '\0')
		held = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

long oom_kills_held(void)
{
	char text[512];

	return held < 0 ? -1 : kills_in(text, pread(held, text, sizeof(text), 0));
}

long long oom_limit(void)
{
	const char *name = own.v1 ? "memory.limit_in_bytes" : "memory.max";
	long long smallest = -1;

	if (own.dir[0] == '\0')
		return -1;
	/* A pod's limit, one above, kills just as well. Above the hierarchy's root there is no such
	 * file. */
	for (int up = 0; up < DEPTH_MAX; up++) {
		char text[64];
		ssize_t n = read_in(own.dir, up, name, text, sizeof(text));
		if (n < 0)
			break;
		long long limit = oom_parse_limit(text, (size_t)n);
		if (limit >= 0 && (smallest < 0 || limit < smallest))
			smallest = limit;
	}
	return smallest;
}
