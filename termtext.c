/*
 * termtext.c - the words of the termination message: facts to a line of text.
 *
 * Pure: no state, no system call. Called by termlog.c, which owns the file; declared in termlog.h.
 */
#include <string.h>
#include <sys/wait.h>

#include "format.h"
#include "names.h"
#include "out.h"
#include "termlog.h"

/* The bytes that one string from outside may take, so that it does not crowd out the rest. */
enum { PART_MAX = 1024 };

int termlog_own_code(const struct termlog_facts *f)
{
	if (!f->ended)
		return -1;
	return WIFSIGNALED(f->status) ? EXIT_SIGNALLED + WTERMSIG(f->status)
				      : WEXITSTATUS(f->status);
}

bool termlog_is_oom(const struct termlog_facts *f)
{
	return f->ended && WIFSIGNALED(f->status) && WTERMSIG(f->status) == 9 && !f->out_of_time &&
	       f->oom_kills > 0;
}

const char *termlog_app(const struct termlog_facts *f)
{
	return f->app != NULL && f->app[0] != '\0' ? f->app : "app";
}

static void put_duration(struct out *o, const char *before, int64_t ns, const char *after)
{
	char text[DURATION_SIZE];
	out_format(o, "%s%s%s", before, format_duration(ns > 0 ? ns : 0, text), after);
}

static void put_text(struct out *o, const char *text)
{
	out_part(o, text, false, PART_MAX);
}

/* "64 MiB", "1.5 GiB". */
static void put_limit(struct out *o, const char *before, long long bytes, const char *after)
{
	static const char units[][8] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
	size_t unit = 0;
	long long tenths = 0;

	for (; bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++) {
		tenths = bytes % 1024 * 10 / 1024;
		bytes /= 1024;
	}
	if (tenths > 0)
		out_format(o, "%s%lld.%lld %s%s", before, bytes, tenths, units[unit], after);
	else
		out_format(o, "%s%lld %s%s", before, bytes, units[unit], after);
}

/* "python3 killed by SIGKILL after 3m12s: out of memory (limit 64 MiB)" */
static void put_end(struct out *o, const struct termlog_facts *f)
{
	char name[SIGNAL_NAME_SIZE];

	put_text(o, termlog_app(f));
	if (WIFSIGNALED(f->status))
		out_format(o, " killed by %s%s", signal_name(WTERMSIG(f->status), name),
			WCOREDUMP(f->status) ? " (core dumped)" : "");
	else
		out_format(o, " exited %d", WEXITSTATUS(f->status));
	if (f->started_ns > 0)
		put_duration(o, " after ", f->ended_ns - f->started_ns, "");
	if (!termlog_is_oom(f))
		return;
	out_format(o, ": out of memory");
	if (f->memory_limit >= 0)
		put_limit(o, " (limit ", f->memory_limit, ")");
	if (f->oom_kills > 1)
		out_format(o, ", %ld processes killed", f->oom_kills);
}

/* Neither an end nor a failure: where it stands. */
static void put_state(struct out *o, const struct termlog_facts *f, int64_t now_ns, bool final)
{
	char name[SIGNAL_NAME_SIZE];
	const char *between = ": ";

	put_text(o, f->phase != NULL ? f->phase : "unknown state");
	if (f->detail[0] != '\0') {
		out_put(o, between, 2);
		put_text(o, f->detail);
		between = "; ";
	}
	if (f->stop_signal > 0) {
		out_format(o, "%s%s", between, signal_name(f->stop_signal, name));
		put_duration(o, " ", now_ns - f->stop_ns, " ago");
	}
	if (final && f->started_ns == 0) {
		out_put(o, "; ", 2);
		put_text(o, termlog_app(f));
		out_format(o, " not started");
	}
}

