/*
 * procs.c - the other processes, as /proc tells.
 *
 * No opendir(3): it allocates. A process may end between its line and what is done about it; its
 * number is not used again before the whole pid range has been, so a signal cannot reach a stranger
 * in practice.
 */
#include "procs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "children.h"
#include "format.h"
#include "parse.h"

struct directory_entry { /* linux_dirent64 of getdents64(2) */
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

static pid_t spared[PROCS_HELPERS];

/* musl has the thread's id at hand where getpid() is a system call, and with one thread it is the
 * same. */
bool procs_is_init(void)
{
	return gettid() == 1;
}

void procs_adopt(void)
{
	if (!procs_is_init())
		(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

void procs_spare(pid_t pid, bool on)
{
	for (size_t i = 0; i < PROCS_HELPERS; i++)
		if (spared[i] == (on ? 0 : pid)) {
			spared[i] = on ? pid : 0;
			return;
		}
}

bool procs_spares_any(void)
{
	for (size_t i = 0; i < PROCS_HELPERS; i++)
		if (spared[i])
			return true;
	return false;
}

static bool is_spared(pid_t pid)
{
	for (size_t i = 0; i < PROCS_HELPERS; i++)
		if (pid && spared[i] == pid)
			return true;
	return false;
}

/* One blank-separated number at *p, which moves past it. */
static pid_t next_number(const char **p)
{
	long value = 0;
	bool negative = false;

	while (**p == ' ')
		++*p;
	if (**p == '-') {
		negative = true;
		++*p;
	}
	for (; **p >= '0' && **p <= '9'; ++*p)
		value = value < INT32_MAX / 10 ? value * 10 + (**p - '0') : value;
	return (pid_t)(negative ? -value : value);
}

/* The number of threads, in what follows the session. */
static int threads_in(const char *rest)
{
	enum { FIELDS_BETWEEN = 13 };

	for (int i = 0; i < FIELDS_BETWEEN; i++)
		(void)next_number(&rest);
	return next_number(&rest);
}

/* "PID (NAME) STATE PPID PGRP SESSION …"; the name may hold blanks and parentheses, so it ends at
 * the last one (proc(5)). */
static bool parse_stat(const char *text, struct proc *p)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');

	if (!open || !close || close < open || close[1] != ' ' || !close[2])
		return false;
	size_t length = (size_t)(close - open - 1);
	if (length >= sizeof p->name)
		length = sizeof p->name - 1;
	memcpy(p->name, open + 1, length);
	p->name[length] = '\0';
	p->state = close[2];
	const char *rest = close + 3;
	p->parent = next_number(&rest);
	p->group = next_number(&rest);
	p->session = next_number(&rest);
	/* A main thread that has ended is a zombie until the last of the others has. */
	if (p->state == 'Z' && threads_in(rest) > 1)
		p->state = 'S';
	return true;
}

static bool read_stat(pid_t pid, struct proc *p)
{
	char path[32], text[512];

	(void)format_text(path, sizeof path, "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t length = read(fd, text, sizeof text - 1);
	(void)close(fd);
	if (length <= 0)
		return false;
	text[length] = '\0';
	p->pid = pid;
	return parse_stat(text, p);
}

/* Is it shim's to care for? */
static bool is_ours(const struct proc *p)
{
	enum { DEPTH_MAX = 4096 }; /* the tree may change while we climb */
	pid_t self = getpid();
	struct proc above = *p;

	if (p->pid == self || p->state == 'Z' || p->state == 'X' || is_spared(p->pid) ||
		is_spared(p->group))
		return false;
	for (int depth = 0; self != 1 && above.parent != self; depth++)
		if (depth == DEPTH_MAX || above.parent <= 1 || !read_stat(above.parent, &above))
			return false;
	return true;
}

static bool visit_entry(const struct directory_entry *entry,
	bool (*visit)(const struct proc *p, void *context), void *context)
{
	struct proc p;
	long pid;

	if (parse_number(entry->name, 1, INT32_MAX, &pid) < 0 || !read_stat((pid_t)pid, &p) ||
		!is_ours(&p))
		return true;
	return visit(&p, context);
}

/* An empty folder is not, nor is the /proc of an outer namespace (unshare -p without a mount):
 * there, the numbers are those of strangers. */
static bool is_own_proc(int fd)
{
	char self[16];
	long pid;
	ssize_t length = readlinkat(fd, "self", self, sizeof self - 1);

	self[length < 0 ? 0 : length] = '\0';
	return parse_number(self, 1, INT32_MAX, &pid) == 0 && pid == getpid();
}

int procs_each(bool (*visit)(const struct proc *p, void *context), void *context)
{
	_Alignas(struct directory_entry) char entries[2048];
	long length = 0;
	bool go_on = true;
	int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (!is_own_proc(fd)) {
		(void)close(fd);
		errno = ENOENT;
		return -1;
	}
	while (go_on && (length = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0)
		for (long at = 0; go_on && at < length;) {
			const struct directory_entry *entry = (const void *)(entries + at);
			go_on = visit_entry(entry, visit, context);
			at += entry->length;
		}
	int error = errno;
	(void)close(fd);
	errno = error;
	return length < 0 ? -1 : 0;
}

struct send {
	int signo;
	pid_t only, except; /* process groups; 0: none */
	pid_t parent;       /* 0: any */
	bool stopped_only;
	int reached;
};

static bool send_one(const struct proc *p, void *context)
{
	struct send *send = context;

	if ((send->only && p->group != send->only) || (send->except && p->group == send->except))
		return true;
	if (send->parent && p->parent != send->parent)
		return true;
	if (send->stopped_only && p->state != 'T')
		return true;
	if (kill(p->pid, send->signo) == 0)
		send->reached++;
	return true;
}

int procs_signal(int signo, pid_t except)
{
	struct send send = {.signo = signo, .except = except};

	return procs_each(send_one, &send) < 0 ? -1 : send.reached;
}

int procs_signal_children(int signo)
{
	struct send send = {.signo = signo, .parent = getpid()};

	return procs_each(send_one, &send) < 0 ? -1 : send.reached;
}

int procs_signal_group(int signo, pid_t group, bool stopped_only)
{
	struct send send = {.signo = signo, .only = group, .stopped_only = stopped_only};

	return procs_each(send_one, &send) < 0 ? -1 : send.reached;
}

int procs_continue(pid_t pid)
{
	struct proc p;

	if (!read_stat(pid, &p))
		return -1;
	return p.state == 'T' && kill(pid, SIGCONT) == 0;
}

int procs_send_group(pid_t leader, int signo)
{
	if (children_send_group(leader, signo) == 0)
		return 0;
	if (errno != ENOSYS)
		return -1;
	int reached = procs_signal_group(signo, leader, false);
	errno = ESRCH;
	return reached > 0 ? 0 : -1;
}

static bool find_child(const struct proc *p, void *context)
{
	bool *is_found = context;

	*is_found = p->parent == getpid();
	return !*is_found;
}

bool procs_has_children(void)
{
	bool is_found = false;

	return procs_each(find_child, &is_found) < 0 || is_found;
}

struct names {
	char *buf;
	size_t size, length;
	int count, left_out;
};

static bool name_one(const struct proc *p, void *context)
{
	enum { ROOM_FOR_MORE = 24 };
	struct names *names = context;
	char one[PROC_NAME_SIZE + 32];
	size_t length = format_text(
		one, sizeof one, "%s%s (%d)", names->count ? ", " : "", p->name, (int)p->pid);

	names->count++;
	if (names->left_out || names->length + length + ROOM_FOR_MORE >= names->size) {
		names->left_out++;
		return true;
	}
	memcpy(names->buf + names->length, one, length + 1);
	names->length += length;
	return true;
}

int procs_names(char *buf, size_t size)
{
	struct names names = {.buf = buf, .size = size};

	buf[0] = '\0';
	if (procs_each(name_one, &names) < 0)
		return -1;
	if (names.left_out)
		(void)format_text(
			buf + names.length, size - names.length, " and %d more", names.left_out);
	return names.count;
}
