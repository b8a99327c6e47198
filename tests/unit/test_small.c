/*
 * test_small.c - the stand-ins of small_musl.c, beside the functions whose place they take.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

/* Under names of their own: this program and its libraries keep libc's. */
#define malloc    small_malloc
#define calloc    small_calloc
#define realloc   small_realloc
#define free      small_free
#define fork      small_fork
#define setresuid small_setresuid
#define qsort     small_qsort
#define strtoul   small_strtoul
#define strtoull  small_strtoull
#define strstr    small_strstr
#define mbstowcs  small_mbstowcs
void *malloc(size_t size);
void *calloc(size_t count, size_t each);
void *realloc(void *at, size_t size);
void free(void *at);
unsigned long long strtoull(const char *text, char **end, int base);
#include "../../small_musl.c"
#undef fork
#undef qsort
#undef strtoull
#undef strstr

enum { PIECES = 64 };

static void fill(unsigned char *at, size_t size, int byte)
{
	ck_assert_uint_eq((uintptr_t)at % 16, 0);
	memset(at, byte, size);
}

static bool is_full_of(const unsigned char *at, size_t size, int byte)
{
	for (size_t i = 0; i < size; i++)
		if (at[i] != byte)
			return false;
	return true;
}

START_TEST(blocks_do_not_overlap)
{
	static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 2048, 4064, 4096, 70000, 1 << 20};
	enum { SIZES = sizeof sizes / sizeof *sizes };
	unsigned char *pieces[PIECES];

	for (int i = 0; i < PIECES; i++) {
		pieces[i] = malloc(sizes[i % SIZES]);
		ck_assert_ptr_nonnull(pieces[i]);
		fill(pieces[i], sizes[i % SIZES], i);
	}
	for (int i = 0; i < PIECES; i++)
		ck_assert(is_full_of(pieces[i], sizes[i % SIZES], i));
	for (int i = PIECES - 1; i >= 0; i--)
		free(pieces[i]);
	ck_assert_uint_eq(arena_used, 0);
	free(NULL);
}
END_TEST

START_TEST(cleared_though_used_before)
{
	unsigned char *first = malloc(300), *large = calloc(3, 5000);

	fill(first, 300, 0xaa);
	free(first);
	ck_assert(is_full_of(large, 15000, 0));
	free(large);
	unsigned char *again = calloc(30, 10);
	ck_assert_ptr_eq(again, first);
	ck_assert(is_full_of(again, 300, 0));
	free(again);
}
END_TEST

START_TEST(grows_with_what_is_in_it)
{
	unsigned char *list = NULL;
	unsigned char *other;

	for (size_t size = 1; size < 20000; size++) {
		list = realloc(list, size);
		ck_assert_ptr_nonnull(list);
		list[size - 1] = (unsigned char)size;
		if (size % 1000 == 0) {
			other = malloc(10);
			fill(other, 10, 0xff);
		}
	}
	for (size_t i = 0; i < 19999; i++)
		ck_assert_uint_eq(list[i], (unsigned char)(i + 1));
	free(list);
}
END_TEST

START_TEST(too_much_is_refused)
{
	errno = 0;
	ck_assert_ptr_null(malloc(SIZE_MAX));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_ptr_null(malloc(SIZE_MAX / 2));
	ck_assert_ptr_null(malloc((size_t)1 << 61));
	ck_assert_ptr_null(calloc(SIZE_MAX / 4 + 2, 4));
	unsigned char *kept = malloc(16);
	fill(kept, 16, 7);
	ck_assert_ptr_null(realloc(kept, SIZE_MAX));
	ck_assert(is_full_of(kept, 16, 7));
	free(kept);
}
END_TEST

START_TEST(a_full_arena_is_not_the_end)
{
	unsigned char *last = NULL;

	for (int i = 0; i < 1000; i++) {
		unsigned char *at = calloc(1, 200);
		ck_assert_ptr_nonnull(at);
		ck_assert(is_full_of(at, 200, 0));
		fill(at, 200, 1);
		last = at;
	}
	ck_assert(!is_in_arena((struct block *)(void *)last - 1));
	free(last);
}
END_TEST

START_TEST(forked_child_is_one)
{
	pid_t pid = small_fork();
	int status;

	if (pid == 0)
		_exit(7);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
END_TEST

static int by_first(const void *a, const void *b)
{
	return *(const unsigned char *)a - *(const unsigned char *)b;
}

START_TEST(sorted_and_stable)
{
	char words[][3] = {"d1", "a1", "c1", "a2", "d2", "b1", "a3"};

	small_qsort(words, sizeof words / sizeof *words, sizeof *words, by_first);
	ck_assert_mem_eq(words, "a1\0a2\0a3\0b1\0c1\0d1\0d2", sizeof words);
	small_qsort(words, 0, sizeof *words, by_first);
	small_qsort(words, 1, sizeof *words, by_first);
	ck_assert_str_eq(words[0], "a1");
}
END_TEST

START_TEST(numbers_as_libc_reads_them)
{
	static const char *const texts[] = {"0", "7", "10.1", "255", "0x1f.", "0x", "0xg", "0X10",
		"017", "08", "0", "1a", "99 ", "4294967295", "18446744073709551615",
		"12345678901234567890]"};
	static const int bases[] = {0, 8, 10, 16};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		for (size_t j = 0; j < sizeof bases / sizeof *bases; j++) {
			char *end, *expected_end;

			if (bases[j] == 16 && (texts[i][1] | 32) == 'x')
				continue; /* nobody asks for 16 */
			unsigned long long expected = strtoull(texts[i], &expected_end, bases[j]);
			ck_assert_uint_eq(small_strtoull(texts[i], &end, bases[j]), expected);
			ck_assert_ptr_eq(end, expected_end);
		}
	ck_assert_uint_gt(small_strtoull("99999999999999999999", NULL, 10), UINT32_MAX);
	ck_assert_uint_gt(small_strtoul("0xfffffffffffffffff", NULL, 0), UINT32_MAX);
}
END_TEST

START_TEST(found_in_a_text)
{
	const char *text = "--pre-stop";

	ck_assert_ptr_eq(small_strstr(text, "stop"), text + 6);
	ck_assert_ptr_eq(small_strstr(text, ""), text);
	ck_assert_ptr_eq(small_strstr(text, text), text);
	ck_assert_ptr_null(small_strstr(text, "stops"));
	ck_assert_ptr_null(small_strstr("", "s"));
	ck_assert_uint_eq(small_mbstowcs(NULL, "caf\xc3\xa9", 0), 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("small");
	TCase *all = tcase_create("all");
	SRunner *runner;

	tcase_add_test(all, blocks_do_not_overlap);
	tcase_add_test(all, cleared_though_used_before);
	tcase_add_test(all, grows_with_what_is_in_it);
	tcase_add_test(all, too_much_is_refused);
	tcase_add_test(all, a_full_arena_is_not_the_end);
	tcase_add_test(all, forked_child_is_one);
	tcase_add_test(all, sorted_and_stable);
	tcase_add_test(all, numbers_as_libc_reads_them);
	tcase_add_test(all, found_in_a_text);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
