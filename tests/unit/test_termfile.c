/*
 * test_termfile.c - the termination file: every kind of it, and everything the app may do to it
 * between our writes.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "../../log.h"
#include "../../termlog.h"

static char dir[64], path[96], messages[96];
static struct options opts;
static struct termlog_facts facts;

static void set_up(void)
{
	strcpy(dir, "/tmp/termfile.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/message", dir);
	snprintf(messages, sizeof(messages), "%s/stderr", dir);
	opts = (struct options){.termination_log = path};
	facts = (struct termlog_facts){.app = "app", .exit_code = -1, .memory_limit = -1};
	/* What is said goes to a file: how often is part of the contract. */
	int fd = open(messages, O_WRONLY | O_CREAT | O_APPEND, 0666);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
	close(fd);
	log_init(NULL, LEVEL_INFO);
}

static void tear_down(void)
{
	char command[192];
	if (geteuid() != 0)
		(void)!seteuid(0);
	snprintf(command, sizeof(command), "umount '%s' 2>/dev/null; rm -rf '%s'", dir, dir);
	(void)!system(command);
}

static void app_writes(int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static char content[300000];

static size_t slurp(const char *name)
{
	int fd = open(name, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ssize_t n = read(fd, content, sizeof(content) - 1);
	ck_assert_int_ge(n, 0);
	content[n] = '\0';
	close(fd);
	return (size_t)n;
}

static void holds(const char *want)
{
	size_t n = slurp(path);
	ck_assert_str_eq(content, want);
	ck_assert_uint_eq(n, strlen(want)); /* no NUL in it */
}

static int lines_said(void)
{
	int n = 0;
	slurp(messages);
	for (const char *c = content; *c != '\0'; c++)
		n += *c == '\n';
	return n;
}

static void state(const char *phase)
{
	facts.phase = phase;
	termlog_write(&facts, false);
}

static void end(int code)
{
	facts.ended = true;
	facts.status = code << 8;
	facts.exit_code = code;
	termlog_write(&facts, true);
}

/* --- kinds of files --- */

START_TEST(named_is_created)
{
	struct stat st;
	umask(022);
	termlog_open(&opts);
	ck_assert_int_gt(termlog_descriptor(), 2);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0644);
	ck_assert_int_eq(fcntl(termlog_descriptor(), F_GETFD), FD_CLOEXEC);
	end(0);
	holds("app exited 0\n");
	ck_assert_int_eq(lines_said(), 0);
}
END_TEST

START_TEST(none_and_peers_write_nothing)
{
	opts.termination_none = true;
	termlog_open(&opts);
	opts.termination_none = false;
	opts.personality = AS_TINI;
	termlog_open(&opts);
	ck_assert_int_eq(termlog_descriptor(), -1);
	end(0);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(lines_said(), 0);
}
END_TEST

/* It must not be made where it is not: the one of this machine is hidden by an empty /dev when we
 * may. */
START_TEST(default_is_not_created)
{
	opts.termination_log = NULL;
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("none", "/dev", "tmpfs", 0, NULL) != 0)
		return;
	termlog_open(&opts);
	ck_assert_int_eq(termlog_descriptor(), -1);
	ck_assert_int_ne(access("/dev/termination-log", F_OK), 0);
	ck_assert_int_eq(lines_said(), 0);
	close(open("/dev/termination-log", O_CREAT | O_WRONLY, 0666));
	termlog_open(&opts);
	ck_assert_int_ge(termlog_descriptor(), 0);
	strcpy(path, "/dev/termination-log");
	end(3);
	holds("app exited 3\n");
}
END_TEST

static void refused(void)
{
	termlog_open(&opts);
	ck_assert_int_eq(termlog_descriptor(), -1);
	end(0); /* without effect */
	ck_assert_int_eq(lines_said(), 1);
}

START_TEST(directory_is_refused)
{
	ck_assert_int_eq(mkdir(path, 0755), 0);
	refused();
	slurp(messages);
	ck_assert_ptr_nonnull(strstr(content, "Is a directory"));
}
END_TEST

