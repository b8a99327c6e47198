/*
 * logging.c - the app's output on its way to the log, as PID 1 sees it.
 */
#include "logging.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format.h"
#include "log.h"
#include "logs.h"
#include "names.h"
#include "util.h"
#include "workers.h"

static struct logs_plan plan;
static int ends[LOGS_STREAMS]; /* to write to; 0: none (any more) */
static int control_end;
static bool is_on, is_over, is_merged;
static struct service writer = WORKERS_SERVICE("the log writer");
static int64_t end_ns = -1;
static long tail_lines;

/* Both ends are beyond 0 to 2 (descriptors_reserve()). */
static int make_pipe(int *from, int *to)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	/* For programs that open /dev/stdout as another user: the pipe has no name, so only who has
	 * it already can. */
	(void)fchmod(fds[1], 0666);
	*from = fds[0];
	*to = fds[1];
	return 0;
}

/* What shim has put in the place of a closed descriptor is not the app's. */
static bool is_apps(int fd, struct stat *st)
{
	return fcntl(fd, F_GETFD) == 0 && fstat(fd, st) == 0;
}

/* May a write to it have to wait for a reader? */
static bool may_block(const struct stat *st)
{
	return S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode);
}

/* Which streams are to be read: those that there are, and no terminals, where a person reads. */
static void choose(const struct options *o, bool *is_wanted)
{
	struct stat st[2] = {{.st_ino = 0}, {.st_ino = 0}};

	plan.is_json = o->json_logs;
	if (plan.is_json && isatty(STDOUT_FILENO)) {
		log_at(LEVEL_WARN, "--json-logs: stdout is a terminal, so output stays as it is");
		plan.is_json = false;
	}
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		int i = fd - STDOUT_FILENO;
		bool is_open = is_apps(fd, &st[i]);
		is_wanted[i] = is_open && (plan.is_json || (i == LOGS_ERR && o->termination_tail));
		plan.may_block[i] = is_open && may_block(&st[i]);
	}
	plan.is_same = st[0].st_ino && st[0].st_ino == st[1].st_ino && st[0].st_dev == st[1].st_dev;
	if (is_wanted[LOGS_ERR] && isatty(STDERR_FILENO)) {
		log_at(LEVEL_WARN, "%s: stderr is a terminal, so it stays as it is",
			plan.is_json ? "--json-logs" : "--termination-tail");
		is_wanted[LOGS_ERR] = false;
	}
	/* Who has merged them wants the order, and that takes one pipe. */
	is_merged = plan.is_same && !plan.is_json && is_wanted[LOGS_ERR];
	is_wanted[LOGS_HOOK] = plan.is_json && is_wanted[LOGS_ERR];
	for (int kind = 0; kind < HOOK_KINDS; kind++)
		if (o->hooks[kind].count)
			return;
	is_wanted[LOGS_HOOK] = false;
}

