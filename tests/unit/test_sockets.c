/*
 * test_sockets.c - sockets.h beside the kernel: a list that broke off does not spoil the next one.
 */
#include "../../sockets.c"

#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>

enum { LISTENERS = 400 }; /* more than one answer of the kernel's holds */

static void listen_on_many(void)
{
	for (int i = 0; i < LISTENERS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_ge(fd, 0);
		struct sockaddr_in address = {
			.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
		ck_assert_int_eq(listen(fd, 1), 0);
	}
}

static void count(void *context, const struct tcp_socket *socket)
{
	(void)socket;
	++*(int *)context;
}

START_TEST(a_list_that_failed_is_read_to_its_end)
{
	static struct sockets s;
	int found = 0;

	listen_on_many();
	ck_assert_int_eq(sockets_open(&s, SOCKETS_DIAG), 0);
	ck_assert_int_eq(sockets_list(&s, count, &found), 0);
	ck_assert_int_ge(found, LISTENERS);

	/* One list is begun and not read; the next one is refused for it, once. */
	ck_assert_int_eq(diag_request(&s, AF_INET), 0);
	ck_assert_int_eq(sockets_list(&s, count, &found), -1);
	ck_assert_int_eq(errno, EBUSY);
	found = 0;
	ck_assert_int_eq(sockets_list(&s, count, &found), 0);
	ck_assert_int_ge(found, LISTENERS);
	sockets_close(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sockets");
	TCase *kernel = tcase_create("kernel");
	SRunner *runner;

	tcase_add_test(kernel, a_list_that_failed_is_read_to_its_end);
	suite_add_tcase(suite, kernel);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
