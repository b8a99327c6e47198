/*
 * test_seal.c - the filters as the kernel would run them, against every number of a system call and
 * what `seccomp_gen list` says of it, and the names.
 *
 * What they do to a running child is in tests/scenarios/sealed.py.
 */
#include <check.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "seal.h"

enum { CALLS = 1024, X32 = 0x40000000 };

/* The filters of the machine that the tests do not run on, under other names. */
#if defined(__x86_64__)
#undef __x86_64__
#define __aarch64__ 1
#define OURS                                                                                       \
	{                                                                                          \
		seal_filter, seal_call_name, AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, "[not on x86-64]" \
	}
#define THEIRS                                                                                     \
	{                                                                                          \
		foreign_filter, foreign_name, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, "[not on arm64]" \
	}
#else
#undef __aarch64__
#define __x86_64__ 1
#define OURS                                                                                       \
	{                                                                                          \
		seal_filter, seal_call_name, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, "[not on arm64]"  \
	}
#define THEIRS                                                                                     \
	{                                                                                          \
		foreign_filter, foreign_name, AUDIT_ARCH_X86_64, AUDIT_ARCH_I386,                  \
			"[not on x86-64]"                                                          \
	}
#endif
#define seal_filter    foreign_filter
#define seal_call_name foreign_name
#include "seal_rules.c"
#undef seal_filter
#undef seal_call_name

static const struct machine {
	bool (*filter)(enum seal_role role, struct sock_fprog *filter);
	const char *(*name)(int call, char buf[SEAL_NAME_SIZE]);
	uint32_t arch, other_arch;
	const char *lacks;
} machines[] = {OURS, THEIRS};

/* --- the kernel's part: what a filter says --- */

static uint32_t load(const struct seccomp_data *data, uint32_t offset)
{
	uint32_t word;

	ck_assert_uint_le(offset, sizeof *data - sizeof word);
	ck_assert_uint_eq(offset % sizeof word, 0);
	memcpy(&word, (const char *)data + offset, sizeof word);
	return word;
}

static bool jumps(const struct sock_filter *code, uint32_t a)
{
	switch (BPF_OP(code->code)) {
	case BPF_JEQ:
		return a == code->k;
	case BPF_JGE:
		return a >= code->k;
	case BPF_JGT:
		return a > code->k;
	case BPF_JSET:
		return a & code->k;
	default:
		ck_abort_msg("jump %x", code->code);
		return false;
	}
}

static uint32_t verdict(const struct sock_fprog *filter, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t at = 0; at < filter->len; at++) {
		const struct sock_filter *code = &filter->filter[at];

		switch (BPF_CLASS(code->code)) {
		case BPF_LD:
			ck_assert_uint_eq(code->code, BPF_LD | BPF_W | BPF_ABS);
			a = load(data, code->k);
			break;
		case BPF_ALU:
			ck_assert_uint_eq(code->code, BPF_ALU | BPF_AND | BPF_K);
			a &= code->k;
			break;
		case BPF_JMP:
			at += BPF_OP(code->code) == BPF_JA ? code->k
			      : jumps(code, a)             ? code->jt
							   : code->jf;
			break;
		case BPF_RET:
			return code->k;
		default:
			ck_abort_msg("code %x", code->code);
		}
	}
	ck_abort_msg("the filter has no end");
	return 0;
}

/* --- what is asked --- */

/* The test's loop counts machines: its own is the first. */
static const struct machine *machine;
static struct sock_fprog filters[SEAL_ROLES];
/* By `seccomp_gen list`: 0 no, 1 yes, 2 with some arguments. */
static char said[SEAL_ROLES][CALLS];

static uint32_t ask(enum seal_role role, int call, unsigned arg, uint64_t value)
{
	struct seccomp_data data = {.nr = call, .arch = machine->arch};

	/* Nothing that any rule wants. */
	for (size_t i = 0; i < sizeof data.args / sizeof *data.args; i++)
		data.args[i] = UINT64_C(0xa5a5a5a5a5a5a5a5);
	data.args[arg] = value;
	return verdict(&filters[role], &data);
}

static bool allows(enum seal_role role, int call, unsigned arg, uint64_t value)
{
	uint32_t answer = ask(role, call, arg, value);

	ck_assert_msg(answer == SECCOMP_RET_ALLOW || answer == SECCOMP_RET_TRAP, "%x", answer);
	return answer == SECCOMP_RET_ALLOW;
}

