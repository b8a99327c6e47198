/*
 * health_metrics.c - /metrics: what PID 1 and the kernel count, in Prometheus' text format 0.0.4.
 *
 * Pure. What is not known has no sample: no zero stands for it. Called by health_answer.c.
 */
#include <string.h>

#include "health.h"
#include "out.h"
#include "shim.h"

/* Those that the server can live to see. */
static const char phases[][STATUS_PHASE_SIZE] = {"waiting", "preparing", "starting", "running",
	"draining", "drained", "stopping", "finishing"};
static const char kinds[HOOK_KINDS][12] = {
	[HOOK_PRE_START] = "pre-start",
	[HOOK_POST_START] = "post-start",
	[HOOK_PRE_STOP] = "pre-stop",
	[HOOK_POST_STOP] = "post-stop",
};

static void put_family(struct out *out, const char *name, const char *type, const char *help)
{
	out_format(out, "# HELP shim_%s %s\n", name, help);
	out_format(out, "# TYPE shim_%s %s\n", name, type);
}

static void put_number(
	struct out *out, const char *name, const char *type, const char *help, uint64_t number)
{
	put_family(out, name, type, help);
	out_format(out, "shim_%s %llu\n", name, (unsigned long long)number);
}

static void put_phase(struct out *out, const struct status *s)
{
	put_family(out, "phase", "gauge", "1 for the phase of the lifecycle, 0 for the others.");
	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
		out_format(out, "shim_phase{phase=\"%s\"} %d\n", phases[i],
			strcmp(phases[i], s->phase) == 0);
}

static void put_hooks(struct out *out, const struct status *s)
{
	put_family(out, "hooks_total", "counter", "Hooks that have ended.");
	for (int kind = 0; kind < HOOK_KINDS; kind++)
		for (int failed = 0; failed < 2; failed++)
			out_format(out, "shim_hooks_total{kind=\"%s\",result=\"%s\"} %u\n",
				kinds[kind], failed ? "failed" : "ok",
				s->hook_counts[kind][failed]);
}

static void put_uptime(struct out *out, int64_t up_ns)
{
	put_family(out, "app_uptime_seconds", "gauge", "Since the app was started.");
	out_format(out, "shim_app_uptime_seconds %lld.%03lld\n", (long long)(up_ns / NS_PER_S),
		(long long)(up_ns % NS_PER_S / NS_PER_MS));
}

void health_metrics(const struct status *s, const struct health_numbers *n, int64_t now_ns,
	struct health_reply *reply)
{
	struct out out = {.buf = reply->body, .limit = sizeof reply->body};

	put_family(&out, "build_info", "gauge", "1, and what shim this is.");
	out_format(&out, "shim_build_info{version=\"%s\"} 1\n", SHIM_VERSION);
	put_phase(&out, s);
	put_number(&out, "ready", "gauge", "Is it ready? Without the answer of a --ready-probe.",
		s->is_ready);
	if (s->started_ns)
		put_uptime(&out, now_ns - s->started_ns);
	if (strcmp(s->phase, "draining") == 0)
		put_number(&out, "active_connections", "gauge",
			"Connections that the drain waits for.", n->active);
	put_hooks(&out, s);
	put_number(&out, "signals_forwarded_total", "counter", "Signals passed on to the app.",
		n->signals);
	if (n->orphans != STATUS_UNKNOWN)
		put_number(&out, "orphans_reaped_total", "counter",
			"Orphaned processes reaped by shim.", n->orphans);
	if (n->oom_kills >= 0)
		put_number(&out, "oom_kills_total", "counter",
			"Processes of the container killed for want of memory.",
			(uint64_t)n->oom_kills);
	reply->status = 200;
	reply->type = "text/plain; version=0.0.4; charset=utf-8";
	reply->length = out.length;
}
