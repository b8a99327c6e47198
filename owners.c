/*
 * owners.c - tells the container's own listening sockets from those of the pod's other containers.
 *
 * Owns nothing. Called by drain.c in a child of PID 1 before it is sealed: it opens a socket and
 * reads /proc.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "owners.h"

enum { CGROUP_TEXT = 4096, ROOT_CGROUP = 1 };

struct search {
	uint64_t inode;
	uint64_t cgroup;
};

static void find_inode(void *context, const struct tcp_socket *socket)
{
	struct search *search = context;

	if (socket->inode == search->inode)
		search->cgroup = socket->cgroup;
}

/* A socket of our own that the kernel will list: bound to the loopback address, any port, nobody is
 * told. */
static int listen_unseen(int family)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const struct sockaddr *address = (struct sockaddr *)&v4;
	socklen_t size = sizeof(v4);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET6) {
		address = (struct sockaddr *)&v6;
		size = sizeof(v6);
	}
	if (fd >= 0 && (bind(fd, address, size) < 0 || listen(fd, 0) < 0)) {
		(void)close(fd); /* was never in use */
		fd = -1;
	}
	return fd;
}

/* There is no call that says which cgroup a process's sockets belong to, and the cgroup file system
 * need not be mounted. So: make a socket and look how the kernel lists it. Id 1 is the root's, and
 * on cgroup v1 that of every socket. */
uint64_t owners_cgroup(struct sockets *s)
{
	struct search search = {0};
	struct stat status;
	int fd;

	if (!sockets_is_timed(s)) /* /proc/net/tcp does not say */
		return 0;
	fd = listen_unseen(AF_INET);
	if (fd < 0)
		fd = listen_unseen(AF_INET6);
	if (fd < 0)
		return 0;
	if (fstat(fd, &status) == 0) {
		search.inode = status.st_ino;
		(void)sockets_list(s, find_inode, &search); /* failed: cgroup stays 0 */
	}
	(void)close(fd); /* nobody connected */
	return search.cgroup > ROOT_CGROUP ? search.cgroup : 0;
}

/* Our line "0::/a" allows "0::/a" and "0::/a/b"; "0::/" (a cgroup namespace) all but "0::/../x", a
 * sibling's. */
static bool line_is_below(const char *ours, size_t length, const char *theirs)
{
	char next;

	if (strncmp(ours, theirs, length) != 0)
		return false;
	next = theirs[length];
	if (length > 0 && ours[length - 1] == '/')
		return strncmp(theirs + length, "..", 2) != 0;
	return next == '\n' || next == '/' || next == '\0';
}

bool owners_same_cgroup(const char *ours, const char *theirs)
{
	while (*ours != '\0' && *theirs != '\0') {
		size_t length = strcspn(ours, "\n");

		if (!line_is_below(ours, length, theirs))
			return false;
		ours += length + (ours[length] == '\n');
		theirs += strcspn(theirs, "\n");
		theirs += *theirs == '\n';
	}
	return *ours == *theirs;
}

/* The text of /proc/PID/cgroup; "" when there is none (a kernel without cgroups). */
static void read_cgroup(int process, char *text, size_t size)
{
	int fd = openat(process, "cgroup", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		do {
			n = read(fd, text, size - 1);
		} while (n < 0 && errno == EINTR);
		(void)close(fd); /* read only */
	}
	text[n > 0 ? n : 0] = '\0';
}

static void mark_inode(struct listener *listeners, size_t count, uint64_t inode)
{
	for (size_t i = 0; i < count; i++) {
		if (listeners[i].inode == inode)
			listeners[i].ours = true;
	}
}

/* All the sockets among a process's descriptors. -1 and errno when they cannot be looked at. */
static int mark_process(int process, struct listener *listeners, size_t count)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (dir == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL) {
		char target[64];
		ssize_t n = readlinkat(fd, entry->d_name, target, sizeof(target) - 1);

		if (n < 0 && (errno == EACCES || errno == EPERM)) {
			(void)closedir(dir);
			errno = EACCES;
			return -1;
		}
		target[n > 0 ? n : 0] = '\0';
		if (strncmp(target, "socket:[", 8) == 0)
			mark_inode(listeners, count, strtoull(target + 8, NULL, 10));
	}
	(void)closedir(dir);
	return 0;
}

/* 1: looked at; 0: gone, or not of this container; -1: it is ours and hidden. */
static int visit_process(DIR *proc, const char *pid, const char *our_cgroup,
	struct listener *listeners, size_t count)
{
	char cgroup[CGROUP_TEXT];
	int process = openat(dirfd(proc), pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = 0;

	if (process < 0)
		return errno == EACCES || errno == EPERM ? -1 : 0;
	/* With shareProcessNamespace the sidecars' processes are in sight as well. */
	read_cgroup(process, cgroup, sizeof(cgroup));
	if (owners_same_cgroup(our_cgroup, cgroup)) {
		if (mark_process(process, listeners, count) == 0)
			result = 1;
		else if (errno == EACCES || errno == EPERM)
			result = -1;
	}
	(void)close(process);
	return result;
}

int owners_mark(struct listener *listeners, size_t count)
{
	char our_cgroup[CGROUP_TEXT];
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	unsigned long seen = 0;
	bool hidden = false;
	int self;

	if (proc == NULL)
		return -1;
	self = openat(dirfd(proc), "self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (self < 0) { /* an empty directory, or another PID namespace's */
		(void)closedir(proc);
		return -1;
	}
	read_cgroup(self, our_cgroup, sizeof(our_cgroup));
	(void)close(self);
	while ((entry = readdir(proc)) != NULL) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
			int result =
				visit_process(proc, entry->d_name, our_cgroup, listeners, count);
			seen += result == 1;
			hidden = hidden || result < 0;
		}
	}
	(void)closedir(proc);
	return seen > 0 && !hidden ? 0 : -1;
}
