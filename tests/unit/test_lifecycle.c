/*
 * test_lifecycle.c - every cell of the lifecycle table is a decision; the exit status and the time
 * budget.
 */
#define main shim_main
#include "../../shim.c"
#undef main

#include <check.h>
#include <signal.h>
#include <stdlib.h>

#include "options.h"

static bool app_lives_in(enum phase p)
{
	return p == STARTING || p == RUNNING || p == DRAINING || p == DRAINED || p == STOPPING;
}

START_TEST(every_cell_is_decided)
{
	for (int a = UNDECIDED + 1; a < ACTIONS; a++)
		ck_assert_msg(actions[a] != NULL, "action %d", a);
	for (int p = 0; p < PHASES; p++) {
		ck_assert_ptr_nonnull(phase_names[p]);
		ck_assert_ptr_nonnull(entries[p]);
		for (int e = 0; e < OCCASIONS; e++) {
			ck_assert_ptr_nonnull(occasion_names[e]);
			ck_assert_msg(
				table[p][e] != UNDECIDED, "%s + %s", phase_names[p], occasion_names[e]);
		}
	}
}
END_TEST

START_TEST(signals_are_expected_until_the_end)
{
	for (int p = 0; p < DONE; p++)
		ck_assert_msg(table[p][ON_SIGNAL] != BUG, "%s", phase_names[p]);
	for (int p = 0; p < DONE; p++)
		ck_assert_msg(table[p][ON_STOP] != BUG, "%s", phase_names[p]);
	for (int p = 0; p < DONE; p++) /* whoever it is that asks, and whenever */
		ck_assert_msg(table[p][ON_DRAIN] != BUG, "%s", phase_names[p]);
}
END_TEST

START_TEST(the_app_may_end_whenever_it_lives)
{
	for (int p = 0; p < PHASES; p++)
		ck_assert_msg((table[p][ON_ENDED] == END) == app_lives_in((enum phase)p), "%s",
			phase_names[p]);
}
END_TEST

START_TEST(only_running_is_ready)
{
	struct life life = {.phase = 0};

	for (; life.phase < PHASES; life.phase++)
		ck_assert_msg((unready_reason(&life) == NULL) == (life.phase == RUNNING), "%s",
			phase_names[life.phase]);
}
END_TEST

START_TEST(earlier_knows_never)
{
	ck_assert_int_eq(earlier_ns(-1, -1), -1);
	ck_assert_int_eq(earlier_ns(5, -1), 5);
	ck_assert_int_eq(earlier_ns(-1, 5), 5);
	ck_assert_int_eq(earlier_ns(0, 5), 0);
	ck_assert_int_eq(earlier_ns(7, 5), 5);
}
END_TEST

/* Wait statuses as the kernel makes them: code << 8, or the signal. */
START_TEST(a_code_for_every_end)
{
	for (int code = 0; code < 256; code++)
		ck_assert_int_eq(outcome_code(code << 8), code);
	for (int signo = 1; signo <= SIGNAL_LAST; signo++) {
		ck_assert_int_eq(outcome_code(signo), 128 + signo);
		ck_assert_int_eq(outcome_code(signo | 0x80), 128 + signo); /* with a core */
	}
}
END_TEST

static int status_of(const struct options *options, int wait_status, int sent_stop)
{
	struct termlog_facts f = {.ended = true, .status = wait_status};

	return outcome_status(options, &f, sent_stop);
}

START_TEST(expected_codes_and_clean_stops)
{
	struct options options;

	options_defaults(&options);
	ck_assert_int_eq(status_of(&options, 143 << 8, SIGTERM), 143);
	options.expect[143] = 0;
	options.expect[3] = 7;
	ck_assert_int_eq(status_of(&options, 143 << 8, 0), 0);
	ck_assert_int_eq(status_of(&options, SIGTERM, 0), 0);
	ck_assert_int_eq(status_of(&options, 3 << 8, 0), 7);

	options_defaults(&options);
	options.clean_stop = true;
	ck_assert_int_eq(status_of(&options, SIGTERM, SIGTERM), 0);
	ck_assert_int_eq(status_of(&options, 143 << 8, SIGTERM), 0);
	ck_assert_int_eq(status_of(&options, SIGTERM, 0), 143);
	ck_assert_int_eq(status_of(&options, SIGTERM, SIGQUIT), 143);
	ck_assert_int_eq(status_of(&options, SIGKILL, SIGTERM), 137);
}
END_TEST

START_TEST(out_of_time_is_137_unless_the_app_had_ended)
{
	struct options options;
	struct termlog_facts f = {.out_of_time = true};

	options_defaults(&options);
	ck_assert_int_eq(outcome_status(&options, &f, SIGTERM), 137);
	f.ended = true;
	f.status = 4 << 8;
	ck_assert_int_eq(outcome_status(&options, &f, SIGTERM), 4);
	f.status = SIGTERM; /* a shell in front of it, and the app itself had to be killed */
	ck_assert_int_eq(outcome_status(&options, &f, SIGTERM), 137);
	ck_assert_int_eq(outcome_status(&options, &f, SIGQUIT), 143);
}
END_TEST

START_TEST(no_clean_stop_if_somebody_was_killed)
{
	struct options options;
	struct termlog_facts f = {.ended = true, .status = SIGTERM, .survivors = "app (3)"};

	options_defaults(&options);
	options.clean_stop = true;
	ck_assert_int_eq(outcome_status(&options, &f, SIGTERM), 143);
	f.status = 143 << 8; /* an app that ends by itself answers for itself */
	ck_assert_int_eq(outcome_status(&options, &f, SIGTERM), 0);
}
END_TEST

START_TEST(a_wrapper_dies_of_the_stop_signal)
{
	struct options options;
	struct termlog_facts f = {.ended = true, .status = SIGQUIT};

	options_defaults(&options);
	ck_assert(outcome_is_wrapper(&options, &f, SIGQUIT));
	ck_assert(!outcome_is_wrapper(&options, &f, SIGTERM));
	ck_assert(!outcome_is_wrapper(&options, &f, 0));
	f.status = 131 << 8;
	ck_assert(!outcome_is_wrapper(&options, &f, SIGQUIT));
	f.status = SIGQUIT;
	options.personality = AS_TINI;
	ck_assert(!outcome_is_wrapper(&options, &f, SIGQUIT));
}
END_TEST

START_TEST(the_margin_is_a_tenth_at_most_half_a_second)
{
	ck_assert_int_eq(outcome_kill_after_ns(30 * NS_PER_S), 30 * NS_PER_S - 500 * NS_PER_MS);
	ck_assert_int_eq(outcome_kill_after_ns(2 * NS_PER_S), 1800 * NS_PER_MS);
	ck_assert_int_eq(outcome_kill_after_ns(0), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lifecycle");
	TCase *t = tcase_create("table");
	SRunner *runner;

	tcase_add_test(t, every_cell_is_decided);
	tcase_add_test(t, signals_are_expected_until_the_end);
	tcase_add_test(t, the_app_may_end_whenever_it_lives);
	tcase_add_test(t, only_running_is_ready);
	tcase_add_test(t, earlier_knows_never);
	tcase_add_test(t, a_code_for_every_end);
	tcase_add_test(t, expected_codes_and_clean_stops);
	tcase_add_test(t, out_of_time_is_137_unless_the_app_had_ended);
	tcase_add_test(t, no_clean_stop_if_somebody_was_killed);
	tcase_add_test(t, a_wrapper_dies_of_the_stop_signal);
	tcase_add_test(t, the_margin_is_a_tenth_at_most_half_a_second);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