START_TEST(fifo_is_refused)
{
	ck_assert_int_eq(mkfifo(path, 0666), 0);
	alarm(5);
	refused();
	ck_assert_ptr_nonnull(strstr(content, "not a regular file"));
}
END_TEST

/* Only for writing an open of a FIFO waits for its reader. */
START_TEST(fifo_for_writing_only_is_refused)
{
	umask(0);
	ck_assert_int_eq(mkfifo(path, 0222), 0);
	if (seteuid(65534) != 0)
		return;
	alarm(5);
	refused();
}
END_TEST

START_TEST(symlink_is_refused)
{
	char target[128];
	snprintf(target, sizeof(target), "%s/target", dir);
	close(open(target, O_CREAT | O_WRONLY, 0666));
	ck_assert_int_eq(symlink(target, path), 0);
	refused();
	ck_assert_uint_eq(slurp(target), 0);
}
END_TEST

START_TEST(device_is_refused)
{
	opts.termination_log = "/dev/full";
	refused();
	opts.termination_log = "/dev/null";
	termlog_open(&opts);
	ck_assert_int_eq(termlog_descriptor(), -1);
}
END_TEST

START_TEST(no_such_directory)
{
	opts.termination_log = "/nowhere/at/all";
	refused();
}
END_TEST

START_TEST(not_for_us)
{
	app_writes(0, "theirs\n");
	if (seteuid(65534) != 0)
		return;
	refused();
	holds("theirs\n");
}
END_TEST

START_TEST(writable_but_not_readable)
{
	app_writes(0, "theirs\n");
	ck_assert_int_eq(chmod(path, 0222), 0);
	if (seteuid(65534) != 0)
		return;
	termlog_open(&opts);
	ck_assert_int_ge(termlog_descriptor(), 0);
	state("draining");
	state("stopping: long"); /* nobody else wrote: replaced */
	state("stop");
	ck_assert_int_eq(seteuid(0), 0);
	holds("theirs\n\nstop\n");
	app_writes(O_APPEND, "more"); /* now there is no telling */
	end(1);
	holds("theirs\n\nstop\nmore\napp exited 1\n");
	end(12);
	holds("theirs\n\nstop\nmore\napp exited 12\n");
	ck_assert_int_eq(lines_said(), 0);
}
END_TEST

/* Of the same size as before, so only its time tells that it was written to. */
START_TEST(writable_only_and_rewritten)
{
	static const struct timespec long_ago[2] = {{1, 0}, {1, 5}};
	app_writes(0, "");
	ck_assert_int_eq(chmod(path, 0222), 0);
	if (seteuid(65534) != 0)
		return;
	termlog_open(&opts);
	state("draining");
	ck_assert_int_eq(seteuid(0), 0);
	app_writes(O_TRUNC, "theirs!!\n");
	ck_assert_int_eq(utimensat(AT_FDCWD, path, long_ago, 0), 0);
	end(1);
	holds("theirs!!\n\napp exited 1\n");
}
END_TEST

START_TEST(standard_descriptors_closed)
{
	close(0);
	close(1);
	termlog_open(&opts);
	ck_assert_int_gt(termlog_descriptor(), 2);
	ck_assert_int_eq(fcntl(0, F_GETFD), -1);
	ck_assert_int_eq(fcntl(termlog_descriptor(), F_GETFD), FD_CLOEXEC);
	end(0);
	holds("app exited 0\n");
}
END_TEST

static bool own_mount(const char *options)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", dir, "tmpfs", 0, options) == 0;
}

static void remove_mount(void)
{
	(void)umount2(dir, MNT_DETACH);
}

