/*
 * execerror.c - spawn_explain(): why a program could not be executed, in words that say what to
 * change.
 *
 * The kernel's ENOENT for a script may mean its interpreter, its ENOEXEC may mean the wrong
 * architecture: this looks. It runs once, on the way out.
 */
#include "spawn.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "format.h"
#include "names.h"

enum { HEAD_MAX = 512, PATH_SIZE = 4096, REASON_MAX = 640 };

/* The start of a file, NUL-terminated. The length, or -1. */
static ssize_t read_head(const char *path, char *head, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	head[0] = '\0';
	if (fd < 0)
		return -1;
	ssize_t length = read(fd, head, size - 1);
	(void)close(fd);
	head[length < 0 ? 0 : length] = '\0';
	return length;
}

static const char *machine_name(unsigned machine)
{
	static const struct {
		unsigned machine;
		char name[8];
	} names[] = {
		{EM_X86_64, "x86-64"},
		{EM_386, "i386"},
		{EM_AARCH64, "arm64"},
		{EM_ARM, "arm"},
		{EM_RISCV, "riscv"},
		{EM_PPC64, "ppc64"},
		{EM_S390, "s390x"},
		{EM_MIPS, "mips"},
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].machine == machine)
			return names[i].name;
	return "another architecture";
}

static unsigned elf_machine(const char *head)
{
	const unsigned char *field = (const unsigned char *)head + offsetof(Elf64_Ehdr, e_machine);

	return head[EI_DATA] == ELFDATA2MSB ? (unsigned)(field[0] << 8 | field[1])
					    : (unsigned)(field[1] << 8 | field[0]);
}

/* The machine shim itself was built for is the machine it runs on. */
static unsigned own_machine(void)
{
	char head[HEAD_MAX];
	ssize_t length = read_head("/proc/self/exe", head, sizeof head);

	return length >= (ssize_t)sizeof(Elf64_Ehdr) ? elf_machine(head) : EM_NONE;
}

/* The path that an ELF program names as its loader, or false. Only a 64-bit one whose program
 * headers and path lie in the head. */
static bool elf_loader(const char *head, size_t length, char *loader, size_t size)
{
	Elf64_Ehdr file;
	Elf64_Phdr program;

	if (length < sizeof file || head[EI_CLASS] != ELFCLASS64)
		return false;
	memcpy(&file, head, sizeof file);
	for (size_t i = 0; i < file.e_phnum; i++) {
		size_t at = (size_t)file.e_phoff + i * sizeof program;
		if (file.e_phoff > length || at + sizeof program > length)
			return false;
		memcpy(&program, head + at, sizeof program);
		if (program.p_type != PT_INTERP)
			continue;
		if (program.p_offset >= length || program.p_filesz >= size ||
			program.p_offset + program.p_filesz > length)
			return false;
		memcpy(loader, head + program.p_offset, program.p_filesz);
		loader[program.p_filesz] = '\0';
		return true;
	}
	return false;
}

/* The interpreter of a "#!" line, with its carriage return if it has one. */
static void script_interpreter(const char *head, char *interpreter, size_t size)
{
	const char *p = head + 2;
	size_t length;

	while (*p == ' ' || *p == '\t')
		p++;
	length = strcspn(p, " \t\n");
	if (length >= size)
		length = size - 1;
	memcpy(interpreter, p, length);
	interpreter[length] = '\0';
}

/* Who is to run a program, by the head of its file: an interpreter, or a loader. Pure. */
enum runner { RUNNER_NONE, RUNNER_SCRIPT, RUNNER_LOADER };

static enum runner find_runner(const char *head, size_t length, char *name, size_t size)
{
	if (length >= 2 && head[0] == '#' && head[1] == '!') {
		script_interpreter(head, name, size);
		return RUNNER_SCRIPT;
	}
	if (length >= 4 && memcmp(head, ELFMAG, SELFMAG) == 0 &&
		elf_loader(head, length, name, size))
		return RUNNER_LOADER;
	return RUNNER_NONE;
}

/* The file is there, and still the kernel said ENOENT or EACCES: something that it names is to
 * blame. */
static bool explain_interpreter(const char *path, char *reason, size_t size)
{
	char head[HEAD_MAX * 2], name[256];
	ssize_t length = read_head(path, head, sizeof head);
	enum runner runner = find_runner(head, length > 0 ? (size_t)length : 0, name, sizeof name);
	size_t end;

	if (runner == RUNNER_NONE)
		return false;
	end = strlen(name);
	if (runner == RUNNER_SCRIPT && end > 0 && name[end - 1] == '\r') {
		name[end - 1] = '\0';
		(void)format_text(reason, size,
			"its #! line names %s and ends in a carriage return (CR): convert the file "
			"to Unix line ends",
			name);
		return true;
	}
	if (access(name, X_OK) == 0)
		return false;
	(void)format_text(reason, size, "its %s %s: %s",
		runner == RUNNER_SCRIPT ? "interpreter" : "dynamic loader", name,
		error_text(errno));
	return true;
}

static const char *mode_text(mode_t mode, char buf[5])
{
	for (int i = 3; i >= 0; i--, mode >>= 3)
		buf[i] = (char)('0' + (mode & 7));
	buf[4] = '\0';
	return buf;
}

static bool is_on_noexec(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOEXEC);
}

