/*
 * wait.c - --wait-for and --check: target_probe() again and again, and once, with words for a
 * person.
 *
 * Run in children of PID 1, or as `shim --check`.
 */
#include "target.h"

#include "format.h"
#include "log.h"
#include "net.h"
#include "shim.h"
#include "util.h"

#include <string.h>

static const int64_t first_pause_ns = 100 * NS_PER_MS;
static const int64_t shortest_pause_ns = 10 * NS_PER_MS;
static const int64_t default_interval_ns = NS_PER_S;
static const int64_t progress_ns = 5 * NS_PER_S;

struct waiter {
	const struct target *target;
	int64_t began_ns;
	int64_t deadline_ns; /* INT64_MAX: none */
	int64_t told_ns;     /* when stderr was last told; 0: never */
};

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void tell(struct waiter *w, const char *reason)
{
	int64_t now = clock_now_ns();
	long long seconds = (now - w->began_ns) / NS_PER_S;

	if (seconds > 0)
		log_at(LEVEL_WARN, "waiting for %s: %s, %llds", w->target->text, reason, seconds);
	else
		log_at(LEVEL_WARN, "waiting for %s: %s", w->target->text, reason);
	w->told_ns = now;
}

/* One try, cut short by the end of all waiting. */
static int try_once(
	struct waiter *w, const struct probe_options *options, char *reason, size_t size)
{
	struct probe_options cut = options != NULL ? *options : (struct probe_options){0};
	char latest[TARGET_REASON_SIZE] = "";
	int64_t left = w->deadline_ns - clock_now_ns();
	bool is_cut;

	if (cut.timeout_ns <= 0)
		cut.timeout_ns = TARGET_TIMEOUT_NS;
	is_cut = left < cut.timeout_ns;
	if (is_cut)
		cut.timeout_ns = left > 0 ? left : 1;
	if (target_probe(w->target, &cut, latest, sizeof latest) == 0)
		return 0;
	/* That the last try had no time left says less than why the one before failed. */
	if (is_cut && reason[0] != '\0' && clock_now_ns() >= w->deadline_ns)
		return -1;
	if (w->told_ns == 0 || strcmp(reason, latest) != 0 ||
		clock_now_ns() - w->told_ns >= progress_ns) {
		format_text(reason, size, "%s", latest);
		tell(w, latest);
	}
	return -1;
}

int target_wait(const struct target *target, const struct probe_options *options,
	int64_t interval_ns, int64_t deadline_ns, char *reason, size_t size)
{
	struct waiter w = {.target = target, .began_ns = clock_now_ns()};
	int64_t longest = interval_ns <= 0                  ? default_interval_ns
			  : interval_ns < shortest_pause_ns ? shortest_pause_ns
							    : interval_ns;
	int64_t pause_ns = earlier(first_pause_ns, longest);
	char duration[DURATION_SIZE];

	reason[0] = '\0';
	w.deadline_ns = deadline_ns < 0 ? INT64_MAX : deadline_ns;
	while (try_once(&w, options, reason, size) != 0) {
		int64_t now = clock_now_ns();

		if (now >= w.deadline_ns) {
			log_at(LEVEL_FATAL, "waited %s for %s: %s",
				format_duration(now - w.began_ns, duration), target->text, reason);
			return -1;
		}
		(void)net_wait(
			-1, 0, pause_ns < w.deadline_ns - now ? now + pause_ns : w.deadline_ns);
		pause_ns = earlier(2 * pause_ns, longest);
	}
	if (w.told_ns != 0)
		log_at(LEVEL_INFO, "%s is up after %s", target->text,
			format_duration(clock_now_ns() - w.began_ns, duration));
	return 0;
}

int target_check_main(const char *text, const struct probe_options *options)
{
	char reason[TARGET_REASON_SIZE];
	struct target target;

	if (target_parse(text, &target, reason, sizeof reason) != 0) {
		log_at(LEVEL_FATAL, "--check: '%s': expected %s", text, reason);
		return EXIT_SHIM;
	}
	if (target_probe(&target, options, reason, sizeof reason) == 0)
		return 0;
	log_at(LEVEL_FATAL, "%s: %s", text, reason);
	return 1;
}
