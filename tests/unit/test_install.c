/*
 * test_install.c - install.h: the copy, its mode, what it replaces, and every way to fail: told,
 * and nothing left behind.
 *
 * The program that is copied is this test. Those that mount do so in a mount namespace of their own
 * process and are left out where that is not allowed.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "install.h"
#include "log.h"
#include "shim.h"

static char dir[] = "/tmp/test_install.XXXXXX";
static char target[64];
static int messages;

static void setup(void)
{
	int ends[2];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(target, sizeof target, "%s/shim", dir);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	messages = ends[0];
	log_init(NULL, LEVEL_WARN);
}

static void teardown(void)
{
	(void)unlink(target);
	(void)rmdir(target);
	(void)rmdir(dir);
}

static const char *said(void)
{
	static char text[8192];
	ssize_t length = read(messages, text, sizeof text - 1);

	text[length < 0 ? 0 : length] = '\0';
	return text;
}

static int count_entries(void)
{
	DIR *stream = opendir(dir);
	int count = 0;

	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

static bool is_same_file(const char *a, const char *b)
{
	FILE *first = fopen(a, "r");
	FILE *second = fopen(b, "r");
	bool is_same = first && second;
	int c = 0;

	while (is_same && c != EOF) {
		c = getc(first);
		is_same = c == getc(second);
	}
	fclose(first);
	fclose(second);
	return is_same;
}

static void expect_copy(void)
{
	struct stat st;

	ck_assert_int_eq(install_copy(dir), 0);
	ck_assert_str_eq(said(), "");
	ck_assert_int_eq(lstat(target, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_int_eq(st.st_mode & 07777, 0755);
	ck_assert(is_same_file("/proc/self/exe", target));
	ck_assert_int_eq(count_entries(), 1);
}

static void expect_failure(const char *path, int error)
{
	char expected[256];

	ck_assert_int_eq(install_copy(dir), EXIT_SHIM);
	snprintf(expected, sizeof expected, "shim: --install: %s: %s\n", path, strerror(error));
	ck_assert_str_eq(said(), expected);
}

START_TEST(copies)
{
	umask(_i ? 077 : 022);
	expect_copy();
	ck_assert_int_eq(access(target, X_OK), 0);
}
END_TEST

START_TEST(replaces_file)
{
	int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
	struct stat before, after;

	ck_assert_int_eq(write(fd, "old", 3), 3);
	fstat(fd, &before);
	expect_copy();
	/* Who has the old one open or is running it keeps it. */
	fstat(fd, &after);
	ck_assert_int_eq(after.st_size, 3);
	ck_assert_int_eq(after.st_nlink, 0);
	close(fd);
	expect_copy();
}
END_TEST

START_TEST(replaces_link_not_its_target)
{
	struct stat st;
	char victim[] = "/tmp/test_install_victim.XXXXXX";

	close(mkstemp(victim));
	ck_assert_int_eq(symlink(victim, target), 0);
	expect_copy();
	ck_assert_int_eq(stat(victim, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	unlink(victim);
}
END_TEST

/* As in a container, where every init is PID 1: the last one may have been killed while it copied.
 */
START_TEST(ignores_stale_temporary)
{
	char temporary[96];

	snprintf(temporary, sizeof temporary, "%s/.shim.%d", dir, (int)getpid());
	close(open(temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0));
	expect_copy();
}
END_TEST

START_TEST(no_such_directory)
{
	char temporary[96];

	ck_assert_int_eq(rmdir(dir), 0);
	snprintf(temporary, sizeof temporary, "%s/.shim.%d", dir, (int)getpid());
	expect_failure(temporary, ENOENT);
}
END_TEST

START_TEST(not_a_directory)
{
	char temporary[96];

	snprintf(temporary, sizeof temporary, "%s/.shim.%d", dir, (int)getpid());
	ck_assert_int_eq(rmdir(dir), 0);
	close(open(dir, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	expect_failure(temporary, ENOTDIR);
	unlink(dir);
}
END_TEST

START_TEST(target_is_a_directory)
{
	ck_assert_int_eq(mkdir(target, 0700), 0);
	expect_failure(target, EISDIR);
	ck_assert_int_eq(count_entries(), 1);
}
END_TEST

START_TEST(name_too_long)
{
	char *name = malloc(9000);

	memset(name, 'x', 8999);
	name[8999] = '\0';
	ck_assert_int_eq(install_copy(name), EXIT_SHIM);
	ck_assert_int_eq(strncmp(said(), "shim: --install: xxx", 20), 0);
	free(name);
}
END_TEST

/* A directory that is there, but whose name leaves no room for a file's: never another file
 * instead. */
START_TEST(name_just_too_long)
{
	char name[4096 - 3];
	size_t length = strlen(strcpy(name, dir));

	while (length + 2 < sizeof name)
		length += strlen(strcpy(name + length, "/."));
	ck_assert_int_eq(access(name, X_OK), 0);
	ck_assert_int_eq(install_copy(name), EXIT_SHIM);
	ck_assert_int_eq(strncmp(said(), "shim: --install: /tmp/", 22), 0);
	ck_assert_int_eq(count_entries(), 0);
}
END_TEST

static bool has_own_mounts(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

START_TEST(disk_full)
{
	char temporary[96];

	if (!has_own_mounts() || mount("tmpfs", dir, "tmpfs", 0, "size=16k") != 0)
		return;
	snprintf(temporary, sizeof temporary, "%s/.shim.%d", dir, (int)getpid());
	expect_failure(temporary, ENOSPC);
	ck_assert_int_eq(count_entries(), 0);
	umount(dir);
}
END_TEST

START_TEST(read_only)
{
	char temporary[96];

	if (!has_own_mounts() || mount("tmpfs", dir, "tmpfs", MS_RDONLY, NULL) != 0)
		return;
	snprintf(temporary, sizeof temporary, "%s/.shim.%d", dir, (int)getpid());
	expect_failure(temporary, EROFS);
	umount(dir);
}
END_TEST

START_TEST(without_proc)
{
	if (!has_own_mounts() || mount("tmpfs", "/proc", "tmpfs", 0, NULL) != 0)
		return;
	ck_assert_int_eq(install_copy(dir), EXIT_SHIM);
	ck_assert_str_eq(said(),
		"shim: --install: cannot read this program through /proc/self/exe: "
		"No such file or directory (is /proc mounted?)\n");
	ck_assert_int_eq(count_entries(), 0);
	umount("/proc");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("install");
	TCase *tcase = tcase_create("install");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 20);
	tcase_add_loop_test(tcase, copies, 0, 2);
	tcase_add_test(tcase, replaces_file);
	tcase_add_test(tcase, replaces_link_not_its_target);
	tcase_add_test(tcase, ignores_stale_temporary);
	tcase_add_test(tcase, no_such_directory);
	tcase_add_test(tcase, not_a_directory);
	tcase_add_test(tcase, target_is_a_directory);
	tcase_add_test(tcase, name_too_long);
	tcase_add_test(tcase, name_just_too_long);
	tcase_add_test(tcase, disk_full);
	tcase_add_test(tcase, read_only);
	tcase_add_test(tcase, without_proc);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