static int number_of(const char *name)
{
	char buf[SEAL_NAME_SIZE];

	for (int call = 0; call < CALLS; call++)
		if (strcmp(machine->name(call, buf), name) == 0)
			return call;
	return -1;
}

/* "  open (to read) [not on arm64]" */
static void take_line(const char *line, int role)
{
	char name[32];
	int call;

	ck_assert_int_eq(sscanf(line, "%31s", name), 1);
	call = number_of(name);
	ck_assert_msg((call < 0) == (strstr(line, machine->lacks) != NULL), "%d: %s", call, line);
	for (int i = 0; i < SEAL_ROLES && call >= 0; i++)
		if (role < 0 || role == i)
			said[i][call] = strchr(line, '(') ? 2 : 1;
}

static void take_machine(int which)
{
	FILE *list = popen("build/seccomp_gen list", "r");
	char line[256];
	int role = -2;

	machine = &machines[which];
	memset(said, 0, sizeof said);
	for (int i = 0; i < SEAL_ROLES; i++)
		ck_assert(machine->filter((enum seal_role)i, &filters[i]));
	ck_assert_ptr_nonnull(list);
	while (fgets(line, sizeof line, list))
		if (*line == ' ')
			take_line(line, role);
		else
			role++;
	ck_assert_int_eq(pclose(list), 0);
	ck_assert_int_eq(role, SEAL_ROLES - 1);
}

static void setup(void)
{
	take_machine(0);
}

START_TEST(allows_what_the_list_says_and_no_more)
{
	take_machine(_i);
	for (int role = 0; role < SEAL_ROLES; role++) {
		int count = 0;

		for (int call = -1; call < CALLS; call++) {
			bool expected = call >= 0 && said[role][call] == 1;

			ck_assert_msg(allows((enum seal_role)role, call, 0,
					      UINT64_C(0xa5a5a5a5a5a5a5a5)) == expected,
				"role %d, call %d", role, call);
			count += expected;
		}
		ck_assert_int_gt(count, 8);
		ck_assert_int_lt(filters[role].len, 110);
	}
}
END_TEST

/* Whatever bug a role has, this is not what comes of it. */
START_TEST(nobody_may)
{
	static const int calls[] = {SYS_execve, SYS_execveat, SYS_ptrace, SYS_kill, SYS_tgkill,
		SYS_tkill, SYS_rt_sigaction, SYS_rt_sigqueueinfo, SYS_process_vm_writev, SYS_setuid,
		SYS_setresuid, SYS_capset, SYS_mount, SYS_unshare, SYS_setns, SYS_bpf, SYS_seccomp,
		SYS_listen, SYS_socketpair, SYS_unlinkat, SYS_renameat2, SYS_mkdirat, SYS_ftruncate,
		SYS_fchmod, SYS_getdents64, SYS_memfd_create, SYS_userfaultfd, SYS_io_uring_setup,
		SYS_pidfd_open, SYS_pidfd_getfd, SYS_pidfd_send_signal, SYS_clone3, SYS_setpgid,
		SYS_setsid, SYS_reboot, SYS_chroot, SYS_personality, SYS_init_module,
		SYS_kexec_load, SYS_perf_event_open, SYS_keyctl};

	for (int role = 0; role < SEAL_ROLES; role++)
		for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
			for (unsigned arg = 0; arg < 6; arg++)
				ck_assert_msg(!allows((enum seal_role)role, calls[i], arg, 0),
					"role %d, call %d", role, calls[i]);
}
END_TEST

