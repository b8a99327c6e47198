/*
 * seccomp_gen.c - runs where shim is built: turns what each kind of sealed child may ask of the
 * kernel into constant filters, with libseccomp, so that shim itself carries neither.
 *
 *   seccomp_gen header    seal_rules.h: the filters, and the names of all system calls
 *   seccomp_gen list      what each role may do, for people
 *
 * The lists are those of musl, on every architecture: a name that one of them has not is left out
 * there. What is in no list ends the process (seal.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/filter.h>

enum { VALUES = 3 };

/* Allowed, if words is NULL. Else only if argument arg, masked, is one of the values. */
struct rule {
	const char *name;
	const char *words;
	unsigned arg;
	uint64_t mask;
	size_t count;
	uint64_t values[VALUES];
};

/* All of them are ints, and the upper half of the register 0. */
#define ONLY(arg, words, ...)                                                                      \
	words, arg, UINT64_MAX, sizeof(uint64_t[]){__VA_ARGS__} / sizeof(uint64_t),                \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define WITHOUT(arg, words, bits)                                                                  \
	words, arg, UINT64_C(0xffffffff00000000) | (bits), 1,                                      \
	{                                                                                          \
		0                                                                                  \
	}

/* A line of log (log.c), time, and the end. */
static const struct rule common[] = {
	{.name = "clock_gettime"},
	{.name = "close"},
	{.name = "exit_group"},
	{.name = "fstat"},
	{.name = "poll"},
	{.name = "ppoll"},
	{.name = "pwritev2"},
	{.name = "restart_syscall"}, /* a wait goes on after SIGCONT or a thaw */
	{.name = "rt_sigtimedwait"}, /* takes the SIGPIPE of its own failed write */
	{.name = "write"},
};

/* One request: resolver, connection, TLS, heap. Forks for the resolver and for each readiness
 * probe, which their own timers end. */
static const struct rule client[] = {
	{.name = "bind"},
	{.name = "brk"},
	{"clone", ONLY(0, "no flags: a fork", SIGCHLD)},
	{.name = "connect"},
	{"fcntl", ONLY(1, "F_SETFD, F_SETFL", F_SETFD, F_SETFL)},
	{.name = "fork"},
	{.name = "getpeername"},
	{.name = "getpid"},
	{.name = "getppid"},
	{.name = "getrandom"},
	{.name = "getsockname"},
	{.name = "getsockopt"},
	{.name = "gettid"},
	{"ioctl", ONLY(1, "SIOCGIFINDEX", SIOCGIFINDEX)}, /* fe80::1%eth0 */
	{.name = "lseek"},
	{.name = "madvise"},
	{"mmap", WITHOUT(2, "not executable", PROT_EXEC)},
	{"mprotect", WITHOUT(2, "not executable", PROT_EXEC)},
	{.name = "mremap"},
	{.name = "munmap"},
	{.name = "newfstatat"},
	{"open", WITHOUT(1, "to read", O_ACCMODE | O_CREAT | O_TRUNC)},
	{"openat", WITHOUT(2, "to read", O_ACCMODE | O_CREAT | O_TRUNC)},
	{.name = "pipe"}, /* musl's, where there is no pipe2() */
	{.name = "pipe2"},
	{"prctl", ONLY(0, "PR_SET_PDEATHSIG", PR_SET_PDEATHSIG)},
	{.name = "read"},
	{.name = "readv"},
	{.name = "recvfrom"},
	{.name = "recvmsg"},
	{.name = "rt_sigprocmask"},
	{.name = "sendmsg"},
	{.name = "sendto"},
	{.name = "setitimer"},
	{.name = "setsockopt"},
	{"socket", ONLY(0, "AF_INET, AF_INET6, AF_UNIX", AF_INET, AF_INET6, AF_UNIX)},
	{.name = "stat"},
	{.name = "wait4"},
};

/* The health server: its sockets are there already. */
static const struct rule server[] = {
	{.name = "accept"}, /* musl's, where there is no accept4() */
	{.name = "accept4"},
	{"fcntl", ONLY(1, "F_SETFD, F_SETFL", F_SETFD, F_SETFL)},
	{.name = "madvise"},
	{.name = "pread64"}, /* the cgroup's counters, for /metrics */
	{.name = "recvfrom"},
	{.name = "sendto"},
	{.name = "shutdown"},
};

/* The drain watcher: all it needs is open. */
static const struct rule drain[] = {
	{.name = "lseek"},
	{.name = "read"},
	{.name = "recvfrom"},
	{.name = "sendto"},
};

