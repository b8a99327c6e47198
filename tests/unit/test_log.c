/*
 * test_log.c - log.h: the words, the one write a line, and that nothing at the other end can block
 * or kill.
 *
 * Each test runs in a process of its own (Check forks) and replaces that process's stderr. A pipe
 * in packet mode (O_DIRECT) gives one write for one read.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "log.h"

enum { TEXT_SIZE = 8192 };

static int out_of_pipe; /* what replaced descriptor 2 can be read here */

static void replace_fd(int fd, int flags)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, flags | O_CLOEXEC), 0);
	ck_assert_int_eq(dup2(ends[1], fd), fd);
	close(ends[1]);
	out_of_pipe = ends[0];
	fcntl(out_of_pipe, F_SETFL, O_NONBLOCK);
}

/* As in shim SIGPIPE is blocked; Check needs the others to end a test that hangs. */
static void setup(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_SETMASK, &set, NULL);
	replace_fd(STDERR_FILENO, O_DIRECT);
	log_init(NULL, LEVEL_TRACE);
}

static const char *read_write(void)
{
	static char text[TEXT_SIZE];
	ssize_t length = read(out_of_pipe, text, sizeof text - 1);

	text[length < 0 ? 0 : length] = '\0';
	return text;
}

static bool is_pending(int signo)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, signo) == 1;
}

