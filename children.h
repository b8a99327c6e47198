/*
 * children.h - the children that shim has started and whose ends it waits for.
 *
 * Owns the list of them and their pidfds. A child that has ended keeps its place until it is
 * forgotten, for the sake of the process group that it led. Who starts a child calls
 * children_watch() or signals_fork(); signals.c and autoreap.c find out who has ended.
 */
#ifndef CHILDREN_H
#define CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { CHILDREN_MAX = 64 };

/* From now on the end of pid is an event. pidfd (or -1) becomes this module's to close. -1 when the
 * list is full. */
int children_watch(pid_t pid, int pidfd);

/* Has this watched child ended, as far as was told? */
bool children_has_ended(pid_t pid);

/* Is this child stopped now? */
bool children_is_stopped(pid_t pid);

/* The caller is done with an ended child and its process group. */
void children_forget(pid_t pid);

/*
 * Sends signo to the process group that watched child pid leads. When the leader has been reaped
 * its number may belong to somebody else, so then only by pidfd (Linux 6.9). 0, or -1 and errno:
 * ESRCH, there is no such group any more; ENOSYS, the leader is gone and the kernel is too old.
 */
int children_send_group(pid_t pid, int signo);

/* The pidfds, at most max; returns how many. */
size_t children_descriptors(int *fds, size_t max);

/*
 * For signals.c and autoreap.c.
 */
struct child {
	pid_t pid; /* 0: a free place */
	int pidfd; /* -1: none */
	bool has_ended;
	bool is_stopped; /* that was told, so the kernel does not tell it again */
};

/* The watched child with this number that has not ended; NULL: there is none. One that has may
 * still have a place, while an orphan has its number by now. */
struct child *children_find_living(pid_t pid);

/* The next of those that have not ended, behind this one; NULL: the first, or there is no other. */
struct child *children_next_living(struct child *after);

#endif
