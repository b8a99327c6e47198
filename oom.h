/*
 * oom.h - the cgroup's own count of processes killed for want of memory, and its limit.
 *
 * Keeps a path, no descriptor. Everything degrades quietly to "none". Called by termlog.c; the pure
 * parser of the counter is termlog_parse_oom() in termlog.h.
 */
#ifndef OOM_H
#define OOM_H

#include <stdbool.h>
#include <stddef.h>

#define OOM_MEMBERSHIP "/proc/self/cgroup"
#define OOM_ROOT       "/sys/fs/cgroup"

/* Finds the counter of our own cgroup and takes its value as the starting point. The arguments are
 * OOM_MEMBERSHIP and OOM_ROOT but in tests. */
void oom_open(const char *membership, const char *root);

/* For a child that will not be allowed to open files: keeps the counter open, and asks that; -1:
 * it is not known. */
void oom_hold(void);
long oom_kills_held(void);

/* How many since oom_open(); 0 when that is not known. */
long oom_kills(void);

/* The smallest limit that holds for us, as far up as can be seen, in bytes; -1: none or unknown. */
long long oom_limit(void);

/* Pure: our cgroup in the text of /proc/self/cgroup, v1's memory hierarchy before v2. path holds ""
 * for the root. 0, or -1: it does not say, or it is outside of what can be seen ("/../other"), or
 * longer than size. */
int oom_find(const char *text, size_t length, bool *v1, char *path, size_t size);

/* Pure: a limit file's number; -1 for "max", v1's way to say none, or no number. */
long long oom_parse_limit(const char *text, size_t length);

#endif