int logging_init(const struct options *o, char *error, size_t size)
{
	bool is_wanted[LOGS_STREAMS];

	if (o->explain || (!o->json_logs && !o->termination_tail))
		return 0;
	choose(o, is_wanted);
	tail_lines = o->termination_tail;
	plan.nest = o->json_nest;
	if (tail_lines && is_wanted[LOGS_ERR]) {
		void *page = mmap(NULL, sizeof *plan.tail, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		plan.tail = page == MAP_FAILED ? NULL : page;
	}
	for (int i = 0; i < LOGS_STREAMS; i++) {
		if (!is_wanted[i])
			continue;
		is_on = true;
		if (make_pipe(&plan.sources[i], &ends[i]) < 0)
			goto failed;
	}
	if (!is_on || make_pipe(&plan.control, &control_end) == 0)
		return 0;
failed:
	(void)format_text(error, size, "a pipe for the app's output: %s", error_text(errno));
	return -1;
}

static void close_end(int *fd)
{
	if (*fd)
		(void)close(*fd);
	*fd = 0;
}

void logging_start(void)
{
	int keep[LOGS_STREAMS + 1];
	struct work work = {.run = logs_run, .context = &plan, .keep = keep, .role = SEAL_LOGS};

	if (!is_on || is_over)
		return;
	for (int i = 0; i < LOGS_STREAMS; i++)
		if (plan.sources[i])
			keep[work.keep_count++] = plan.sources[i];
	keep[work.keep_count++] = plan.control;
	workers_start_service(&writer, &work);
}

int logging_app_output(void)
{
	return ends[is_merged ? LOGS_ERR : LOGS_OUT];
}

int logging_app_errors(void)
{
	return ends[LOGS_ERR];
}

int logging_hook_errors(void)
{
	return ends[LOGS_HOOK];
}

void logging_app_started(void)
{
	close_end(&ends[LOGS_OUT]);
	close_end(&ends[LOGS_ERR]);
}

size_t logging_descriptors(int *fds, size_t max)
{
	const int all[LOGGING_DESCRIPTORS] = {plan.sources[LOGS_OUT], plan.sources[LOGS_ERR],
		plan.sources[LOGS_HOOK], ends[LOGS_HOOK], plan.control, control_end};
	size_t count = 0;

	for (size_t i = 0; i < LOGGING_DESCRIPTORS && count < max; i++)
		if (all[i])
			fds[count++] = all[i];
	return count;
}

/* Nobody reads these streams: as without shim, whoever writes to one gets a SIGPIPE. */
static void let_go(unsigned gone)
{
	for (unsigned i = 0; i < LOGS_STREAMS; i++)
		if (gone & (1U << i))
			close_end(&plan.sources[i]);
}

bool logging_child_ended(pid_t pid, int status)
{
	char loss[WORKERS_REASON];
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (!workers_service_ended(&writer, pid, loss))
		return false;
	if (*loss)
		log_at(LEVEL_WARN, "output was lost: %s", loss);
	if (code == 0 && end_ns >= 0) {
		is_over = true;
	} else if (code > LOGS_GONE && code < LOGS_GONE << 1) {
		let_go((unsigned)(code - LOGS_GONE));
		logging_start();
	} else {
		workers_start_later(
			&writer, status, "", end_ns < 0 ? WORKERS_PAUSE_NS : 100 * NS_PER_MS);
	}
	return true;
}

int64_t logging_deadline_ns(void)
{
	return is_over ? -1 : earlier_ns(writer.again_ns, end_ns);
}

void logging_check_time(int64_t now_ns)
{
	if (workers_is_due(&writer, now_ns))
		logging_start();
	if (is_over || end_ns < 0 || now_ns < end_ns)
		return;
	log_at(LEVEL_WARN, "nobody reads the output: what the app wrote last is lost");
	is_over = true;
	if (writer.pid)
		workers_kill(writer.pid);
}

void logging_end(int64_t until_ns)
{
	end_ns = until_ns;
	logging_app_started();
	close_end(&ends[LOGS_HOOK]);
	close_end(&control_end);
}

bool logging_is_busy(void)
{
	return is_on && !is_over;
}

/* The beginning of the last so many lines. */
static char *last_lines(char *text, size_t length, long lines)
{
	char *p = text + length;

	for (; p > text; p--)
		if (p[-1] == '\n' && p < text + length && --lines == 0)
			break;
	return p;
}

const char *logging_tail(void)
{
	static char text[LOGS_TAIL + 1];
	volatile struct logs_tail *tail = plan.tail;
	size_t length, at;

	if (!tail)
		return NULL;
	uint64_t total = tail->total;
	length = total < LOGS_TAIL ? (size_t)total : LOGS_TAIL;
	at = (size_t)((total - length) % LOGS_TAIL);
	for (size_t i = 0; i < length; i++) {
		text[i] = tail->ring[(at + i) % LOGS_TAIL];
		if (!text[i])
			text[i] = '?';
	}
	while (length && text[length - 1] == '\n')
		length--;
	text[length] = '\0';
	char *start = last_lines(text, length, tail_lines);
	/* Of the first line the beginning is missing: a whole one is better, if there is one. */
	if (start == text && total > LOGS_TAIL && strchr(text, '\n'))
		start = strchr(text, '\n') + 1;
	return *start ? start : NULL;
}
