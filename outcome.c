/*
 * outcome.c - the exit status and the time budget, as pure functions of what happened.
 */
#include "outcome.h"

#include <signal.h>
#include <sys/wait.h>

int outcome_code(int wait_status)
{
	if (WIFSIGNALED(wait_status))
		return EXIT_SIGNALLED + WTERMSIG(wait_status);
	return WEXITSTATUS(wait_status);
}

int outcome_status(const struct options *o, const struct termlog_facts *facts, int sent_stop)
{
	if (!facts->ended && facts->out_of_time)
		return EXIT_SIGNALLED + SIGKILL;
	if (!facts->ended)
		return 0; /* catatonit -P: a stop is all that can happen */

	int code = outcome_code(facts->status);
	if (o->clean_stop && sent_stop && code == EXIT_SIGNALLED + sent_stop)
		return 0;
	/* Signal 128 and up do not exist, so code is at most 128 + 64. */
	return o->expect[code] >= 0 ? o->expect[code] : code;
}

int64_t outcome_kill_after_ns(int64_t grace_ns)
{
	int64_t margin_ns = grace_ns / 10;

	if (margin_ns > 500 * NS_PER_MS)
		margin_ns = 500 * NS_PER_MS;
	return grace_ns - margin_ns;
}
