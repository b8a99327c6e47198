/*
 * test_privs.c - accounts.h and caps.h: who a --user is, and what a --caps list leaves.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "accounts.h"
#include "caps.h"

#define COUNT(array)    (sizeof(array) / sizeof(array)[0])
#define FILE_SPAN(text) ((struct span){text, sizeof text - 1})

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "# a comment: with: colons\n"
			     "\n"
			     "app:x:1000:1001:The App:/srv/app:/bin/sh\n"
			     "twice:x:7:7::/first:\n"
			     "twice:x:8:8::/second:\n"
			     "1000:x:5000:5001::/number:\n"
			     "nogroup:x:9::9:/:\n"
			     "huge:x:4294967295:1::/:\n"
			     "short:x:12\n"
			     "relative:x:13:13::srv:\n"
			     "last:x:14:14::/last:/bin/sh";
static const char group[] = "root:x:0:\n"
			    "app:x:1001:app\n"
			    "www-data:x:33:nobody,app,1000\n"
			    "video:x:44:apple,app\n"
			    "audio:x:29:xapp,appx\n"
			    "odd:x:x:app\n"
			    "last:x:55";

static const struct {
	const char *spec;
	unsigned uid, gid;
	const char *groups, *home;
} found[] = {
	{"root", 0, 0, "", "/root"},
	{"app", 1000, 1001, "33 44 ", "/srv/app"}, /* its own group is not told twice */
	{"app:video", 1000, 44, "", "/srv/app"},
	{"app:55", 1000, 55, "", "/srv/app"},
	{"app:4711", 1000, 4711, "", "/srv/app"},
	{"app:last", 1000, 55, "", "/srv/app"},
	{"twice", 7, 7, "", "/first"},
	{"1000", 5000, 5001, "33 ", "/number"}, /* a name before a number */
	{"8", 8, 8, "", "/second"},
	{"1001", 1001, 0, "", ""},
	{"4294967294:4294967294", 4294967294, 4294967294, "", ""},
	{"0", 0, 0, "", "/root"},
	{"007", 7, 7, "", "/first"},
	{"relative", 13, 13, "", ""},
	{"last", 14, 14, "", "/last"},
};

START_TEST(is_found)
{
	struct account account;
	char error[200] = "", groups[400] = "";

	ck_assert_msg(accounts_find(FILE_SPAN(passwd), FILE_SPAN(group), found[_i].spec, &account,
			      error, sizeof error) == 0,
		"%s: %s", found[_i].spec, error);
	ck_assert_uint_eq(account.uid, found[_i].uid);
	ck_assert_uint_eq(account.gid, found[_i].gid);
	for (size_t i = 0; i < account.group_count; i++)
		sprintf(groups + strlen(groups), "%u ", (unsigned)account.groups[i]);
	ck_assert_str_eq(groups, found[_i].groups);
	ck_assert_str_eq(account.home, found[_i].home);
}
END_TEST

static const struct {
	const char *spec, *words;
} unknown[] = {
	{"nobody", "user 'nobody' is not in /etc/passwd"},
	{"app:nothing", "group 'nothing' is not in /etc/group"},
	{"app:odd", "group 'odd' is not in /etc/group"},
	{"nogroup", "no valid group"},
	{"short", "no valid group"},
	{"huge", "user 'huge' is not in /etc/passwd"},
	{"4294967295", "not in /etc/passwd"},
	{"99999999999999999999", "not in /etc/passwd"},
	{"-1", "not in /etc/passwd"},
	{"+1", "not in /etc/passwd"},
	{"1:-1", "not in /etc/group"},
	{"", "expected USER"},
	{":", "expected USER"},
	{":app", "expected USER"},
	{"app:", "expected USER"},
	{"app:video:audio", "group 'video:audio'"},
	{"# a comment", "not in /etc/passwd"},
	{"App", "not in /etc/passwd"},
};

START_TEST(is_not_found)
{
	struct account account;
	char error[200] = "";

	ck_assert_int_eq(accounts_find(FILE_SPAN(passwd), FILE_SPAN(group), unknown[_i].spec,
				 &account, error, sizeof error),
		-1);
	ck_assert_msg(strstr(error, unknown[_i].words) != NULL, "%s: %s", unknown[_i].spec, error);
}
END_TEST

/* An image from scratch has neither file. */
START_TEST(no_files)
{
	struct account account;
	struct span none = {"", 0};
	char error[200];

	ck_assert_int_eq(
		accounts_find(none, none, "65532:65532", &account, error, sizeof error), 0);
	ck_assert_uint_eq(account.uid, 65532);
	ck_assert_uint_eq(account.gid, 65532);
	ck_assert_int_eq(accounts_find(none, none, "root", &account, error, sizeof error), -1);
}
END_TEST