START_TEST(arguments)
{
	const enum seal_role c = SEAL_CLIENT;

	for (uint64_t family = 0; family < 64; family++)
		ck_assert(allows(c, SYS_socket, 0, family) ==
			  (family == AF_UNIX || family == AF_INET || family == AF_INET6));
	ck_assert(allows(c, SYS_openat, 2, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	ck_assert(!allows(c, SYS_openat, 2, O_WRONLY));
	ck_assert(!allows(c, SYS_openat, 2, O_RDWR));
	ck_assert(!allows(c, SYS_openat, 2, O_RDONLY | O_CREAT));
	ck_assert(!allows(c, SYS_openat, 2, O_RDONLY | O_TRUNC));
	ck_assert(!allows(c, SYS_openat, 2, O_TMPFILE | O_WRONLY));
#ifdef SYS_open
	ck_assert(allows(c, SYS_open, 1, O_RDONLY | O_CLOEXEC));
	ck_assert(!allows(c, SYS_open, 1, O_RDWR));
#endif
	ck_assert(allows(c, SYS_mmap, 2, PROT_READ | PROT_WRITE));
	ck_assert(allows(c, SYS_mprotect, 2, PROT_NONE));
	ck_assert(!allows(c, SYS_mmap, 2, PROT_READ | PROT_EXEC));
	ck_assert(!allows(c, SYS_mprotect, 2, PROT_EXEC));
	ck_assert(allows(c, SYS_clone, 0, SIGCHLD));
	ck_assert(!allows(c, SYS_clone, 0, SIGCHLD | 0x10000000)); /* CLONE_NEWUSER */
	ck_assert(!allows(c, SYS_clone, 0, SIGCHLD | UINT64_C(1) << 32));
	ck_assert(allows(c, SYS_fcntl, 1, F_SETFD));
	ck_assert(!allows(c, SYS_fcntl, 1, F_SETOWN));
	ck_assert(allows(c, SYS_ioctl, 1, SIOCGIFINDEX));
	ck_assert(!allows(c, SYS_ioctl, 1, TIOCSTI));
	ck_assert(allows(c, SYS_prctl, 0, PR_SET_PDEATHSIG));
	ck_assert(!allows(c, SYS_prctl, 0, PR_SET_SECCOMP));
	ck_assert(!allows(c, SYS_prctl, 0, PR_SET_DUMPABLE));
}
END_TEST

/* int 0x80 and x32 reach other tables with the same numbers: at once and without a word. */
START_TEST(another_table_is_the_end)
{
	take_machine(_i);
	for (int role = 0; role < SEAL_ROLES; role++)
		for (int call = 0; call < CALLS; call++) {
			struct seccomp_data data = {.nr = call, .arch = machine->other_arch};

			ck_assert_uint_eq(verdict(&filters[role], &data), SECCOMP_RET_KILL_PROCESS);
			if (machine->arch == AUDIT_ARCH_X86_64)
				ck_assert_uint_eq(ask((enum seal_role)role, X32 | call, 0, 0),
					SECCOMP_RET_KILL_PROCESS);
		}
}
END_TEST

START_TEST(names)
{
	static const struct {
		int call;
		const char *name;
	} known[] = {{SYS_read, "read"}, {SYS_execve, "execve"}, {SYS_ptrace, "ptrace"},
		{SYS_io_setup, "io_setup"}, {SYS_openat, "openat"}, {SYS_pwritev2, "pwritev2"},
		{SYS_statx, "statx"}, {SYS_pidfd_send_signal, "pidfd_send_signal"},
		{SYS_clone3, "clone3"}, {SYS_mount_setattr, "mount_setattr"},
		{SYS_landlock_restrict_self, "landlock_restrict_self"},
		{SYS_sched_rr_get_interval, "sched_rr_get_interval"}};
	char buf[SEAL_NAME_SIZE];

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		ck_assert_str_eq(seal_call_name(known[i].call, buf), known[i].name);
	ck_assert_str_eq(seal_call_name(400, buf), "400"); /* in the gap */
	ck_assert_str_eq(seal_call_name(9999, buf), "9999");
	ck_assert_str_eq(seal_call_name(-1, buf), "-1");
	ck_assert_str_eq(seal_call_name(INT32_MIN, buf), "-2147483648");
	ck_assert_str_eq(seal_call_name(INT32_MAX, buf), "2147483647");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("seal");
	TCase *tests = tcase_create("filters");
	SRunner *runner = srunner_create(suite);
	struct sock_fprog filter;

	if (!seal_filter(SEAL_CLIENT, &filter)) /* built with SECCOMP=0 */
		return 0;
	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_loop_test(tests, allows_what_the_list_says_and_no_more, 0, 2);
	tcase_add_test(tests, nobody_may);
	tcase_add_test(tests, arguments);
	tcase_add_loop_test(tests, another_table_is_the_end, 0, 2);
	tcase_add_test(tests, names);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
