/*
 * termjson.c - the termination message as one JSON object, valid however little room there is.
 *
 * Pure. Called by termlog.c; declared in termlog.h.
 */
#include <string.h>
#include <sys/wait.h>

#include "format.h"
#include "names.h"
#include "out.h"
#include "termlog.h"

enum { MESSAGE_MAX = 1024, SHORT_MAX = 200 };

struct mark {
	size_t length, closers;
};

/* Begins a field; json_end() takes it back when it did not fit. */
static struct mark json_begin(struct out *o, const char *name)
{
	struct mark m = {o->length, o->closers};
	int last = o->length > 0 ? o->buf[o->length - 1] : '{';
	if (last != '{' && last != '[')
		out_put(o, ",", 1);
	if (name != NULL) {
		out_put(o, "\"", 1);
		out_part(o, name, true, SHORT_MAX);
		out_put(o, "\":", 2);
	}
	return m;
}

static void json_end(struct out *o, struct mark m)
{
	if (o->full) {
		o->length = m.length;
		o->closers = m.closers;
		o->dropped = true;
	}
	o->full = false;
}

static void json_open(struct out *o, const char *bracket)
{
	o->closers++;
	out_put(o, bracket, 1);
}

static void json_close(struct out *o, const char *bracket)
{
	if (o->full)
		return; /* the field goes as a whole */
	o->closers--;
	out_put(o, bracket, 1);
}

/* text NULL: null. */
static void json_string(struct out *o, const char *name, const char *text, size_t max)
{
	struct mark m = json_begin(o, name);
	if (text == NULL) {
		out_put(o, "null", 4);
	} else {
		out_put(o, "\"", 1);
		out_part(o, text, true, max);
		out_put(o, "\"", 1);
	}
	json_end(o, m);
}

/* value < 0: null. */
static void json_number(struct out *o, const char *name, long long value)
{
	struct mark m = json_begin(o, name);
	if (value < 0)
		out_put(o, "null", 4);
	else
		out_format(o, "%lld", value);
	json_end(o, m);
}

static void json_bool(struct out *o, const char *name, bool value)
{
	struct mark m = json_begin(o, name);
	out_format(o, "%s", value ? "true" : "false");
	json_end(o, m);
}

static void json_seconds(struct out *o, const char *name, int64_t ns)
{
	long long ms = ns > 0 ? ns / NS_PER_MS : 0;
	struct mark m = json_begin(o, name);
	out_format(o, "%lld.%03lld", ms / 1000, ms % 1000);
	json_end(o, m);
}

/* To the millisecond. */
static void json_time(struct out *o, const char *name, int64_t wall_ns)
{
	char text[TIME_SIZE];

	format_time(wall_ns, text);
	text[23] = 'Z';
	text[24] = '\0';
	json_string(o, name, wall_ns > 0 ? text : NULL, SHORT_MAX);
}

/* One word for a machine, in the manner of Kubernetes' own reasons. */
static const char *reason(const struct termlog_facts *f, bool final)
{
	if (f->is_silent)
		return "Watchdog";
	if (f->failure != NULL)
		return "Failed";
	if (f->out_of_time)
		return "GraceExceeded";
	if (!f->ended)
		return final ? "Stopped" : "Stopping";
	if (termlog_is_oom(f))
		return "OOMKilled";
	if (f->exit_code == 0 || (f->exit_code < 0 && termlog_own_code(f) == 0))
		return "Completed";
	return WIFSIGNALED(f->status) ? "Signalled" : "Error";
}

