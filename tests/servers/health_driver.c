/*
 * health_driver.c - the health server without the rest of shim: binds, forks it, and sets the
 * status page from lines on stdin.
 *
 *     health_driver [-k] [-f FILES] [-p SCRIPT] [ADDRESS:]PORT|0
 *
 * Prints "listening PORT PID". Lines: "phase X", "reason X", "hook X", "ready 0|1", "started 0|1",
 * "pid N", "active N"; each is answered with "done".  -k: the server keeps descriptors 0 and 1. -f:
 * the server's limit of descriptors. -p: a
 * --ready-probe that does what the file SCRIPT says (ok, fail TEXT, sleep MS, hang, crash) and adds
 * a byte to SCRIPT.count. End of file ends both.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../health.h"
#include "../../util.h"

static int scripted_probe(void *context, char *reason, size_t size)
{
	const char *script = context;
	char path[256], text[128] = "";
	int fd = open(script, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return -1;
	close(fd);
	snprintf(path, sizeof(path), "%s.count", script);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (write(fd, "x", 1) != 1)
		return -1;
	close(fd);
	text[strcspn(text, "\n")] = '\0';
	if (strncmp(text, "sleep ", 6) == 0)
		usleep((unsigned)atoi(text + 6) * 1000);
	else if (strcmp(text, "hang") == 0)
		for (;;)
			pause();
	else if (strcmp(text, "crash") == 0)
		abort();
	else if (strncmp(text, "fail ", 5) == 0)
		return snprintf(reason, size, "%s", text + 5), -1;
	return 0;
}

static int set(struct status_page *page, struct status *s, char *line)
{
	char *value = strchr(line, ' ');

	line[strcspn(line, "\n")] = '\0';
	if (value == NULL)
		return -1;
	*value++ = '\0';
	if (strcmp(line, "phase") == 0)
		snprintf(s->phase, sizeof(s->phase), "%s", value);
	else if (strcmp(line, "reason") == 0)
		snprintf(s->reason, sizeof(s->reason), "%s", value);
	else if (strcmp(line, "hook") == 0)
		snprintf(s->hook, sizeof(s->hook), "%s", value);
	else if (strcmp(line, "ready") == 0)
		s->is_ready = atoi(value) != 0;
	else if (strcmp(line, "started") == 0)
		s->was_running = atoi(value) != 0;
	else if (strcmp(line, "active") == 0)
		atomic_store(&page->active, (uint32_t)atoi(value));
	else if (strcmp(line, "pid") == 0)
		s->app_pid = atoi(value);
	else
		return -1;
	if (s->app_pid != 0 && s->started_ns == 0) {
		s->started_ns = clock_now_ns();
		s->started_wall_ns = clock_wall_ns();
	}
	status_publish(page, s);
	return 0;
}

static pid_t start(const struct health_options *options, rlim_t files, bool keeps_all)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int fd = keeps_all ? 3 : 0; fd < 256; fd++) {
		if (fd != 2 && fd != options->listener)
			close(fd);
	}
	if (files != 0) {
		const struct rlimit limit = {files, files};

		setrlimit(RLIMIT_NOFILE, &limit);
	}
	_exit(health_serve(options));
}

int main(int argc, char **argv)
{
	struct health_address address = {.port = 0};
	struct health_options options = {.probe_name = "http://test/"};
	struct status status = {.phase = "waiting", .reason = "waiting for the test"};
	const char *expected;
	char line[512];
	rlim_t files = 0;
	bool keeps_all = false;
	pid_t pid;
	int option;

	while ((option = getopt(argc, argv, "kf:p:")) != -1) {
		if (option == 'k')
			keeps_all = true;
		else if (option == 'f')
			files = (rlim_t)atoi(optarg);
		else
			options.probe = scripted_probe, options.probe_context = optarg;
	}
	if (optind >= argc || (strcmp(argv[optind], "0") != 0 &&
				      health_parse(argv[optind], &address, &expected) < 0))
		return 125;
	options.listener = health_bind(&address, line, sizeof(line));
	if (options.listener < 0) {
		fprintf(stderr, "%s\n", line);
		return 125;
	}
	options.page = status_create();
	status_publish(options.page, &status);
	pid = start(&options, files, keeps_all);
	printf("listening %u %d\n", health_port(options.listener), pid);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		puts(set(options.page, &status, line) == 0 ? "done" : "what?");
		fflush(stdout);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}
