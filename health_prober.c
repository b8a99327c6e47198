/*
 * health_prober.c - asks the --ready-probe target in processes of its own.
 *
 * The health server parses what strangers send, so it may not be allowed to connect or to fork.
 * Both are done by this sibling of it, which waits for a number on a socket pair and answers with
 * the number, the verdict and a reason. Each probe is a forked child with a timer: whatever a
 * resolver or a TLS library does, it ends in time and leaves nothing behind. Called by health.c.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format.h"
#include "health.h"
#include "names.h"
#include "shim.h"

/* The probe keeps to its own time-out; the timer is for one that hangs. */
enum { SLACK_MS = 300 };

struct answer {
	uint32_t number;
	int32_t result;
	char reason[HEALTH_REASON_SIZE];
};

static void send_answer(int fd, const struct answer *answer)
{
	ssize_t n;

	do {
		n = send(fd, answer, sizeof(*answer), MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR); /* any other failure: nobody is there to answer */
}

static _Noreturn void probe_once(int fd, uint32_t number, const struct health_options *o)
{
	const int limit_ms = HEALTH_PROBE_MS + SLACK_MS;
	const struct itimerval timer = {
		.it_value = {.tv_sec = limit_ms / 1000, .tv_usec = limit_ms % 1000 * 1000L}};
	struct answer answer;
	sigset_t alarm_only;

	memset(&answer, 0, sizeof(answer));
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* else the timer ends it */
	(void)sigemptyset(&alarm_only);
	(void)sigaddset(&alarm_only, SIGALRM);
	(void)sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
	(void)setitimer(ITIMER_REAL, &timer, NULL);
	answer.number = number;
	answer.result = o->probe(o->probe_context, answer.reason, sizeof(answer.reason));
	send_answer(fd, &answer);
	_exit(0);
}

static void probe(int fd, uint32_t number, const struct health_options *o)
{
	struct answer failed = {.number = number, .result = -1};
	int status = -1;
	pid_t pid = _Fork();

	if (pid == 0)
		probe_once(fd, number, o);
	if (pid < 0) {
		format_text(
			failed.reason, sizeof(failed.reason), "cannot fork: %s", error_text(errno));
		send_answer(fd, &failed);
		return;
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			break;
	}
	if (status == 0)
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		format_text(failed.reason, sizeof(failed.reason), "timed out");
	else
		format_text(failed.reason, sizeof(failed.reason), "the probe broke down");
	send_answer(fd, &failed);
}

static _Noreturn void prober_run(int fd, const struct health_options *o)
{
	uint32_t number;
	ssize_t n;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* the end of file says it too */
	(void)signal(SIGCHLD, SIG_DFL);         /* PID 1 may ignore it: statuses would be lost */
	(void)signal(SIGALRM, SIG_DFL);         /* for the probes, which may not do that */
	if (o->seal != NULL && o->seal(HEALTH_PROBER) < 0)
		_exit(EXIT_SHIM);
	for (;;) {
		n = recv(fd, &number, sizeof(number), 0);
		if (n == (ssize_t)sizeof(number))
			probe(fd, number, o);
		else if (n >= 0 || errno != EINTR)
			_exit(0);
	}
}

int health_prober_start(const struct health_options *options)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	pid = _Fork();
	if (pid == 0) {
		(void)close(ends[0]);
		(void)close(options->listener);
		prober_run(ends[1], options);
	}
	(void)close(ends[1]);
	if (pid < 0) {
		(void)close(ends[0]);
		return -1;
	}
	return ends[0];
}

int health_prober_ask(int fd, uint32_t number)
{
	ssize_t n;

	do {
		n = send(fd, &number, sizeof(number), MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

int health_prober_take(int fd, uint32_t *number, bool *passed, char reason[HEALTH_REASON_SIZE])
{
	struct answer answer;
	ssize_t n;

	do {
		n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n != (ssize_t)sizeof(answer))
		return -1;
	*number = answer.number;
	*passed = answer.result == 0;
	memcpy(reason, answer.reason, HEALTH_REASON_SIZE);
	reason[HEALTH_REASON_SIZE - 1] = '\0';
	return 1;
}
