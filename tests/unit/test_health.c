/*
 * test_health.c - addresses, routes and texts of the health server, the status page under a writer
 * that never rests, the prober. What clients do to it is in tests/servers/test_health.py.
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../health.c" /* who gives way is static */
#include "../../shim.h"
#include "../../status.h"

/* ---- addresses ---- */

static const char *parsed(const char *text)
{
	static char result[80];
	struct health_address a;
	const char *expected = NULL;

	if (health_parse(text, &a, &expected) < 0) {
		ck_assert_ptr_nonnull(expected);
		return "-";
	}
	snprintf(result, sizeof(result), "%s %u", a.host, a.port);
	return result;
}

START_TEST(addresses)
{
	static const char *const bad[] = {"", ":", "0", "65536", "-1", "80x", " 80",
		"8080:", ":8080", "[]:80", "[::1]", "::1", "::1:80", "localhost:80", "1.2.3:80",
		"1.2.3.4.5:80", "[1.2.3.4]:80", "[::1:80", "::1]:80", "[::g]:80", "[::1]80",
		"127.0.0.1:99999", "[aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa]:80"};

	ck_assert_str_eq(parsed("8080"), " 8080");
	ck_assert_str_eq(parsed("1"), " 1");
	ck_assert_str_eq(parsed("65535"), " 65535");
	ck_assert_str_eq(parsed("127.0.0.1:80"), "127.0.0.1 80");
	ck_assert_str_eq(parsed("0.0.0.0:80"), "0.0.0.0 80");
	ck_assert_str_eq(parsed("[::1]:80"), "::1 80");
	ck_assert_str_eq(parsed("[::]:80"), ":: 80");
	ck_assert_str_eq(parsed("[::ffff:127.0.0.1]:80"), "::ffff:127.0.0.1 80");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(strcmp(parsed(bad[i]), "-") == 0, "%s", bad[i]);
}
END_TEST

static bool can_connect(int family, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
				       : connect(fd, (struct sockaddr *)&v6, sizeof(v6));

	close(fd);
	return result == 0;
}