/* The log writer: from pipes to stdout and stderr. */
static const struct rule logs[] = {
	{.name = "read"},
};

/* The reader of --notify: its socket is there. */
static const struct rule notify[] = {
	{.name = "recvmsg"},
};

#define LIST(rules) rules, sizeof rules / sizeof *rules
static const struct {
	const char *name, *who;
	const struct rule *rules;
	size_t count;
} roles[] = {
	{"CLIENT", "HTTP hook, wait-for, check, readiness prober and its probes", LIST(client)},
	{"SERVER", "health server", LIST(server)},
	{"DRAIN", "drain watcher", LIST(drain)},
	{"LOGS", "log writer", LIST(logs)},
	{"NOTIFY", "reader of --notify", LIST(notify)},
};
enum { ROLES = sizeof roles / sizeof *roles };

static const struct {
	uint32_t token;
	const char *macro, *name;
} machines[] = {
	{SCMP_ARCH_X86_64, "__x86_64__", "x86-64"},
	{SCMP_ARCH_AARCH64, "__aarch64__", "arm64"},
};
enum { MACHINES = sizeof machines / sizeof *machines };

static _Noreturn void give_up(const char *what, const char *name)
{
	fprintf(stderr, "seccomp_gen: %s: %s\n", what, name);
	exit(1);
}

/* --- filters --- */

static bool is_on(const struct rule *rule, uint32_t machine)
{
	return seccomp_syscall_resolve_name_arch(machine, rule->name) >= 0;
}

static void add_rule(scmp_filter_ctx filter, uint32_t machine, const struct rule *rule)
{
	/* libseccomp takes numbers for those of the machine that it runs on, and translates them.
	 */
	int call = seccomp_syscall_resolve_name(rule->name);

	if (call == __NR_SCMP_ERROR)
		give_up("no such system call", rule->name);
	if (!is_on(rule, machine))
		return;
	if (!rule->words && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) < 0)
		give_up("cannot allow", rule->name);
	for (size_t i = 0; i < rule->count; i++)
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
			    SCMP_CMP(rule->arg, SCMP_CMP_MASKED_EQ, rule->mask, rule->values[i])) <
			0)
			give_up("cannot allow", rule->name);
}

/* The filter of one role as a file with an array of struct sock_filter. */
static FILE *make_filter(uint32_t machine, size_t role)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	FILE *code = tmpfile();

	if (!filter || !code ||
		seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0)
		give_up("cannot begin", roles[role].name);
	if (machine != seccomp_arch_native() &&
		(seccomp_arch_add(filter, machine) < 0 ||
			seccomp_arch_remove(filter, SCMP_ARCH_NATIVE) < 0))
		give_up("libseccomp cannot do", roles[role].name);
	for (size_t i = 0; i < sizeof common / sizeof *common; i++)
		add_rule(filter, machine, &common[i]);
	for (size_t i = 0; i < roles[role].count; i++)
		add_rule(filter, machine, &roles[role].rules[i]);
	if (seccomp_export_bpf(filter, fileno(code)) < 0)
		give_up("cannot export", roles[role].name);
	seccomp_release(filter);
	rewind(code);
	return code;
}

/* All roles in one array: a table of pointers would have to be relocated at start. */
static void print_filters(uint32_t machine)
{
	size_t begin[ROLES + 1] = {0}, count = 0;
	struct sock_filter code;

	printf("static const struct sock_filter seal_code[] = {\n");
	for (size_t role = 0; role < ROLES; role++) {
		FILE *file = make_filter(machine, role);

		printf("\t/* %s */\n", roles[role].name);
		for (; fread(&code, sizeof code, 1, file) == 1; count++)
			printf("\t{0x%02x, %u, %u, 0x%08x},\n", code.code, code.jt, code.jf,
				code.k);
		begin[role + 1] = count;
		fclose(file);
	}
	printf("};\nstatic const unsigned short seal_begin[] = {");
	for (size_t role = 0; role <= ROLES; role++)
		printf("%zu%s", begin[role], role < ROLES ? ", " : "};\n");
}

/* --- names: pairs of letters that are frequent become one code, and again --- */

enum { CODES = 128, CALLS = 1024, TEXT = 16384 };

struct packed {
	uint8_t text[TEXT];
	size_t length;
	uint8_t pairs[CODES][2];
	size_t pair_count;
	int last, gap_begin, gap_end; /* numbers without any call */
};