/* A hook is there with all of its fields or not at all. */
static void json_hooks(struct out *o, const struct termlog_facts *f)
{
	struct mark array = json_begin(o, "hooks");
	json_open(o, "[");
	o->dropped = false;
	for (size_t i = 0; i < f->hook_count && i < TERMLOG_HOOKS && !o->full && !o->dropped; i++) {
		const struct termlog_hook *hook = &f->hooks[i];
		struct mark element = json_begin(o, NULL);
		json_open(o, "{");
		if (!o->full) {
			json_string(o, "kind", hook->kind, SHORT_MAX);
			json_string(o, "hook", hook->what, SHORT_MAX);
			json_bool(o, "ok", !hook->failed);
			json_string(o, "outcome", hook->outcome, SHORT_MAX);
			json_seconds(o, "seconds", hook->took_ns);
		}
		o->full = o->full || o->dropped;
		json_close(o, "}");
		json_end(o, element);
	}
	json_close(o, "]");
	json_end(o, array);
}

static void json_phases(struct out *o, const struct termlog_facts *f)
{
	struct mark object = json_begin(o, "phases");
	json_open(o, "{");
	for (size_t i = 0; i < TERMLOG_PHASES && !o->full; i++)
		if (f->phase_ns[i] > 0 && f->phase_names[i] != NULL)
			json_seconds(o, f->phase_names[i], f->phase_ns[i]);
	json_close(o, "}");
	json_end(o, object);
}

/* Fields that are there only when they say something. */
static void json_extras(struct out *o, const struct termlog_facts *f)
{
	char name[SIGNAL_NAME_SIZE];

	if (f->ended && !WIFSIGNALED(f->status))
		json_number(o, "appExitCode", WEXITSTATUS(f->status));
	if (!f->ended && f->phase != NULL)
		json_string(o, "phase", f->phase, SHORT_MAX);
	if (!f->ended && f->detail[0] != '\0')
		json_string(o, "detail", f->detail, SHORT_MAX);
	if (f->stop_signal > 0)
		json_string(o, "stopSignal", signal_name(f->stop_signal, name), SHORT_MAX);
	if (f->out_of_time)
		json_bool(o, "graceExceeded", true);
	if (f->survivors[0] != '\0')
		json_string(o, "survivors", f->survivors, SHORT_MAX);
	if (f->oom_kills > 0) {
		json_number(o, "oomKills", f->oom_kills);
		json_number(o, "memoryLimit", f->memory_limit);
	}
}

/* As many of the last lines as there is room for. */
static void json_tail(struct out *o, const char *tail)
{
	while (tail != NULL) {
		o->dropped = false;
		json_string(o, "tail", tail, o->limit);
		if (!o->dropped)
			return;
		tail = strchr(tail, '\n');
		tail = tail != NULL ? tail + 1 : NULL;
	}
}

size_t termlog_json(
	const struct termlog_facts *f, int64_t now_ns, bool final, char *buf, size_t size)
{
	struct out o = {.buf = buf, .limit = size - 1};
	char text[MESSAGE_MAX], name[SIGNAL_NAME_SIZE];
	bool killed = f->ended && WIFSIGNALED(f->status);

	json_open(&o, "{");
	if (!o.full) {
		json_string(&o, "reason", reason(f, final), SHORT_MAX);
		json_number(&o, "exitCode", f->exit_code);
		json_string(&o, "signal", killed ? signal_name(WTERMSIG(f->status), name) : NULL,
			SHORT_MAX);
		json_bool(&o, "coreDumped", killed && WCOREDUMP(f->status));
		json_bool(&o, "oomKilled", termlog_is_oom(f));
		json_time(&o, "startedAt", f->started_ns > 0 ? f->started_wall_ns : 0);
		json_time(&o, "finishedAt",
			f->ended && f->started_ns > 0 && f->started_wall_ns > 0
				? f->started_wall_ns + f->ended_ns - f->started_ns
				: 0);
		json_string(&o, "app", termlog_app(f), SHORT_MAX);
		json_extras(&o, f);
		(void)termlog_text(f, now_ns, final, text, sizeof(text));
		json_string(&o, "message", text, MESSAGE_MAX);
		json_phases(&o, f);
		json_hooks(&o, f);
		json_tail(&o, f->tail);
		json_close(&o, "}");
	} else {
		o.length = 0;
	}
	buf[o.length] = '\0';
	return o.length;
}
