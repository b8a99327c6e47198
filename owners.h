/*
 * owners.h - which listening sockets are this container's own.
 *
 * The containers of a pod share one network namespace, so the kernel lists the sidecars' sockets
 * too. Two ways to tell them apart: the cgroup a socket was made in, and the descriptors that the
 * container's processes hold. Children only.
 */
#ifndef OWNERS_H
#define OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sockets.h"

/* The id of the cgroup that this process makes sockets in, as INET_DIAG_CGROUP_ID gives it. 0 when
 * sockets cannot be told apart by it: an old kernel, cgroup v1 (all are in the root then), no
 * netlink. */
uint64_t owners_cgroup(struct sockets *s);

struct listener {
	uint64_t inode;
	uint16_t port;
	bool ours;
};

/* Marks those that a process of this container holds. 0, or -1 when not all processes could be
 * looked at (no /proc, or no right to see what is another user's or has more capabilities than we
 * have), so that the rest may be ours as well. */
int owners_mark(struct listener *listeners, size_t count);

/* May a process with /proc/PID/cgroup theirs be of the container of one with ours? Each cgroup the
 * same or below. Pure. */
bool owners_same_cgroup(const char *ours, const char *theirs);

#endif
