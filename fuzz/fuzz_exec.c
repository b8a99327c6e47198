/*
 * fuzz_exec.c - what shim reads of files and processes that are not its own: #! lines and ELF heads
 * of a program that could not be executed, and /proc/PID/stat.
 */
#include "fuzz.h"

#include "../execerror.c"

#include "../procs.c"

static void fuzz_head(const uint8_t *data, size_t size)
{
	size_t length = size < 2 * HEAD_MAX - 1 ? size : 2 * HEAD_MAX - 1;
	char *head = copy_text(data, length);
	char name[256];

	switch (find_runner(head, length, name, sizeof name)) {
	case RUNNER_SCRIPT:
		require(strlen(name) < sizeof name && strpbrk(name, " \t\n") == NULL);
		require(name[0] == '\0' || strstr(head, name) != NULL);
		break;
	case RUNNER_LOADER:
		require(strlen(name) < sizeof name);
		break;
	case RUNNER_NONE:
	default:
		break;
	}
	if (length >= sizeof(Elf64_Ehdr))
		require(machine_name(elf_machine(head)) != NULL);
	free(head);
}

static void fuzz_stat(const uint8_t *data, size_t size)
{
	char *text = copy_text(data, size);
	struct proc p = {.pid = 1};

	if (parse_stat(text, &p)) {
		require(strlen(p.name) < sizeof p.name);
		require(p.state != '\0');
		require(p.name[0] == '\0' || strstr(text, p.name) != NULL);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		fuzz_head(data + 1, size - 1);
	else
		fuzz_stat(data + 1, size - 1);
	return 0;
}
