/*
 * outcome.h - the exit status and the time budget, as pure functions of what happened.
 */
#ifndef OUTCOME_H
#define OUTCOME_H

#include "shim.h"
#include "termlog.h"

/* A wait status as a shell reports it: the exit code, or 128 plus the signal. */
int outcome_code(int wait_status);

/* The same in words: "ok", "exit 3", "killed by SIGSEGV". Returns buf. */
enum { OUTCOME_TEXT_SIZE = 32 };
char *outcome_text(int wait_status, char buf[OUTCOME_TEXT_SIZE]);

/*
 * What shim exits with once it is over. sent_stop: the signal that the app was told to stop with, 0
 * if none: --clean-stop forgives an end by just that one.
 */
int outcome_status(const struct options *o, const struct termlog_facts *facts, int sent_stop);

/*
 * The app was killed by the signal that it was told to stop with: a shell, most likely, and what it
 * leaves behind is the real app, which then is told the same and has as much time. sent_stop as
 * above.
 */
bool outcome_is_wrapper(const struct options *o, const struct termlog_facts *facts, int sent_stop);

/* How long after the first stop signal everything is killed: grace less a margin, so that shim is
 * done before the platform kills it. */
int64_t outcome_kill_after_ns(int64_t grace_ns);

#endif