static void explain_denied(const char *path, char *reason, size_t size)
{
	struct stat st;
	char mode[5];

	if (stat(path, &st) < 0)
		(void)format_text(reason, size, "%s", error_text(errno));
	else if (S_ISDIR(st.st_mode))
		(void)format_text(reason, size, "it is a directory");
	else if (!S_ISREG(st.st_mode))
		(void)format_text(reason, size, "it is not a regular file");
	else if (!(st.st_mode & 0111))
		(void)format_text(reason, size, "it is not executable (mode %s)",
			mode_text(st.st_mode, mode));
	else if (is_on_noexec(path))
		(void)format_text(reason, size, "the file system it is on is mounted noexec");
	else if (!explain_interpreter(path, reason, size))
		(void)format_text(reason, size, "%s (mode %s, owner %u)", error_text(EACCES),
			mode_text(st.st_mode, mode), (unsigned)st.st_uid);
}

static void explain_format(const char *path, char *reason, size_t size)
{
	char head[HEAD_MAX];
	ssize_t length = read_head(path, head, sizeof head);
	unsigned own = own_machine();

	if (length == 0)
		(void)format_text(reason, size, "the file is empty");
	else if (length >= (ssize_t)sizeof(Elf64_Ehdr) && memcmp(head, ELFMAG, SELFMAG) == 0 &&
		 own != EM_NONE && elf_machine(head) != own)
		(void)format_text(reason, size, "it is built for %s, this machine is %s",
			machine_name(elf_machine(head)), machine_name(own));
	else if (length > 0 && memcmp(head, ELFMAG, SELFMAG) != 0 &&
		 !memchr(head, '\0', (size_t)length))
		(void)format_text(reason, size,
			"not a script or program: it has no #! line, and there is no /bin/sh to "
			"run it");
	else
		(void)format_text(reason, size, "%s", error_text(ENOEXEC));
}

/* execve(2): all strings and pointers together have a quarter of the stack limit (at most 6 MiB),
 * one string 32 pages. */
static void explain_size(char **argv, char *reason, size_t size)
{
	struct rlimit stack = {.rlim_cur = 0};
	unsigned long long total = 0, longest = 0;
	char **lists[] = {argv, environ};

	for (size_t i = 0; i < 2; i++)
		for (char **p = lists[i]; *p; p++) {
			size_t length = strlen(*p) + 1;
			total += length + sizeof *p;
			if (length > longest)
				longest = length;
		}
	(void)getrlimit(RLIMIT_STACK, &stack);
	unsigned long long limit = stack.rlim_cur / 4 < 6291456 ? stack.rlim_cur / 4 : 6291456;
	(void)format_text(reason, size,
		"%s: arguments and environment are %llu bytes (limit %llu), the longest string "
		"%llu "
		"(limit %lu)",
		error_text(E2BIG), total, limit, longest, 32UL * getauxval(AT_PAGESZ));
}

/* Where the program is: its own path, or the first file of that name in $PATH. */
static bool find_program(const char *name, char *path, size_t size)
{
	char dir[PATH_SIZE];

	if (strchr(name, '/')) {
		(void)format_text(path, size, "%s", name);
		return access(path, F_OK) == 0;
	}
	for (const char *next = spawn_search_path(); next;) {
		next = spawn_next_directory(next, dir, sizeof dir);
		(void)format_text(path, size, "%s/%s", dir, name);
		if (*dir && access(path, F_OK) == 0)
			return true;
	}
	return false;
}

static void explain_exec(const struct spawn *s, char *reason, size_t size)
{
	char path[PATH_SIZE];
	const char *name = s->argv[0];
	bool found = *name && find_program(name, path, sizeof path);

	(void)format_text(reason, size, "%s", error_text(s->error));
	if (!*name)
		(void)format_text(reason, size, "the name is empty");
	else if (s->error == E2BIG)
		explain_size(s->argv, reason, size);
	else if (s->error == ENOENT && !found && !strchr(name, '/'))
		(void)format_text(reason, size, "not found in PATH (%s)", spawn_search_path());
	else if (found && s->error == EACCES)
		explain_denied(path, reason, size);
	else if (found && s->error == ENOEXEC)
		explain_format(path, reason, size);
	else if (found)
		(void)explain_interpreter(path, reason, size);
}

/* fork(2) says EAGAIN for the cgroup's pids.max as well as for RLIMIT_NPROC. */
static void explain_fork(int error, char *reason, size_t size)
{
	char limit[32];
	struct rlimit processes;
	ssize_t length = read_head("/sys/fs/cgroup/pids.max", limit, sizeof limit);

	if (length <= 0)
		length = read_head("/sys/fs/cgroup/pids/pids.max", limit, sizeof limit);
	limit[strcspn(limit, "\n")] = '\0';
	if (error == EAGAIN && length > 0 && strcmp(limit, "max") != 0)
		(void)format_text(reason, size, "%s (pids limit of the container: %s)",
			error_text(error), limit);
	else if (error == EAGAIN && getrlimit(RLIMIT_NPROC, &processes) == 0 &&
		 processes.rlim_cur != RLIM_INFINITY)
		(void)format_text(reason, size, "%s (limit of processes, ulimit -u: %llu)",
			error_text(error), (unsigned long long)processes.rlim_cur);
	else
		(void)format_text(reason, size, "%s", error_text(error));
}

size_t spawn_explain(const struct spawn *s, char *buf, size_t size)
{
	char reason[REASON_MAX];

	if (s->stage == SPAWN_EXEC)
		explain_exec(s, reason, sizeof reason);
	else if (s->stage == SPAWN_PRIVS)
		(void)format_text(reason, sizeof reason, "%s: %s", s->call, error_text(s->error));
	else
		explain_fork(s->error, reason, sizeof reason);
	if (s->stage == SPAWN_EXEC)
		return format_text(buf, size, "cannot execute %s: %s",
			*s->argv[0] ? s->argv[0] : "''", reason);
	return format_text(buf, size, "cannot start %s: %s: %s", s->argv[0],
		spawn_stage_name(s->stage), reason);
}
