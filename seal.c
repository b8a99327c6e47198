/*
 * seal.c - what a child of shim's own gives up before it meets the network.
 *
 * Owns the disposition of SIGSYS in those children. A forbidden system call is not made; the kernel
 * sends SIGSYS instead, whose handler names it and ends the process. Neither the mask nor the
 * handler can be a way out of that: see end_of_violation().
 */
#include "seal.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "format.h"
#include "log.h"
#include "privs.h"
#include "shim.h"

static const char names[][20] = {
	[SEAL_CLIENT] = "client",
	[SEAL_SERVER] = "health server",
	[SEAL_DRAIN] = "drain watcher",
	[SEAL_LOGS] = "log writer",
	[SEAL_NOTIFY] = "reader of --notify",
};
_Static_assert(sizeof names / sizeof *names == SEAL_ROLES, "every role has a name");

enum { FROM_SECCOMP = 1 }; /* SYS_SECCOMP, which older glibc does not know */

/* Whose end this is, and where its last words go. */
static struct {
	enum seal_role role;
	char *reason;
	size_t size;
} self;

/*
 * While it runs SIGSYS is blocked, so a second forbidden call is the end: the kernel takes the
 * handler away and lets the signal do what it does by default. An attacker who blocks SIGSYS first
 * gets the same at once. No role may set a handler, nor make memory executable.
 */
static void end_of_violation(int signo, siginfo_t *info, void *context)
{
	char name[SEAL_NAME_SIZE];

	(void)signo;
	(void)context;
	if (info->si_code == FROM_SECCOMP) {
		(void)seal_call_name(info->si_syscall, name);
		if (self.reason)
			(void)format_text(self.reason, self.size,
				"killed: system call %s is not allowed", name);
		log_at(LEVEL_WARN, "%s killed: system call %s is not allowed", names[self.role],
			name);
		(void)syscall(-1);
	}
	_exit(EXIT_SHIM);
}

static void name_violations(enum seal_role role, char *reason, size_t size)
{
	struct sigaction action = {.sa_sigaction = end_of_violation, .sa_flags = SA_SIGINFO};
	uint64_t sigsys = SIGNAL_BIT(SIGSYS);

	self.role = role;
	self.reason = reason;
	self.size = size;
	/* Neither can fail; and if they did, the kernel would still end the process. */
	(void)sigaction(SIGSYS, &action, NULL);
	(void)syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &sigsys, NULL, sizeof sigsys);
}

/* What the linker has put apart because it is only written to while the program is loaded. musl's
 * start-up code leaves it writable, and in PID 1 it stays so (docs/design.md). */
static void protect_constants(void)
{
	const ElfW(Phdr) *header = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	uintptr_t page = getauxval(AT_PAGESZ);
	/* They are on the first page of the file, which in a PIE has the address 0. */
	uintptr_t base = (uintptr_t)header & ~(page - 1);

	for (size_t i = getauxval(AT_PHNUM); header && i > 0; i--, header++) {
		uintptr_t begin = base + header->p_vaddr;
		uintptr_t end = (begin + header->p_memsz) & ~(page - 1);

		begin &= ~(page - 1);
		if (header->p_type == PT_GNU_RELRO && end > begin)
			(void)mprotect((void *)begin, end - begin, PROT_READ); /* a nicety */
	}
}

static int install(enum seal_role role)
{
	struct sock_fprog filter;

	if (!seal_filter(role, &filter))
		return 0;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}

const char *seal_enter(enum seal_role role, char *reason, size_t size)
{
	const char *refused = NULL;
	int error = 0;

	log_seal();
	(void)signal(SIGALRM, SIG_DFL); /* timers end what a client forks; no handler after this */
	name_violations(role, reason, size);
	protect_constants();
	if (privs_renounce() < 0) {
		refused = "capabilities";
		error = errno;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		refused = "no_new_privs";
		error = errno;
	}
	if (install(role) < 0) {
		refused = "seccomp";
		error = errno;
	}
	errno = error;
	return refused;
}
