/*
 * outcome.c - the exit status and the time budget, as pure functions of what happened.
 */
#include "outcome.h"

#include <signal.h>
#include <sys/wait.h>

#include "format.h"
#include "names.h"

int outcome_code(int wait_status)
{
	if (WIFSIGNALED(wait_status))
		return EXIT_SIGNALLED + WTERMSIG(wait_status);
	return WEXITSTATUS(wait_status);
}

char *outcome_text(int wait_status, char buf[OUTCOME_TEXT_SIZE])
{
	char name[SIGNAL_NAME_SIZE];

	if (WIFSIGNALED(wait_status))
		(void)format_text(buf, OUTCOME_TEXT_SIZE, "killed by %s",
			signal_name(WTERMSIG(wait_status), name));
	else if (WEXITSTATUS(wait_status))
		(void)format_text(buf, OUTCOME_TEXT_SIZE, "exit %d", WEXITSTATUS(wait_status));
	else
		(void)format_text(buf, OUTCOME_TEXT_SIZE, "ok");
	return buf;
}

bool outcome_is_wrapper(const struct options *o, const struct termlog_facts *facts, int sent_stop)
{
	return o->personality == AS_SHIM && sent_stop && facts->ended &&
	       WIFSIGNALED(facts->status) && WTERMSIG(facts->status) == sent_stop;
}

int outcome_status(const struct options *o, const struct termlog_facts *facts, int sent_stop)
{
	if (facts->out_of_time && (!facts->ended || outcome_is_wrapper(o, facts, sent_stop)))
		return EXIT_SIGNALLED + SIGKILL;
	if (!facts->ended)
		return 0; /* catatonit -P: a stop is all that can happen */

	int code = outcome_code(facts->status);
	/* If what was behind a shell had to be killed, its death by the signal says nothing. */
	if (o->clean_stop && sent_stop && code == EXIT_SIGNALLED + sent_stop &&
		(WIFEXITED(facts->status) || !facts->survivors[0]))
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
