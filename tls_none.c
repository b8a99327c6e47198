/*
 * tls_none.c - stands in for tls.c in a build without TLS (`make TLS=0`): https:// is refused when
 * it is parsed, so the rest is never reached.
 */
#include "tls.h"

#include "format.h"

#include <errno.h>

bool tls_available(void)
{
	return false;
}

struct tls *tls_open(int fd, const char *name, const char *ca_file, char *reason, size_t size)
{
	(void)fd;
	(void)name;
	(void)ca_file;
	format_text(reason, size, "built without TLS");
	return NULL;
}

ssize_t tls_write(struct tls *tls, const void *data, size_t length, int64_t deadline_ns)
{
	(void)tls;
	(void)data;
	(void)length;
	(void)deadline_ns;
	errno = ENOSYS;
	return -1;
}

ssize_t tls_read(struct tls *tls, void *data, size_t size, int64_t deadline_ns)
{
	(void)tls;
	(void)data;
	(void)size;
	(void)deadline_ns;
	errno = ENOSYS;
	return -1;
}

const char *tls_problem(struct tls *tls)
{
	(void)tls;
	return NULL;
}

bool tls_is_ready(const struct tls *tls)
{
	(void)tls;
	return false;
}

void tls_close(struct tls *tls)
{
	(void)tls;
}

int tls_check_ca(const char *path, char *reason, size_t size)
{
	(void)path;
	format_text(reason, size, "no CA file (this shim was built without TLS)");
	return -1;
}