/* The first part: how it ended, or why not. */
static void put_head(struct out *o, const struct termlog_facts *f, int64_t now_ns, bool final)
{
	if (f->failure != NULL) {
		put_text(o, f->failure);
		if (f->out_of_time || f->ended)
			out_put(o, "; ", 2);
	}
	if (f->out_of_time) {
		put_duration(o, "grace period spent after ", now_ns - f->stop_ns, "");
		if (f->phase != NULL) {
			out_format(o, " while ");
			put_text(o, f->phase);
		}
		out_put(o, ": ", 2);
	}
	if (f->ended) {
		put_end(o, f);
	} else if (f->out_of_time) {
		put_text(o, termlog_app(f));
		out_format(o, f->started_ns > 0 ? " killed" : " not started");
	} else if (f->failure == NULL) {
		put_state(o, f, now_ns, final);
	}
}

/* "; 2 processes killed: out of memory (limit 64 MiB)": the app was not one of them. */
static void put_others(struct out *o, const struct termlog_facts *f)
{
	if (f->oom_kills <= 0 || termlog_is_oom(f))
		return;
	out_format(o, "; %ld %s killed", f->oom_kills, f->oom_kills == 1 ? "process" : "processes");
	if (f->killed[0] != '\0') {
		out_put(o, ", ", 2);
		put_text(o, f->killed);
	}
	out_format(o, ": out of memory");
	if (f->memory_limit >= 0)
		put_limit(o, " (limit ", f->memory_limit, ")");
}

static void put_failed_hooks(struct out *o, const struct termlog_facts *f)
{
	for (size_t i = 0; i < f->hook_count && i < TERMLOG_HOOKS; i++) {
		const struct termlog_hook *hook = &f->hooks[i];
		if (!hook->failed)
			continue;
		out_put(o, "; ", 2);
		put_text(o, hook->kind);
		out_put(o, " ", 1);
		put_text(o, hook->what);
		out_format(o, " failed: ");
		put_text(o, hook->outcome);
	}
}

size_t termlog_text(
	const struct termlog_facts *f, int64_t now_ns, bool final, char *buf, size_t size)
{
	struct out o = {.buf = buf, .limit = size - 1};
	int own = termlog_own_code(f);
	char name[SIGNAL_NAME_SIZE];

	put_head(&o, f, now_ns, final);
	if (own >= 0 && f->exit_code >= 0 && f->exit_code != own)
		out_format(&o, "; reported as %d", f->exit_code);
	if (f->stop_signal > 0 && f->ended && !f->out_of_time) {
		bool is_before = f->stop_ns <= f->ended_ns;
		put_duration(&o, "; stop requested ",
			is_before ? f->ended_ns - f->stop_ns : f->stop_ns - f->ended_ns,
			is_before ? " before" : " after");
		out_format(&o, " (%s)", signal_name(f->stop_signal, name));
	}
	if (f->refused != NULL) {
		out_put(&o, "; ", 2);
		put_text(&o, f->refused);
	}
	if (f->survivors[0] != '\0') {
		out_format(&o, "; still alive: ");
		put_text(&o, f->survivors);
	}
	put_others(&o, f);
	put_failed_hooks(&o, f);
	buf[o.length] = '\0';
	return o.length;
}

static size_t put_tail(const char *tail, char *buf, size_t length, size_t size, bool *all)
{
	struct out o = {.buf = buf, .limit = size - 1, .length = length};

	while (*tail != '\0') {
		char line[PART_MAX];
		size_t n = strcspn(tail, "\n");
		(void)format_text(line, n < sizeof(line) ? n + 1 : sizeof(line), "%s", tail);
		out_put(&o, "\n", 1);
		put_text(&o, line);
		tail += n + (tail[n] != '\0');
	}
	*all = !o.full;
	return o.length;
}

size_t termlog_add_tail(const char *tail, char *buf, size_t length, size_t size)
{
	bool all;

	for (;;) {
		size_t end = put_tail(tail, buf, length, size, &all);
		const char *next = strchr(tail, '\n');
		if (all || next == NULL) {
			buf[end] = '\0';
			return end;
		}
		tail = next + 1;
	}
}
