/*
 * install.c - shim --install DIR: an init container puts shim into a volume that the real image
 * then starts from.
 *
 * Owns nothing that outlives the call; runs instead of an app, before anything is started. Called
 * by shim.c.
 */
#include "install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h> /* rename */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format.h"
#include "log.h"
#include "names.h"
#include "util.h"

static int fail(const char *path)
{
	log_at(LEVEL_FATAL, "--install: %s: %s", path, error_text(errno));
	return -1;
}

static int copy_bytes(int from, const char *from_path, int to, const char *to_path)
{
	char buf[16384];

	for (;;) {
		ssize_t got = read(from, buf, sizeof buf);

		if (got == 0)
			return 0;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(from_path);
		if (write_all(to, buf, (size_t)got))
			return fail(to_path);
	}
}

/* On disk before it is renamed: a node that loses power must not come back with an empty shim. */
static int fill(int from, const char *from_path, int to, const char *to_path)
{
	int result = copy_bytes(from, from_path, to, to_path);

	/* By descriptor, since the umask takes bits from open()'s mode. EINVAL: the file system
	 * cannot sync. */
	if (!result && (fchmod(to, 0755) || (fsync(to) && errno != EINVAL && errno != EROFS)))
		result = fail(to_path);
	if (close(to) && !result)
		result = fail(to_path);
	return result;
}

static int copy_to(int from, const char *from_path, const char *temporary, const char *target)
{
	int to;

	(void)unlink(temporary); /* left by a process of that pid that was killed, or not there */
	to = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
	if (to < 0)
		return fail(temporary);
	if (fill(from, from_path, to, temporary)) {
		(void)unlink(temporary); /* the failure is told already */
		return -1;
	}
	if (rename(temporary, target)) {
		(void)fail(target);
		(void)unlink(temporary);
		return -1;
	}
	return 0;
}

int install_copy(const char *dir)
{
	static const char self[] = "/proc/self/exe";
	char temporary[PATH_MAX];
	char target[PATH_MAX];
	int result;
	int from;

	if (strlen(dir) > PATH_MAX - 64) {
		errno = ENAMETOOLONG;
		(void)fail(dir);
		return EXIT_SHIM;
	}
	format_text(target, sizeof target, "%s/shim", dir);
	format_text(temporary, sizeof temporary, "%s/.shim.%ld", dir, (long)getpid());
	from = open(self, O_RDONLY | O_CLOEXEC);
	if (from < 0) {
		log_at(LEVEL_FATAL, "--install: cannot read this program through %s: %s%s", self,
			error_text(errno), errno == ENOENT ? " (is /proc mounted?)" : "");
		return EXIT_SHIM;
	}
	result = copy_to(from, self, temporary, target);
	(void)close(from); /* only read */
	return result ? EXIT_SHIM : 0;
}