static char *call_name(uint32_t machine, int number)
{
	return seccomp_syscall_resolve_num_arch(machine, number);
}

/* There is one wide gap on x86-64 (335 to 423), from 245 on some smaller ones on all. */
static void find_gap(struct packed *p, uint32_t machine)
{
	int begin = 0;

	for (int i = 0; i < CALLS; i++) {
		char *name = call_name(machine, i);

		if (!name)
			continue;
		free(name);
		p->last = i;
		if (i - begin > p->gap_end - p->gap_begin) {
			p->gap_begin = begin;
			p->gap_end = i;
		}
		begin = i + 1;
	}
}

static void collect_names(struct packed *p, uint32_t machine)
{
	for (int i = 0; i <= p->last; i++) {
		char *name = call_name(machine, i);
		size_t length = name ? strlen(name) : 0;

		if (i >= p->gap_begin && i < p->gap_end)
			continue;
		if (p->length + length + 1 > TEXT)
			give_up("too many names", "system calls");
		if (name)
			memcpy(p->text + p->length, name, length);
		p->length += length;
		p->text[p->length++] = '\0';
		free(name);
	}
}

static unsigned count_of(const struct packed *p, unsigned count[256][256], uint8_t best[2])
{
	unsigned most = 0;

	memset(count, 0, sizeof(unsigned[256][256]));
	for (size_t i = 0; i + 1 < p->length; i++) {
		uint8_t a = p->text[i], b = p->text[i + 1];

		if (!a || !b || ++count[a][b] <= most)
			continue;
		most = count[a][b];
		best[0] = a;
		best[1] = b;
	}
	return most;
}

static void replace(struct packed *p, const uint8_t pair[2], uint8_t code)
{
	size_t length = 0;

	for (size_t i = 0; i < p->length; i++) {
		bool is_pair =
			i + 1 < p->length && p->text[i] == pair[0] && p->text[i + 1] == pair[1];

		p->text[length++] = is_pair ? code : p->text[i];
		i += is_pair;
	}
	p->length = length;
}

static void pack(struct packed *p)
{
	static unsigned count[256][256];

	while (p->pair_count < CODES) {
		uint8_t *pair = p->pairs[p->pair_count];

		if (count_of(p, count, pair) <= 2) /* a pair costs two bytes itself */
			break;
		replace(p, pair, (uint8_t)(CODES + p->pair_count++));
	}
}

static void print_bytes(const char *declaration, const uint8_t *bytes, size_t length)
{
	printf("static const unsigned char %s = {", declaration);
	for (size_t i = 0; i < length; i++)
		printf("%s%u,", i % 20 ? "" : "\n\t", bytes[i]);
	printf("\n};\n");
}

static void print_names(uint32_t machine)
{
	static struct packed p;

	memset(&p, 0, sizeof p);
	find_gap(&p, machine);
	collect_names(&p, machine);
	pack(&p);
	printf("enum { SEAL_LAST = %d, SEAL_GAP_BEGIN = %d, SEAL_GAP_END = %d };\n", p.last,
		p.gap_begin, p.gap_end);
	print_bytes("seal_pairs[]", p.pairs[0], p.pair_count * 2);
	print_bytes("seal_names[]", p.text, p.length);
}

/* --- what is asked for --- */

static void print_header(void)
{
	printf("/* Made by scripts/seccomp_gen.c, which says what is in it and why. */\n"
	       "#include <linux/filter.h>\n\n");
	for (size_t i = 0; i < MACHINES; i++) {
		printf("%s defined(%s)\n", i ? "#elif" : "#if", machines[i].macro);
		print_filters(machines[i].token);
		print_names(machines[i].token);
	}
	printf("#endif\n");
}

static void print_rules(const struct rule *rules, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		printf("  %s", rules[i].name);
		if (rules[i].words)
			printf(" (%s)", rules[i].words);
		for (size_t m = 0; m < MACHINES; m++)
			if (!is_on(&rules[i], machines[m].token))
				printf(" [not on %s]", machines[m].name);
		printf("\n");
	}
}

static void print_list(void)
{
	printf("all roles:\n");
	print_rules(common, sizeof common / sizeof *common);
	for (size_t role = 0; role < ROLES; role++) {
		printf("%s (%s), besides:\n", roles[role].name, roles[role].who);
		print_rules(roles[role].rules, roles[role].count);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "header") == 0)
		print_header();
	else if (argc == 2 && strcmp(argv[1], "list") == 0)
		print_list();
	else
		give_up("usage", "seccomp_gen header|list");
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
