/*
 * payload.c - the app that runs under the init which is measured. Tiny and static, so that it costs
 * as little as an app can.
 *
 * payload stamp   stamp the first statement and the last, end
 * payload echo N  make N orphans, then stamp each SIGUSR1 and answer with one byte on stdout
 * payload serve   obey the commands on stdin, one a line, and answer with the command's name, the
 *                 nanoseconds it took, the peak of zombies:
 *
 *   paced N       N orphans, each one made when the one before is gone
 *   stream N      N orphans as fast as they can be made
 *   burst N       N orphans that live, and then all end at once
 *   term N        N orphans in the app's group, ended by a SIGTERM to the init
 *   group N       N children in the app's group, for whoever ends them
 *   watch 0|1     look for the peak of zombies (takes time: not while timing); no answer
 *   exit N        no answer
 *
 * SIGUSR1 is answered with "signal".
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "herd.h"
#include "stamps.h"

static int stamp(int64_t started)
{
	struct stamps *stamps = shared_memory(STAMPS_SIZE, STAMPS_FD);

	stamps->started = started;
	stamps->ended = now_ns();
	_exit(0);
}

static int echo(int orphans)
{
	struct stamps *stamps = shared_memory(STAMPS_SIZE, STAMPS_FD);
	sigset_t set;

	herd_paced(orphans);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (write(STDOUT_FILENO, ".", 1) == 1) {
		if (sigwaitinfo(&set, NULL) != SIGUSR1)
			fail("sigwaitinfo");
		stamps->taken = now_ns();
	}
	return 0;
}

static void report(const char *word, int64_t ns)
{
	dprintf(STDOUT_FILENO, "%s %lld %d\n", word, (long long)ns, herd_peak());
}

static void obey(const char *line)
{
	char word[16] = "";
	int n = 0;

	if (sscanf(line, "%15s %d", word, &n) != 2 || n < 0 || n > HERD_MOST)
		fail(line);
	herd_reset();
	if (strcmp(word, "exit") == 0)
		_exit(n);
	if (strcmp(word, "watch") == 0)
		herd_watch(n);
	else if (strcmp(word, "paced") == 0)
		report(word, herd_paced(n));
	else if (strcmp(word, "stream") == 0)
		report(word, herd_stream(n));
	else if (strcmp(word, "burst") == 0)
		report(word, herd_burst(n));
	else if (strcmp(word, "term") == 0)
		report(word, herd_term(n));
	else if (strcmp(word, "group") == 0)
		report(word, herd_group(n));
	else
		fail(line);
}

static void answer(int signo)
{
	(void)signo;
	if (write(STDOUT_FILENO, "signal\n", 7) != 7)
		_exit(98);
}

static int serve(void)
{
	struct sigaction action = {.sa_handler = answer, .sa_flags = SA_RESTART};
	char line[64];
	size_t length = 0;

	sigaction(SIGUSR1, &action, NULL);
	dprintf(STDOUT_FILENO, "ready\n");
	while (length < sizeof(line) - 1 && read(STDIN_FILENO, line + length, 1) == 1) {
		if (line[length] != '\n') {
			length++;
			continue;
		}
		line[length] = '\0';
		length = 0;
		obey(line);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int64_t started = now_ns();
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "stamp") == 0)
		return stamp(started);
	/* Its orphans and its SIGTERM are for the init of a namespace made for this. */
	if (getppid() != 1 || getpid() > 100)
		mode = "";
	herd_init();
	if (strcmp(mode, "echo") == 0)
		return echo(argc > 2 ? atoi(argv[2]) : 0);
	if (strcmp(mode, "serve") == 0)
		return serve();
	dprintf(STDERR_FILENO, "payload: the app of bench/measure, not to be started by hand\n");
	return 2;
}
