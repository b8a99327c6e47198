/*
 * procs.h - the other processes: who is left, who is stopped, who hears a signal. Reads /proc; without /proc says so.
 */
#ifndef PROCS_H
#define PROCS_H

#include <stddef.h>

#include "shim.h"

struct proc {
	pid_t pid, parent, group, session;
	char state; /* as in /proc/PID/stat */
	char name[16];
};

/* Calls visit for each process that is neither shim nor one it has to leave alone: as PID 1 all in the namespace, else those below
 * shim. Kernel threads do not count, zombies do not. Stops early when visit returns false. -1: there is no /proc to read. */
int procs_each(bool (*visit)(const struct proc *p, void *context), void *context);

/* Sends signo to each of them but those in process group except (0: to all). How many it reached, or -1 without /proc. */
int procs_signal(int signo, pid_t except);

/* "worker (23), python3 (31) and 4 more": up to size bytes. Returns how many there are, -1 without /proc. */
int procs_names(char *buf, size_t size);

#endif