START_TEST(read_only)
{
	if (!own_mount("size=64k"))
		return;
	app_writes(0, "theirs\n");
	ck_assert_int_eq(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	termlog_open(&opts);
	ck_assert_int_eq(termlog_descriptor(), -1);
	holds("theirs\n");
	remove_mount();
	ck_assert_int_eq(lines_said(), 1);
}
END_TEST

static void fill_disk(void)
{
	static const char page[4096];
	char name[128];
	snprintf(name, sizeof(name), "%s/filler", dir);
	int fd = open(name, O_WRONLY | O_CREAT, 0600);
	while (write(fd, page, sizeof(page)) > 0)
		;
	close(fd);
}

START_TEST(full_disk)
{
	if (!own_mount("size=64k"))
		return;
	termlog_open(&opts);
	fill_disk();
	state("draining");
	state("stopping");
	end(0);
	holds("");
	remove_mount();
	ck_assert_int_eq(lines_said(), 1); /* once */
}
END_TEST

/* Room to the end of the page only: the line is cut, what is there is whole. */
static void cut_by_full_disk(bool json, size_t theirs)
{
	char text[8192];
	if (!own_mount("size=64k"))
		return;
	opts.termination_format = json ? FORMAT_JSON : FORMAT_TEXT;
	memset(text, 'x', theirs);
	text[theirs - 1] = '\n';
	text[theirs] = '\0';
	app_writes(0, text);
	termlog_open(&opts);
	fill_disk();
	facts.app = "aaaa\xe2\x82\xac"
		    "bbbb";
	end(0);
	if (json)
		text[theirs] = '\0';
	else
		strcpy(text + theirs, "aaaa");
	holds(text);
	end(1); /* and again */
	holds(text);
	remove_mount();
	ck_assert_int_eq(lines_said(), 1);
}

START_TEST(disk_full_within_text)
{
	cut_by_full_disk(false, 4096 - 6);
}
END_TEST

START_TEST(disk_full_within_json)
{
	cut_by_full_disk(true, 4096 - 6);
}
END_TEST

START_TEST(file_size_limit)
{
	struct rlimit limit = {10, 10};
	signal(SIGXFSZ, SIG_IGN);
	app_writes(0, "theirs\n");
	termlog_open(&opts);
	log_init(NULL, LEVEL_WARN); /* stderr is a file under the same limit */
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	end(0);
	slurp(path);
	ck_assert_str_eq(content, "theirs\napp");
}
END_TEST

/* --- what the app may do --- */

START_TEST(states_replace_each_other)
{
	termlog_open(&opts);
	state("draining a long time");
	holds("draining a long time\n");
	state("stop");
	holds("stop\n");
	state("stopping");
	holds("stopping\n");
	state("stopping");
	holds("stopping\n");
	end(0);
	holds("app exited 0\n");
}
END_TEST

START_TEST(before_us)
{
	app_writes(0, "theirs\n");
	termlog_open(&opts);
	state("draining");
	holds("theirs\ndraining\n");
	end(0);
	holds("theirs\napp exited 0\n");
}
END_TEST

START_TEST(without_line_break)
{
	app_writes(0, "theirs");
	termlog_open(&opts);
	state("draining");
	holds("theirs\ndraining\n");
	app_writes(O_APPEND, ", more");
	end(0);
	holds("theirs, more\napp exited 0\n"); /* exactly what it wrote, in one piece */
}
END_TEST

START_TEST(appended)
{
	termlog_open(&opts);
	state("draining");
	app_writes(O_APPEND, "one\n");
	holds("draining\none\n");
	state("stopping the app");
	holds("one\nstopping the app\n");
	app_writes(O_APPEND, "two\n");
	state("x");
	holds("one\ntwo\nx\n");
	app_writes(O_APPEND, "three");
	end(0);
	holds("one\ntwo\nthree\napp exited 0\n");
}
END_TEST

START_TEST(truncated_and_rewritten)
{
	termlog_open(&opts);
	state("draining");
	app_writes(O_TRUNC, "a");
	state("stopping");
	holds("a\nstopping\n");
	app_writes(O_TRUNC, "a much longer message than ours\n");
	end(0);
	holds("a much longer message than ours\napp exited 0\n");
	app_writes(O_TRUNC, "");
	end(1);
	holds("app exited 1\n");
}
END_TEST

START_TEST(replaced_by_another_file)
{
	termlog_open(&opts);
	state("draining");
	ck_assert_int_eq(unlink(path), 0);
	app_writes(0, "new file\n");
	end(0); /* into the one we hold: the kubelet's mount is that one */
	holds("new file\n");
	ck_assert_int_eq(lines_said(), 0);
}
END_TEST

/* fopen(path, "w") at its start, a line at its end: at its own place, over the head of ours. */
START_TEST(held_open_and_written_over)
{
	termlog_open(&opts);
	int fd = open(path, O_WRONLY | O_TRUNC);
	state("draining: something long");
	ck_assert_int_eq(write(fd, "fatal\n", 6), 6);
	holds("fatal\nng: something long\n");
	state("stopping: SIGTERM");
	holds("fatal\nstopping: SIGTERM\n");
	ck_assert_int_eq(write(fd, "more\n", 5), 5);
	end(0);
	holds("fatal\nmore\napp exited 0\n");
	ck_assert_int_eq(write(fd, "a line that is longer than ours\n", 32), 32);
	end(0);
	holds("fatal\nmore\na line that is longer than ours\napp exited 0\n");
	close(fd);
}
END_TEST

/* Without a line break its end cannot be told: rather too much stays than too little. */
START_TEST(written_over_without_line_break)
{
	termlog_open(&opts);
	int fd = open(path, O_WRONLY | O_TRUNC);
	state("draining");
	ck_assert_int_eq(write(fd, "fatal", 5), 5);
	end(0);
	holds("fataling\napp exited 0\n");
	close(fd);
}
END_TEST

/* What looks like the last bytes of ours, in its place, is the app's when it is that short. */
START_TEST(rewritten_much_alike)
{
	termlog_open(&opts);
	state("draining");
	app_writes(O_TRUNC, "1234567\n\nmore\n");
	end(0);
	holds("1234567\n\nmore\napp exited 0\n");
	app_writes(O_TRUNC, "");
	facts.ended = false;
	state("draining");
	app_writes(O_TRUNC, "1234\ning\n");
	end(0);
	holds("1234\ning\napp exited 0\n");
}
END_TEST

START_TEST(held_open_for_appending)
{
	termlog_open(&opts);
	int fd = open(path, O_WRONLY | O_APPEND);
	for (int i = 0; i < 5; i++) {
		state("draining");
		ck_assert_int_eq(write(fd, "a\n", 2), 2);
	}
	end(0);
	holds("a\na\na\na\na\napp exited 0\n");
	close(fd);
}
END_TEST

static void fill(char *text, size_t n, char c)
{
	memset(text, c, n);
	for (size_t i = 99; i < n; i += 100)
		text[i] = '\n';
	text[n - 1] = '\n';
	text[n] = '\0';
}

START_TEST(large_before_and_after)
{
	static char before[100001], after[65537], want[200000];
	fill(before, 100000, 'b');
	fill(after, 65536, 'a');
	app_writes(0, before);
	termlog_open(&opts);
	state("draining");
	app_writes(O_APPEND, after);
	end(0);
	snprintf(want, sizeof(want), "%s%sapp exited 0\n", before, after);
	holds(want);
}
END_TEST

/* Too much to move: ours becomes a blank line there, and the end is as it should be. */
START_TEST(too_large_to_move)
{
	static char after[100001], want[200000];
	fill(after, 100000, 'a');
	app_writes(0, "theirs");
	termlog_open(&opts);
	state("draining");
	app_writes(O_APPEND, after);
	end(0);
	snprintf(want, sizeof(want), "theirs\n        \n%sapp exited 0\n", after);
	holds(want);
	end(1);
	snprintf(want, sizeof(want), "theirs\n        \n%sapp exited 1\n", after);
	holds(want);
}
END_TEST

START_TEST(sparse_giant)
{
	app_writes(0, "theirs\n");
	ck_assert_int_eq(truncate(path, 1LL << 40), 0);
	alarm(10); /* nothing reads or moves a terabyte */
	termlog_open(&opts);
	state("draining");
	app_writes(O_APPEND, "after\n");
	end(0);
	char last[20] = "";
	int fd = open(path, O_RDONLY);
	lseek(fd, -19, SEEK_END);
	ck_assert_int_eq(read(fd, last, 19), 19);
	ck_assert_str_eq(last, "after\napp exited 0\n");
	close(fd);
}
END_TEST

START_TEST(line_fits_the_kubelets_window)
{
	static char huge[5000];
	fill(huge, 4999, 'h');
	for (int i = 0; i < 8; i++) {
		facts.hooks[i] = (struct termlog_hook){
			.kind = "pre-stop", .what = huge, .failed = true, .outcome = "exit 1"};
		facts.hook_count++;
	}
	app_writes(0, "theirs");
	termlog_open(&opts);
	end(0);
	ck_assert_uint_eq(slurp(path), 6 + 1 + 4096);
	ck_assert_int_eq(memcmp(content, "theirs\napp exited 0;", 20), 0);
	ck_assert_int_eq(content[6 + 4096], '\n');
}
END_TEST

START_TEST(json_in_the_file)
{
	opts.termination_format = FORMAT_JSON;
	app_writes(0, "theirs");
	termlog_open(&opts);
	state("draining");
	end(0);
	slurp(path);
	ck_assert_int_eq(memcmp(content, "theirs\n{\"reason\":\"Completed\"", 28), 0);
	ck_assert_str_eq(content + strlen(content) - 2, "}\n");
	ck_assert_ptr_null(strstr(content, "draining"));
}
END_TEST

/* --- --termination-on failure --- */

START_TEST(on_failure_success_takes_back)
{
	opts.termination_on_failure = true;
	termlog_open(&opts);
	end(0);
	holds("");
	facts.ended = false;
	state("draining"); /* crash-safe none the less */
	holds("draining\n");
	end(0);
	holds("");
}
END_TEST

START_TEST(on_failure_keeps_the_apps)
{
	opts.termination_on_failure = true;
	app_writes(0, "the");
	termlog_open(&opts);
	state("draining");
	app_writes(O_APPEND, "irs");
	state("stopping");
	end(0);
	holds("theirs");
}
END_TEST

START_TEST(on_failure_failure_is_written)
{
	opts.termination_on_failure = true;
	termlog_open(&opts);
	state("draining");
	end(1);
	holds("app exited 1\n");
	facts.ended = false;
	facts.exit_code = -1; /* not known: no success */
	termlog_write(&facts, true);
	ck_assert_uint_gt(slurp(path), 0);
}
END_TEST

/* Killed at any moment while writing: one whole message stays, and the app's, never a mix. */
START_TEST(killed_while_writing)
{
	app_writes(0, "theirs\n");
	termlog_open(&opts);
	state("stop");
	for (unsigned int i = 0; i < 300; i++) {
		pid_t writer = fork();
		for (; writer == 0;) {
			state("draining with a long tail");
			state("stop");
		}
		usleep(500 + i * 97 % 3000);
		kill(writer, SIGKILL);
		waitpid(writer, NULL, 0);
		size_t n = slurp(path);
		char *eol = strchr(content + 7, '\n');
		ck_assert_ptr_nonnull(eol);
		ck_assert_uint_eq(strspn(eol, "\n"), (size_t)(content + n - eol));
		*eol = '\0';
		ck_assert_msg(strcmp(content, "theirs\nstop") == 0 ||
				      strcmp(content, "theirs\ndraining with a long tail") == 0,
			"mixed: %s", content);
		app_writes(O_TRUNC, "theirs\n");
		state("stop");
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("termfile");
	TCase *c = tcase_create("file");
	const TTest *const tests[] = {named_is_created, none_and_peers_write_nothing,
		default_is_not_created, directory_is_refused, fifo_is_refused,
		fifo_for_writing_only_is_refused, symlink_is_refused, device_is_refused,
		no_such_directory, not_for_us, writable_but_not_readable,
		writable_only_and_rewritten, standard_descriptors_closed, read_only, full_disk,
		disk_full_within_text, disk_full_within_json, file_size_limit,
		states_replace_each_other, before_us, without_line_break, appended,
		truncated_and_rewritten, replaced_by_another_file, held_open_and_written_over,
		written_over_without_line_break, rewritten_much_alike, held_open_for_appending,
		large_before_and_after, too_large_to_move, sparse_giant,
		line_fits_the_kubelets_window, json_in_the_file, on_failure_success_takes_back,
		on_failure_keeps_the_apps, on_failure_failure_is_written, killed_while_writing};

	suite_add_tcase(s, c);
	tcase_set_timeout(c, 30);
	tcase_add_checked_fixture(c, set_up, tear_down);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(c, tests[i]);

	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
