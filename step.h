/*
 * step.h - one step of a list of hooks: a command, an HTTP request or a pause.
 *
 * Owns what a hook finds in its environment. Called by hooks.c, which knows when which step runs.
 */
#ifndef STEP_H
#define STEP_H

#include <stddef.h>

#include "shim.h"
#include "target.h"

enum step_kind { STEP_COMMAND, STEP_REQUEST, STEP_PAUSE };

struct step {
	enum step_kind kind;
	const char *text;     /* as the user wrote it, on one line */
	char *copy;           /* a command: its words, each NUL-terminated */
	char **slots;         /* and its argv, behind a free slot for spawn.c */
	struct target target; /* a request */
	int64_t pause_ns;     /* a pause */
};

/* Takes the text apart. Uses the heap. 0, or -1 and what is wrong with it. step->text is there in
 * any case. */
int step_parse(struct step *step, const char *text, char *problem, size_t size);

/* Once, if there are any: keeps the app's environment for them, and the directory. Uses the heap.
 * 0, or -1: there is no memory. */
int step_init(const struct options *o);

/* What they are told of the app in their environment; pid 0: it was not started; exit_code < 0: it
 * has not ended. */
void step_set_app(pid_t pid, int exit_code, const char *reason);

/* How long it may take, or is to. */
int64_t step_limit_ns(const struct step *step);

/*
 * Starts it. list: the name of the list, for its environment. Returns the pid of the process, which
 * is watched; 0 for a pause, which needs none; -1 with the problem and with what a shell's exit
 * status would be. *reader: who reads what it prints (hook_output.h), or 0.
 */
pid_t step_start(struct step *step, const char *list, pid_t *reader, int *status, char *problem,
	size_t size);

/* To the group of a command; to itself if it has none (setpgid(2) was refused) or is in another. A
 * request is ended, whatever the signal: it has nothing to tidy up. */
void step_signal(const struct step *step, pid_t pid, int signo);

/* Its process has ended: how in outcome, "ok" or in a request's own words. */
enum { STEP_OUTCOME_SIZE = 160 };
void step_take_outcome(
	const struct step *step, pid_t pid, int status, char outcome[STEP_OUTCOME_SIZE]);

#endif
