/*
 * procs.h - the other processes: who is left, who is stopped, who hears a signal. Reads /proc.
 *
 * As PID 1 the others are all in the namespace, else those below shim. Zombies do not count. No
 * state but the list of those that are shim's own. Called by forward.c and shim.c.
 */
#ifndef PROCS_H
#define PROCS_H

#include <stddef.h>

#include "shim.h"

enum { PROC_NAME_SIZE = 16 };

struct proc {
	pid_t pid, parent, group, session;
	char state; /* as in proc(5) */
	char name[PROC_NAME_SIZE];
};

/* Is shim PID 1, and the others therefore the container? */
bool procs_is_init(void);

/* When shim is not: from now on orphans below it become its children. Refused: as before. */
void procs_adopt(void);

/* Calls visit for each until it returns false. 0, or -1 when /proc cannot be read. */
int procs_each(bool (*visit)(const struct proc *p, void *context), void *context);

/* Sends signo to all of them but the members of process group except (0: to all). Returns how many
 * it reached, or -1 when /proc cannot be read. */
int procs_signal(int signo, pid_t except);

/* Sends signo to shim's own children among them: not to what is below those. As above. */
int procs_signal_children(int signo);

/* Sends signo to the members of one process group only, or, stopped_only, to those of it that are
 * stopped. Group 0 is every group. As above. */
int procs_signal_group(int signo, pid_t group, bool stopped_only);

/* Sends SIGCONT to one process if it is stopped. As above. */
int procs_continue(pid_t pid);

/*
 * Has shim a child that is not spared? Who is below one counts with it, since orphans become
 * children; who entered the container from outside (kubectl exec) does not, since nothing tells of
 * its end. True without /proc.
 */
bool procs_has_children(void);

/* "worker (23), python3 (31) and 4 more". Returns how many there are, or -1 when /proc cannot be
 * read. */
int procs_names(char *buf, size_t size);

/* Sends signo to the process group of a watched child, also when that has ended and the kernel is
 * too old to reach it safely (children_send_group()). 0, or -1 and errno. */
int procs_send_group(pid_t leader, int signo);

/* A helper of shim's own, and its process group: never visited from now on (on), or no longer
 * spared. */
enum { PROCS_HELPERS = 64 };
void procs_spare(pid_t pid, bool on);
bool procs_spares_any(void);

#endif
