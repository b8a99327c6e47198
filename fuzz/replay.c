/*
 * replay.c - a main for the fuzzers without libFuzzer: runs what was found before once more, with
 * any compiler, and packs many small inputs into one file.
 *
 *     replay_NAME PACK|FILE...    runs them; a name that ends in .pack holds many
 *     replay_NAME -x PACK DIR     unpacks into DIR
 *     replay_NAME -p FILE...      packs onto standard output, in the order given
 *
 * A pack is a row of inputs, each behind its length in two bytes, the low one first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

enum { INPUT_MAX = 65535, SECONDS = 20 };

static uint8_t input[INPUT_MAX];

static FILE *open_file(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (file == NULL) {
		perror(path);
		exit(1);
	}
	return file;
}

static _Noreturn void fail(const char *path, const char *words)
{
	fprintf(stderr, "%s: %s\n", path, words);
	exit(1);
}

/* The next input of a pack; false at its end. */
static bool next_input(FILE *pack, const char *path, size_t *length)
{
	int low = getc(pack), high = getc(pack);

	if (low == EOF)
		return false;
	*length = (size_t)low | (size_t)high << 8;
	if (high == EOF || fread(input, 1, *length, pack) != *length)
		fail(path, "cut off");
	return true;
}

static size_t read_input(const char *path)
{
	FILE *file = open_file(path, "rb");
	size_t length = fread(input, 1, sizeof(input), file);

	if (getc(file) != EOF)
		fail(path, "longer than 65535 bytes");
	fclose(file);
	return length;
}

/* In a buffer of its own, as libFuzzer does: reads behind its end are seen. */
static void run(size_t length)
{
	uint8_t *copy = malloc(length);

	if (length > 0)
		memcpy(copy, input, length);
	alarm(SECONDS);
	(void)LLVMFuzzerTestOneInput(copy, length);
	alarm(0);
	free(copy);
}

static bool is_pack(const char *path)
{
	size_t length = strlen(path);

	return length > 5 && strcmp(path + length - 5, ".pack") == 0;
}

static unsigned run_pack(const char *path)
{
	FILE *pack = open_file(path, "rb");
	unsigned count = 0;
	size_t length;

	while (next_input(pack, path, &length)) {
		run(length);
		count++;
	}
	fclose(pack);
	return count;
}

static void unpack(const char *path, const char *directory)
{
	FILE *pack = open_file(path, "rb");
	char name[4096];
	size_t length;

	for (unsigned i = 0; next_input(pack, path, &length); i++) {
		FILE *file;

		snprintf(name, sizeof(name), "%s/%04u", directory, i);
		file = open_file(name, "wb");
		fwrite(input, 1, length, file);
		if (fclose(file) != 0)
			fail(name, "cannot write");
	}
	fclose(pack);
}

static void pack(int count, char **paths)
{
	for (int i = 0; i < count; i++) {
		size_t length = read_input(paths[i]);

		putchar((int)(length & 0xff));
		putchar((int)(length >> 8));
		fwrite(input, 1, length, stdout);
	}
}

int main(int argc, char **argv)
{
	unsigned count = 0;

	if (argc == 4 && strcmp(argv[1], "-x") == 0) {
		unpack(argv[2], argv[3]);
	} else if (argc > 1 && strcmp(argv[1], "-p") == 0) {
		pack(argc - 2, argv + 2);
	} else {
		for (int i = 1; i < argc; i++) {
			if (is_pack(argv[i])) {
				count += run_pack(argv[i]);
			} else {
				run(read_input(argv[i]));
				count++;
			}
		}
		printf("%u inputs\n", count);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