START_TEST(binding)
{
	static const struct {
		const char *host;
		bool v4, v6;
	} cases[] = {{"", true, true}, {"127.0.0.1", true, false}, {"0.0.0.0", true, false},
		{"::1", false, true}, {"::ffff:127.0.0.1", true, false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct health_address a = {.port = 0};
		char error[160] = "";
		uint16_t port;
		int fd, second;

		strcpy(a.host, cases[i].host);
		fd = health_bind(&a, error, sizeof(error));
		ck_assert_msg(fd >= 0, "%s: %s", a.host, error);
		port = health_port(fd);
		ck_assert_uint_gt(port, 0);
		ck_assert_msg(can_connect(AF_INET, port) == cases[i].v4, "%s", a.host);
		ck_assert_msg(can_connect(AF_INET6, port) == cases[i].v6, "%s", a.host);
		a.port = port;
		second = health_bind(&a, error, sizeof(error));
		ck_assert_int_lt(second, 0);
		ck_assert_msg(strstr(error, "is in use") != NULL, "%s", error);
		close(fd);
	}
	/* IPv6 is taken, IPv4 is not: half a server would be a riddle. */
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	const int one = 1;
	int only = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(only, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	ck_assert_int_eq(bind(only, (struct sockaddr *)&v6, sizeof(v6)), 0);
	ck_assert_int_eq(listen(only, 1), 0);
	struct health_address taken = {.port = health_port(only)};
	char error[160] = "";
	ck_assert_int_lt(health_bind(&taken, error, sizeof(error)), 0);
	ck_assert_msg(strstr(error, "is in use") != NULL, "%s", error);
	close(only);
	struct health_address elsewhere = {.host = "203.0.113.7", .port = 8080};
	ck_assert_int_lt(health_bind(&elsewhere, error, sizeof(error)), 0);
	ck_assert_str_eq(
		error, "cannot listen on 203.0.113.7 port 8080: Cannot assign requested address");
}
END_TEST

/* ---- answers ---- */

static struct health_numbers numbers = {.active = 5, .oom_kills = -1};

static struct health_reply answered(const struct status *s, const char *path)
{
	struct health_reply reply;

	memset(&reply, 0xaa, sizeof(reply));
	health_answer(s, &numbers, 90 * NS_PER_S + 7 * NS_PER_MS, span_of(path), &reply);
	ck_assert_uint_le(reply.length, sizeof(reply.body));
	if (reply.length < sizeof(reply.body))
		reply.body[reply.length] = '\0';
	return reply;
}

#define ANSWERS(s, path, code, text)                                                               \
	do {                                                                                       \
		struct health_reply r_ = answered(s, path);                                        \
		ck_assert_int_eq(r_.status, code);                                                 \
		ck_assert_str_eq(r_.body, text);                                                   \
	} while (0)

START_TEST(routes)
{
	struct status s = {.phase = "starting", .reason = "post-start running"};

	ANSWERS(&s, "/livez", 200, "ok\n");
	ANSWERS(&s, "/readyz", 503, "post-start running\n");
	ck_assert(!answered(&s, "/readyz").needs_probe);
	ANSWERS(&s, "/startupz", 503, "post-start running\n");
	s.is_ready = s.was_running = true;
	ANSWERS(&s, "/readyz", 200, "ok\n");
	ck_assert(answered(&s, "/readyz").needs_probe);
	ck_assert(!answered(&s, "/livez").needs_probe);
	ANSWERS(&s, "/startupz", 200, "ok\n");
	s.is_ready = false;
	strcpy(s.phase, "stopping");
	s.reason[0] = '\0';
	ANSWERS(&s, "/readyz", 503, "stopping\n"); /* the phase, where no reason is given */
	ANSWERS(&s, "/startupz", 200, "ok\n");     /* start-up stays over */
	ANSWERS(&s, "/livez", 200, "ok\n");
	ck_assert_int_eq(answered(&s, "/").status, 404);
	ck_assert_int_eq(answered(&s, "").status, 404);
	ck_assert_int_eq(answered(&s, "/LIVEZ").status, 404);
	ck_assert_int_eq(answered(&s, "/livez/").status, 404);
	strcpy(s.reason, "a\r\nb\x1b[31m\xff");
	ANSWERS(&s, "/readyz", 503, "a  b?[31m\xef\xbf\xbd\n"); /* one harmless line */
}
END_TEST

START_TEST(status_json)
{
	struct status s = {.phase = "running",
		.is_ready = true,
		.was_running = true,
		.app_pid = 7,
		.started_ns = 60 * NS_PER_S,
		.started_wall_ns = 1700000000 * NS_PER_S,
		.hook_counts = {[HOOK_PRE_START] = {1, 0}, [HOOK_POST_START] = {1, 1}},
		.hook = "post-start \"x\""};

	ANSWERS(&s, "/status", 200,
		"{\"ready\":true,\"started\":true,\"phase\":\"running\",\"reason\":\"\",\"pid\":7,"
		"\"startedAt\":\"2023-11-14T22:13:20Z\",\"uptimeSeconds\":30.007,"
		"\"activeConnections\":5,\"hooks\":{\"done\":2,\"failed\":1,"
		"\"running\":\"post-start \\\"x\\\"\"}}\n");
	ck_assert_str_eq(answered(&s, "/status").type, "application/json");
	memset(&s, 0, sizeof(s));
	ANSWERS(&s, "/status", 200,
		"{\"ready\":false,\"started\":false,\"phase\":\"\",\"reason\":\"starting\",\"pid\":"
		"null,"
		"\"startedAt\":null,\"uptimeSeconds\":null,"
		"\"activeConnections\":5,\"hooks\":{\"done\":0,\"failed\":0,\"running\":\"\"}}\n");
	strcpy(numbers.said, "\"half\" way\n");
	s.phase[0] = 'x';
	ck_assert_ptr_nonnull(strstr(answered(&s, "/status").body,
		"\"running\":\"\"},\"appStatus\":\"\\\"half\\\" way\\u000a\"}\n"));
	ANSWERS(&s, "/readyz", 503, "x\n\"half\" way \n");
	/* The worst texts. */
	memset(numbers.said, 1, sizeof(numbers.said) - 1);
	memset(s.reason, 1, sizeof(s.reason) - 1);
	memset(s.hook, 1, sizeof(s.hook) - 1);
	ck_assert_int_eq(answered(&s, "/status").status, 200);
	numbers.said[0] = '\0';
	memset(s.hook, '"', sizeof(s.hook) - 1);
	memset(s.reason, 0xff, sizeof(s.reason) - 1);
	ck_assert_int_eq(answered(&s, "/status").status, 200);
}
END_TEST

START_TEST(metrics)
{
	struct status s = {.phase = "draining",
		.started_ns = 60 * NS_PER_S,
		.hook_counts = {[HOOK_PRE_STOP] = {3, 1}, [HOOK_POST_STOP] = {0, UINT16_MAX}}};
	struct health_reply all, least;

	numbers = (struct health_numbers){UINT32_MAX, UINT64_MAX - 1, UINT64_MAX - 1, 7, ""};
	all = answered(&s, "/metrics");
	ck_assert_int_eq(all.status, 200);
	ck_assert_str_eq(all.type, "text/plain; version=0.0.4; charset=utf-8");
	ck_assert_uint_lt(all.length, sizeof(all.body)); /* whole, even with the largest numbers */
	ck_assert_int_eq(all.body[all.length - 1], '\n');
	ck_assert_ptr_nonnull(strstr(all.body, "\nshim_phase{phase=\"draining\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(all.body, "\nshim_phase{phase=\"running\"} 0\n"));
	ck_assert_ptr_nonnull(strstr(all.body, "\nshim_app_uptime_seconds 30.007\n"));
	ck_assert_ptr_nonnull(strstr(all.body, "\nshim_active_connections 4294967295\n"));
	ck_assert_ptr_nonnull(
		strstr(all.body, "\nshim_hooks_total{kind=\"pre-stop\",result=\"failed\"} 1\n"));
	ck_assert_ptr_nonnull(
		strstr(all.body, "\nshim_hooks_total{kind=\"pre-stop\",result=\"ok\"} 3\n"));
	ck_assert_ptr_nonnull(
		strstr(all.body, "\nshim_signals_forwarded_total 18446744073709551614\n"));
	ck_assert_ptr_nonnull(strstr(all.body, "\nshim_oom_kills_total 7\n"));

	/* No sample stands for what is not known. */
	numbers = (struct health_numbers){.active = 5, .orphans = STATUS_UNKNOWN, .oom_kills = -1};
	s = (struct status){.phase = "waiting"};
	least = answered(&s, "/metrics");
	ck_assert_ptr_nonnull(strstr(least.body, "\nshim_phase{phase=\"waiting\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(least.body, "\nshim_ready 0\n"));
	ck_assert_ptr_null(strstr(least.body, "orphans"));
	ck_assert_ptr_null(strstr(least.body, "oom"));
	ck_assert_ptr_null(strstr(least.body, "connections"));
	ck_assert_ptr_null(strstr(least.body, "uptime"));
	numbers = (struct health_numbers){.active = 5, .oom_kills = -1};
}
END_TEST

/* ---- the page ---- */

static void fill(struct status *s, uint32_t n)
{
	memset(s, 0, sizeof(*s));
	memset(s->reason, (int)('a' + n % 26), sizeof(s->reason) - 1);
	memset(s->hook, (int)('a' + n % 26), sizeof(s->hook) - 1);
	s->app_pid = (int32_t)n;
	s->started_ns = s->started_wall_ns = n;
}

/* A reader never sees half of one state and half of another. */
START_TEST(page_is_never_torn)
{
	struct status_page *page = status_create();
	struct status s;
	uint32_t last = 0, changes = 0;
	pid_t writer;

	ck_assert_ptr_nonnull(page);
	fill(&s, 0);
	status_publish(page, &s);
	writer = fork();
	if (writer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (uint32_t n = 1;; n++) {
			fill(&s, n);
			status_publish(page, &s);
			/* A writer that never rests leaves a reader no chance, and its tries are
			 * counted. */
			for (volatile uint32_t i = 0; i < n % 64 * 50; i++)
				;
		}
	}
	time_t end = time(NULL) + 4; /* the machine may be busy */
	for (int i = 0; i < 1000000 && time(NULL) < end; i++) {
		status_read(page, &s);
		ck_assert_int_eq(s.started_ns, (uint32_t)s.app_pid);
		ck_assert_int_eq(s.started_wall_ns, (uint32_t)s.app_pid);
		ck_assert_int_eq(s.reason[0], (char)('a' + (uint32_t)s.app_pid % 26));
		ck_assert_int_eq(s.reason[STATUS_TEXT_SIZE - 2], s.reason[0]);
		ck_assert_int_eq(s.hook[STATUS_TEXT_SIZE - 2], s.reason[0]);
		changes += (uint32_t)s.app_pid != last;
		last = (uint32_t)s.app_pid;
	}
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	ck_assert_uint_gt(changes, 10); /* else nothing was tried */
	munmap(page, sizeof(*page));
}
END_TEST

START_TEST(page_of_garbage_ends)
{
	struct status_page *page = status_create();
	struct status s;

	memset(page, 'x', sizeof(*page));
	status_read(page, &s);
	ck_assert_uint_lt(strlen(s.phase), STATUS_PHASE_SIZE);
	ck_assert_uint_lt(strlen(s.reason), STATUS_TEXT_SIZE);
	ck_assert_uint_lt(strlen(s.hook), STATUS_TEXT_SIZE);
	munmap(page, sizeof(*page));
}
END_TEST

START_TEST(page_is_protected)
{
	struct status_page *page = status_create();

	status_protect(page);
	atomic_store(&page->active, 1); /* SIGSEGV */
}
END_TEST

/* ---- the prober ---- */

static const char *const outcomes[] = {"ok", "no", "hang", "die"};

static int probe(void *context, char *reason, size_t size)
{
	const char *what = context;

	if (strcmp(what, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(what, "die") == 0)
		raise(SIGKILL);
	snprintf(reason, size, "because of %s", what);
	return strcmp(what, "ok") == 0 ? 0 : -1;
}

START_TEST(prober)
{
	static const char *const reasons[] = {
		"because of ok", "because of no", "timed out", "the probe broke down"};
	char *what = strdup(outcomes[_i]);
	struct health_options options = {.listener = -1, .probe = probe, .probe_context = what};
	char reason[HEALTH_REASON_SIZE];
	struct pollfd place;
	struct timespec nap = {.tv_nsec = 100 * NS_PER_MS};
	uint32_t number = 0;
	bool passed = _i != 0;
	int fd, taken = 0;

	if (_i >
		1) /* as in PID 1, where the kernel may reap: the prober must not lose the status */
		signal(SIGCHLD, SIG_IGN);
	fd = health_prober_start(&options);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(health_prober_take(fd, &number, &passed, reason), 0);
	for (uint32_t n = 1; n <= 2; n++) { /* it goes on after each */
		ck_assert_int_eq(health_prober_ask(fd, n), 0);
		place = (struct pollfd){fd, POLLIN, 0};
		ck_assert_int_eq(poll(&place, 1, 5000), 1);
		ck_assert_int_eq(health_prober_take(fd, &number, &passed, reason), 1);
		ck_assert_uint_eq(number, n);
		ck_assert_int_eq(passed, _i == 0);
		ck_assert_str_eq(reason, reasons[_i]);
	}
	/* When it is gone that is seen. */
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 50 && taken == 0; i++) {
		taken = health_prober_take(fd, &number, &passed, reason);
		nanosleep(&nap, NULL);
	}
	ck_assert_int_eq(taken, -1);
	close(fd);
	free(what);
}
END_TEST

/* ---- who gives way ---- */

static struct client crowd[CLIENTS];
static struct server crowded = {.clients = crowd, .connected = CLIENTS};

/* All in one state since now, with connections as old as their place says. */
static void fill_crowd(enum client_state state)
{
	for (size_t i = 0; i < CLIENTS; i++)
		crowd[i] = (struct client){
			.state = state, .begun_ns = (int64_t)i, .since_ns = 1000 - (int64_t)i};
}

static size_t victim(void)
{
	return (size_t)(find_victim(&crowded) - crowd);
}

START_TEST(those_who_do_not_read_give_way)
{
	/* One answer fits into every socket: who is still being written to asks and does not read.
	 */
	fill_crowd(CLIENT_WRITING);
	crowd[5].state = CLIENT_READING;
	crowd[6].state = CLIENT_IDLE;
	crowd[7].state = CLIENT_PROBING;
	for (size_t i = 0; i < CLIENTS - 3; i++) {
		struct client *c = find_victim(&crowded);

		ck_assert_int_eq(c->state, CLIENT_WRITING);
		c->state = CLIENT_NONE;
	}
	ck_assert_uint_eq(victim(), 6);
	crowd[6].state = CLIENT_LINGERING;
	ck_assert_uint_eq(victim(), 6);
}
END_TEST

START_TEST(those_who_ask_again_and_again_give_way)
{
	/* 63 that keep a probe running on connections that are old, and one that has just come. */
	fill_crowd(CLIENT_PROBING);
	crowd[CLIENTS - 1].state = CLIENT_READING;
	ck_assert_uint_eq(victim(), 0);
	/* As many that begin a request anew all the time. */
	fill_crowd(CLIENT_READING);
	crowd[CLIENTS - 1].state = CLIENT_PROBING;
	ck_assert_uint_eq(victim(), 0);
}
END_TEST

START_TEST(the_one_idle_for_longest_gives_way)
{
	fill_crowd(CLIENT_IDLE);
	ck_assert_uint_eq(victim(), CLIENTS - 1); /* whose last request was the first */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("health");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(all, 20);
	tcase_add_test(all, addresses);
	tcase_add_test(all, binding);
	tcase_add_test(all, routes);
	tcase_add_test(all, status_json);
	tcase_add_test(all, metrics);
	tcase_add_test(all, page_is_never_torn);
	tcase_add_test(all, page_of_garbage_ends);
#if defined(__SANITIZE_ADDRESS__) /* it makes an exit status of the signal */
	tcase_add_exit_test(all, page_is_protected, 1);
#else
	tcase_add_test_raise_signal(all, page_is_protected, SIGSEGV);
#endif
	tcase_add_loop_test(all, prober, 0, 4);
	tcase_add_test(all, those_who_do_not_read_give_way);
	tcase_add_test(all, those_who_ask_again_and_again_give_way);
	tcase_add_test(all, the_one_idle_for_longest_gives_way);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