START_TEST(too_many_groups)
{
	struct account account;
	char text[64 * (ACCOUNTS_GROUPS + 2)] = "", error[200];

	for (int i = 0; i < ACCOUNTS_GROUPS; i++)
		sprintf(text + strlen(text), "g%d:x:%d:app\n", i, 2000 + i);
	struct span file = {text, strlen(text)};
	ck_assert_int_eq(
		accounts_find(FILE_SPAN(passwd), file, "app", &account, error, sizeof error), 0);
	ck_assert_uint_eq(account.group_count, ACCOUNTS_GROUPS);
	strcat(text, "one-more:x:1:app\n");
	file.length = strlen(text);
	ck_assert_int_eq(
		accounts_find(FILE_SPAN(passwd), file, "app", &account, error, sizeof error), -1);
	ck_assert_msg(strstr(error, "more than 128 groups") != NULL, "%s", error);
}
END_TEST

/* libcap is the authority on names. */
START_TEST(names_are_libcap_s)
{
	struct caps caps;
	char error[200];
	uint64_t named;

	for (int n = 0; n <= CAP_LAST_CAP; n++) {
		char *name = cap_to_name(n);
		ck_assert_int_eq(caps_parse(name, 0, &caps, &named, error, sizeof error), 0);
		ck_assert_msg(caps.held == CAP_BIT(n), "%s", name);
		ck_assert_str_eq(caps_name(caps.held), name + strlen("cap_"));
		cap_free(name);
	}
}
END_TEST

#define CHOWN CAP_BIT(CAP_CHOWN)
#define KILL  CAP_BIT(CAP_KILL)
#define RAW   CAP_BIT(CAP_NET_RAW)

/* There were CHOWN held, and CHOWN and KILL in the bounding set; all is CHOWN and RAW. */
static const struct {
	const char *list;
	uint64_t held, bounding, named;
} lists[] = {
	{"none", 0, 0, 0},
	{"NONE", 0, 0, 0},
	{"kill", KILL, KILL, KILL},
	{"CAP_KILL,cap_Chown", KILL | CHOWN, KILL | CHOWN, KILL | CHOWN},
	{"5", KILL, KILL, KILL},
	{"63", CAP_BIT(63), CAP_BIT(63), CAP_BIT(63)},
	{"none,kill", KILL, KILL, KILL},
	{"kill,none", 0, 0, 0},
	{"all", CHOWN | RAW, CHOWN | RAW, CHOWN | RAW},
	{"all,-net_raw", CHOWN, CHOWN, CHOWN},
	{"+kill", CHOWN | KILL, CHOWN | KILL, KILL},
	{"+net_raw", CHOWN | RAW, CHOWN | KILL | RAW, RAW},
	{"-chown", 0, KILL, 0},
	{"-all", 0, KILL, 0},
	{"-kill,+kill", CHOWN | KILL, CHOWN | KILL, KILL},
};

START_TEST(list)
{
	struct caps caps = {CHOWN, CHOWN | KILL};
	char error[200] = "";
	uint64_t named;

	ck_assert_msg(
		caps_parse(lists[_i].list, CHOWN | RAW, &caps, &named, error, sizeof error) == 0,
		"%s: %s", lists[_i].list, error);
	ck_assert_msg(caps.held == lists[_i].held, "%s held", lists[_i].list);
	ck_assert_msg(caps.bounding == lists[_i].bounding, "%s bounding", lists[_i].list);
	ck_assert_msg(named == lists[_i].named, "%s named", lists[_i].list);
}
END_TEST

static const char *const bad_lists[] = {"", ",", "kill,", ",kill", "kil", "kill chown", "64",
	"+-kill", "cap_", "cap_cap_kill", "-none", "0x5",
	"a_name_that_is_longer_than_any_capability_could_be_named"};

START_TEST(bad_list)
{
	struct caps caps = {0, 0};
	char error[200] = "";
	uint64_t named;

	ck_assert_msg(caps_parse(bad_lists[_i], 0, &caps, &named, error, sizeof error) == -1, "%s",
		bad_lists[_i]);
	ck_assert_msg(strstr(error, "is not a capability") != NULL, "%s", error);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("privs");
	TCase *accounts = tcase_create("accounts"), *caps = tcase_create("caps");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(accounts, is_found, 0, COUNT(found));
	tcase_add_loop_test(accounts, is_not_found, 0, COUNT(unknown));
	tcase_add_test(accounts, no_files);
	tcase_add_test(accounts, too_many_groups);
	suite_add_tcase(suite, accounts);
	tcase_add_test(caps, names_are_libcap_s);
	tcase_add_loop_test(caps, list, 0, COUNT(lists));
	tcase_add_loop_test(caps, bad_list, 0, COUNT(bad_lists));
	suite_add_tcase(suite, caps);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