START_TEST(objects)
{
	char long_text[2000];

	log_use_json();
	log_at(LEVEL_WARN, "a \"%s\"\n\xff", "b");
	const char *text = read_write();
	ck_assert_msg(strncmp(text, "{\"time\":\"2", 10) == 0, "%s", text);
	text = strchr(text, ',');
	ck_assert_str_eq(text, ",\"level\":\"warning\",\"source\":\"shim\",\"message\":\"a "
			       "\\\"b\\\"?\xef\xbf\xbd\"}\n");
	log_note(NOTE_SPAWNED, 7, 0, "x");
	ck_assert_ptr_nonnull(strstr(read_write(), "\"message\":\"app started: x, pid 7\"}\n"));
	/* One object, whatever is in it, in one write. */
	memset(long_text, '"', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	log_at(LEVEL_FATAL, "%s", long_text);
	text = read_write();
	ck_assert_str_eq(text + strlen(text) - 3, "\"}\n");
	ck_assert_uint_lt(strlen(text), 4096);
}
END_TEST

START_TEST(prefixes)
{
	static const char *const expected[LEVELS] = {
		"shim: a 1\n", "shim: warning: a 1\n", "shim: a 1\n", "shim: a 1\n", "shim: a 1\n"};

	for (int level = 0; level < LEVELS; level++) {
		log_at((enum level)level, "%s %d", "a", 1);
		ck_assert_str_eq(read_write(), expected[level]);
	}
	ck_assert_str_eq(read_write(), "");
}
END_TEST

START_TEST(levels)
{
	for (int level = 0; level < LEVELS; level++) {
		log_init(NULL, (enum level)level);
		for (int said = 0; said < LEVELS; said++) {
			ck_assert_int_eq(log_prints((enum level)said), said <= level);
			log_at((enum level)said, "x");
			ck_assert_int_eq(*read_write() != '\0', said <= level);
		}
	}
}
END_TEST

/* A process may be called what it likes: prctl(PR_SET_NAME), the name of a program. */
START_TEST(names_are_one_line)
{
	log_init(NULL, LEVEL_TRACE);
	log_note(NOTE_LEFT_BEHIND, 0, 0, "a\nshim: b\x1b[2J\x7f (7)");
	ck_assert_str_eq(
		read_write(), "shim: warning: killed as the container ends: a?shim: b?[2J? (7)\n");
	log_at(LEVEL_WARN, "x %s", "a\nb\x7f");
	ck_assert_str_eq(read_write(), "shim: warning: x a?b?\n");
}
END_TEST

START_TEST(silent_in_normal_work)
{
	static const enum note normal[] = {NOTE_SPAWNED, NOTE_SIGNAL, NOTE_REAPED_EXITED,
		NOTE_REAPED_KILLED, NOTE_NONE_TO_REAP, NOTE_NO_CHILD, NOTE_APP_EXITED,
		NOTE_APP_KILLED, NOTE_LEAVING, NOTE_FORWARDING, NOTE_FORWARDED, NOTE_FORWARD_GONE,
		NOTE_REWRITTEN, NOTE_DROPPED, NOTE_SUBREAPER, NOTE_EXEC_FAILED, NOTE_SETSID,
		NOTE_DETACHED_LEADER, NOTE_DETACHED, NOTE_DETACH_FAILED, NOTE_ATTACH_FAILED,
		NOTE_HANDOFF_SIGNAL, NOTE_SUSPENDING, NOTE_LIFECYCLE};

	log_init(NULL, LEVEL_WARN);
	for (size_t i = 0; i < sizeof normal / sizeof normal[0]; i++)
		log_note(normal[i], 1, 2, "x");
	ck_assert_str_eq(read_write(), "");
}
END_TEST

static const struct {
	enum note note;
	long a, b;
	const char *s;
	const char *expected;
} own_words[] = {
	{NOTE_SPAWNED, 7, 0, "nginx", "shim: app started: nginx, pid 7\n"},
	{NOTE_SIGNAL, SIGTERM, 0, NULL, "shim: received SIGTERM\n"},
	{NOTE_SIGNAL, 37, 0, NULL, "shim: received SIGRTMIN+3\n"},
	{NOTE_REAPED_EXITED, 8, 3, NULL, "shim: process 8 exited with 3\n"},
	{NOTE_REAPED_KILLED, 8, SIGSEGV, NULL, "shim: process 8 was killed by SIGSEGV\n"},
	{NOTE_APP_EXITED, 0, 0, NULL, "shim: app exited with 0 after 0.0s\n"},
	{NOTE_APP_KILLED, SIGKILL, 0, NULL,
		"shim: app was killed by SIGKILL (Killed) after 0.0s\n"},
	{NOTE_APP_KILLED, SIGSEGV, 1, NULL,
		"shim: app was killed by SIGSEGV (Segmentation fault), core dumped after 0.0s\n"},
	{NOTE_FORWARD_FAILED, SIGHUP, EPERM, NULL,
		"shim: warning: cannot pass on SIGHUP: Operation not permitted\n"},
	{NOTE_REWRITTEN, SIGTERM, SIGQUIT, NULL, "shim: SIGTERM is rewritten to SIGQUIT\n"},
	{NOTE_SUBREAPER_FAILED, EINVAL, 0, NULL,
		"shim: warning: cannot register as child subreaper: Invalid argument\n"},
	{NOTE_LIFECYCLE, 0, 0, "running + exit -> finishing",
		"shim: after 0.0s: running + exit -> finishing\n"},
	{NOTE_EXEC_FAILED, ENOENT, 0, "x", ""},
};

START_TEST(own_voice)
{
	log_note(own_words[_i].note, own_words[_i].a, own_words[_i].b, own_words[_i].s);
	ck_assert_str_eq(read_write(), own_words[_i].expected);
}
END_TEST

START_TEST(every_note)
{
	for (int note = 0; note < NOTES; note++) {
		const char *text;

		log_note((enum note)note, 15, 11, "app");
		text = read_write();
		ck_assert_ptr_null(strchr(text, '%'));
		ck_assert(*text == '\0' || strncmp(text, "shim: ", 6) == 0);
		ck_assert(*text == '\0' || text[strlen(text) - 1] == '\n');
	}
}
END_TEST

#define TEST_PHRASES(X, of)                                                                        \
	X(of, NOTE_SPAWNED, LEVEL_WARN, "%1 %2 %s %g %n %m %e %f %c %% %")                         \
	X(of, NOTE_SIGNAL, LEVEL_WARN, "one\ntwo\nthree")                                          \
	X(of, NOTE_FORK_FAILED, LEVEL_FATAL, "%p")                                                 \
	X(of, NOTE_SETSID, LEVEL_INFO, "to stdout")                                                \
	X(of, NOTE_DETACHED, LEVEL_DEBUG, "no prefix")

static const struct test_words {
	char silence;
	TEST_PHRASES(PHRASE_ROOM, )
} test_words = {'\0', TEST_PHRASES(PHRASE_WORDS, )};
static const struct phrase test_phrases[NOTES] = {TEST_PHRASES(PHRASE_AT, test_words)};
static const struct voice test_voice = {
	.prefix = {[LEVEL_FATAL] = "[%p] ", [LEVEL_WARN] = "W ", [LEVEL_INFO] = "I "},
	.stdout_from = LEVEL_INFO,
	.phrases = test_phrases,
	.words = (const char *)&test_words,
};

START_TEST(voice_items)
{
	log_init(&test_voice, LEVEL_TRACE);
	log_note(NOTE_SPAWNED, 9, 2, "text");
	ck_assert_str_eq(read_write(),
		"W 9 2 text Killed SIGKILL SIGINT Bad file descriptor No such file or directory "
		", core dumped % %\n");
	log_note(NOTE_SPAWNED, -1, 0, NULL);
	ck_assert_str_eq(read_write(),
		"W -1 0  Unknown signal -1 signal -1 signal 0 Unknown error Success  % %\n");
	log_note(NOTE_LEAVING, 1, 2, "silent");
	ck_assert_str_eq(read_write(), "");
}
END_TEST

START_TEST(voice_many_lines_one_write)
{
	log_init(&test_voice, LEVEL_TRACE);
	log_note(NOTE_SIGNAL, 1, 2, NULL);
	ck_assert_str_eq(read_write(), "W one\ntwo\nthree\n");
}
END_TEST

START_TEST(voice_streams)
{
	int err = out_of_pipe;

	log_init(&test_voice, LEVEL_TRACE);
	replace_fd(STDOUT_FILENO, O_DIRECT);
	log_note(NOTE_SETSID, 0, 0, NULL);
	ck_assert_str_eq(read_write(), "I to stdout\n");
	log_note(NOTE_DETACHED, 0, 0, NULL);
	ck_assert_str_eq(read_write(), "no prefix\n");
	log_note(NOTE_SIGNAL, 0, 0, NULL);
	ck_assert_str_eq(read_write(), "");
	out_of_pipe = err;
	ck_assert_str_eq(read_write(), "W one\ntwo\nthree\n");
}
END_TEST

START_TEST(pid_is_the_writers)
{
	char expected[64];
	pid_t pid;

	log_init(&test_voice, LEVEL_TRACE);
	pid = vfork();
	if (pid == 0) {
		log_note(NOTE_FORK_FAILED, 0, 0, NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	snprintf(expected, sizeof expected, "[%d] %d\n", pid, pid);
	ck_assert_str_eq(read_write(), expected);
}
END_TEST

START_TEST(long_lines_are_cut)
{
	char text[3000];

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	log_at(LEVEL_INFO, "%s", text);
	ck_assert_uint_eq(strlen(read_write()), 1024);
	log_note(NOTE_LIFECYCLE, 0, 0, text);
	ck_assert_uint_eq(strlen(read_write()), 1024);
	ck_assert_int_eq(read_write()[0], '\0');
	text[1024 - 1 - 6] = '\0'; /* just fits behind "shim: " */
	log_at(LEVEL_INFO, "%s", text);
	ck_assert_uint_eq(strlen(read_write()), 1024);
}
END_TEST

START_TEST(long_lines_are_cut_between_characters)
{
	char text[3000] = "";

	for (int i = 0; i < 4; i++) {
		const char *line;
		size_t length;

		memset(text, 'x', sizeof text);
		for (size_t at = (size_t)i; at + 4 < sizeof text; at += 4)
			memcpy(text + at, "\xf0\x9f\x90\xb3", 4);
		text[sizeof text - 1] = '\0';
		log_at(LEVEL_INFO, "%s", text);
		line = read_write();
		length = strlen(line);
		ck_assert_uint_gt(length, 1024 - 4);
		ck_assert_uint_le(length, 1024);
		ck_assert_mem_eq(line + length - 5, "\xf0\x9f\x90\xb3\n", 5);
	}
}
END_TEST

/* Fails by the time limit if anything blocks. */
static void fill_and_log(void)
{
	size_t before = 0;
	char junk[4096] = {0};

	fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	while (write(STDERR_FILENO, junk, sizeof junk) > 0)
		before++;
	fcntl(STDERR_FILENO, F_SETFL, 0);
	errno = EDOM;
	for (int i = 0; i < 100; i++)
		log_at(LEVEL_WARN, "dropped");
	ck_assert_int_eq(errno, EDOM);
	while (before-- > 0)
		ck_assert_int_eq(read(out_of_pipe, junk, sizeof junk), (ssize_t)sizeof junk);
	ck_assert_str_eq(read_write(), "");
	log_at(LEVEL_WARN, "again");
	ck_assert_str_eq(read_write(), "shim: warning: again\n");
}

START_TEST(full_pipe)
{
	replace_fd(STDERR_FILENO, 0);
	fill_and_log();
}
END_TEST

/* A kernel or a sandbox without pwritev2. */
static void deny_pwritev2(int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwritev2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	ck_assert_int_eq(syscall(SYS_pwritev2, -1, NULL, 0UL, 0L, 0L, 0), -1);
	ck_assert_int_eq(errno, error);
}

/* What poll() allowed may still block when another process writes in between: only a flag helps. */
START_TEST(asks_not_to_wait)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwritev2, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 8 /* RWF_NOWAIT */, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	log_at(LEVEL_WARN, "hello");
	ck_assert_str_eq(read_write(), "shim: warning: hello\n");
}
END_TEST

static const int refusals[] = {ENOSYS, EPERM, EOPNOTSUPP, EINVAL};

START_TEST(without_pwritev2)
{
	deny_pwritev2(refusals[_i]);
	replace_fd(STDERR_FILENO, 0);
	fill_and_log();
}
END_TEST

START_TEST(closed)
{
	close(STDERR_FILENO);
	errno = EDOM;
	log_at(LEVEL_WARN, "nobody hears");
	log_note(NOTE_SIGNAL, 1, 2, NULL);
	ck_assert_int_eq(errno, EDOM);
}
END_TEST

START_TEST(dev_full)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	dup2(fd, STDERR_FILENO);
	errno = EDOM;
	log_at(LEVEL_WARN, "lost");
	ck_assert_int_eq(errno, EDOM);
	log_note(NOTE_SIGNAL, 1, 2, NULL);
	ck_assert_int_eq(errno, EDOM);
}
END_TEST

START_TEST(reader_gone)
{
	close(out_of_pipe);
	if (_i)
		deny_pwritev2(ENOSYS);
	log_at(LEVEL_WARN, "nobody hears");
	ck_assert(!is_pending(SIGPIPE));
	log_write(STDERR_FILENO, "nobody hears");
	ck_assert(!is_pending(SIGPIPE));
}
END_TEST

/* One that was really sent stays, to be passed on. */
START_TEST(reader_gone_signal_kept)
{
	close(out_of_pipe);
	kill(getpid(), SIGPIPE);
	log_at(LEVEL_WARN, "nobody hears");
	log_write(STDERR_FILENO, "nobody hears");
	ck_assert(is_pending(SIGPIPE));
}
END_TEST

START_TEST(regular_file)
{
	char path[] = "/tmp/test_log.XXXXXX";
	char text[128] = "";
	int fd = mkstemp(path);

	unlink(path);
	ck_assert_int_eq(write(fd, "before\n", 7), 7);
	dup2(fd, STDERR_FILENO);
	log_at(LEVEL_WARN, "a");
	log_at(LEVEL_WARN, "b");
	ck_assert_int_gt(pread(fd, text, sizeof text - 1, 0), 0);
	ck_assert_str_eq(text, "before\nshim: warning: a\nshim: warning: b\n");
}
END_TEST

/* Raw: what comes out is what went in. */
static int replace_stderr_by_terminal(bool is_raw)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios raw;
	int slave;

	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(grantpt(master), 0);
	ck_assert_int_eq(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(slave, 0);
	tcgetattr(slave, &raw);
	if (is_raw) {
		cfmakeraw(&raw);
		tcsetattr(slave, TCSANOW, &raw);
	}
	dup2(slave, STDERR_FILENO);
	close(slave);
	return master;
}

START_TEST(terminal)
{
	int master = replace_stderr_by_terminal(true);
	char text[128] = "";
	size_t length = 0;

	log_at(LEVEL_WARN, "hello");
	while (!strchr(text, '\n') && length < sizeof text - 1) {
		ssize_t got = read(master, text + length, sizeof text - 1 - length);

		ck_assert_int_gt(got, 0);
		length += (size_t)got;
	}
	ck_assert_str_eq(text, "shim: warning: hello\n");
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

/* Nobody reads the terminal: a plain write would wait for ever once its buffer is full. */
START_TEST(terminal_full)
{
	int master = replace_stderr_by_terminal(_i);
	char filler[900];

	memset(filler, 'x', sizeof filler);
	for (int i = 0; i < 2000; i++) {
		filler[i % 899] = '\0'; /* any length, so that some line does not quite fit */
		log_at(LEVEL_WARN, "%s", filler);
		filler[i % 899] = 'x';
	}
	close(master);
	log_at(LEVEL_WARN, "hung up");
}
END_TEST

/* S: it waits; Z: it has ended. */
static char state_of(pid_t pid)
{
	char path[32];
	char state = '?';
	FILE *stat;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	stat = fopen(path, "r");
	if (stat) {
		if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
			state = '?';
		fclose(stat);
	}
	return state;
}

START_TEST(raw_write)
{
	static char text[300 * 1024];
	size_t got = 0;
	pid_t pid;

	memset(text, 'x', sizeof text - 1);
	replace_fd(STDERR_FILENO, _i ? O_NONBLOCK : 0);
	fcntl(out_of_pipe, F_SETFL, 0);
	pid = fork();
	if (pid == 0) {
		log_write(STDERR_FILENO, text);
		_exit(0);
	}
	close(STDERR_FILENO);
	/* Only when it can write no more is it seen whether it waits or gives up. */
	for (int tries = 0; tries < 100 && !strchr("SZ", state_of(pid)); tries++)
		usleep(50000);
	for (;;) {
		char part[5000];
		ssize_t length = read(out_of_pipe, part, sizeof part);

		if (length <= 0)
			break;
		got += (size_t)length;
	}
	waitpid(pid, NULL, 0);
	ck_assert_uint_eq(got, sizeof text - 1);
}
END_TEST

START_TEST(raw_write_fails)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	log_write(fd, "lost");
	log_write(-1, "lost");
	log_write(STDERR_FILENO, "");
	ck_assert_str_eq(read_write(), "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *words = tcase_create("words");
	TCase *ends = tcase_create("ends");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(words, setup, NULL);
	tcase_add_test(words, objects);
	tcase_add_test(words, prefixes);
	tcase_add_test(words, levels);
	tcase_add_test(words, names_are_one_line);
	tcase_add_test(words, silent_in_normal_work);
	tcase_add_loop_test(words, own_voice, 0, (int)(sizeof own_words / sizeof own_words[0]));
	tcase_add_test(words, every_note);
	tcase_add_test(words, voice_items);
	tcase_add_test(words, voice_many_lines_one_write);
	tcase_add_test(words, voice_streams);
	tcase_add_test(words, pid_is_the_writers);
	tcase_add_test(words, long_lines_are_cut);
	tcase_add_test(words, long_lines_are_cut_between_characters);
	suite_add_tcase(suite, words);
	tcase_add_checked_fixture(ends, setup, NULL);
	tcase_set_timeout(ends, 10);
	tcase_add_test(ends, full_pipe);
	tcase_add_test(ends, asks_not_to_wait);
	tcase_add_loop_test(ends, without_pwritev2, 0, (int)(sizeof refusals / sizeof refusals[0]));
	tcase_add_test(ends, closed);
	tcase_add_test(ends, dev_full);
	tcase_add_loop_test(ends, reader_gone, 0, 2);
	tcase_add_test(ends, reader_gone_signal_kept);
	tcase_add_test(ends, regular_file);
	tcase_add_test(ends, terminal);
	tcase_add_loop_test(ends, terminal_full, 0, 2);
	tcase_add_loop_test(ends, raw_write, 0, 2);
	tcase_add_test(ends, raw_write_fails);
	suite_add_tcase(suite, ends);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
