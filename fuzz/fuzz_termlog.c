/*
 * fuzz_termlog.c - what others write: the kernel's cgroup texts, the strings in the message, and
 * the termination file itself.
 *
 * The first byte picks the target. For the file, the rest is a script of what the app does between
 * our writes, and a model says what must be in the file. clang -g -O1 -std=c11 -D_GNU_SOURCE
 * -fsanitize=fuzzer,address,undefined fuzz/fuzz_termlog.c termtext.c termjson.c out.c oom.c format.c parse.c names.c util.c
 * log.c
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Its state is reset for each input. */
#include "../format.h"
#include "../termlog.c"
#include "fuzz.h"

static void fuzz_cgroup(const char *text, size_t n)
{
	char path[64];
	bool v1;
	(void)termlog_parse_oom(text, n);
	(void)oom_parse_limit(text, n);
	for (size_t room = 1; room <= sizeof(path); room += 21)
		if (oom_find(text, n, &v1, path, room) == 0)
			assert(strlen(path) < room && (path[0] == '/' || path[0] == '\0'));
}

/* Balanced outside of strings, nothing raw inside of them: enough to see a cut in the middle. */
static void check_json(const char *s, size_t n)
{
	int depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		assert(c >= 0x20);
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			depth++;
		else if (!quoted && (c == '}' || c == ']'))
			assert(--depth > 0 || i + 1 == n);
		assert(depth > 0 || i + 1 == n);
	}
	assert(!quoted && depth == 0);
}

static void fuzz_words(const uint8_t *data, size_t size)
{
	static char text[3][600];
	struct termlog_facts f = {.app = text[0], .started_ns = 1, .exit_code = -1};
	if (size < 4)
		return;
	size_t room = 1 + (size_t)data[0] * 17;
	f.status = data[1] | data[2] << 8;
	f.ended = data[3] & 1;
	f.out_of_time = data[3] & 2;
	f.failure = data[3] & 4 ? text[2] : NULL;
	f.stop_signal = data[3] >> 4;
	f.oom_kills = data[3] & 8;
	data += 4, size -= 4;
	for (size_t i = 0; i < 3; i++) {
		size_t n = size / 3 < 599 ? size / 3 : 599;
		memcpy(text[i], data + i * n, n);
		text[i][n] = '\0';
	}
	format_text(f.survivors, sizeof(f.survivors), "%s", text[1]);
	for (f.hook_count = 0; f.hook_count < 5; f.hook_count++) {
		struct termlog_hook *h = &f.hooks[f.hook_count];
		*h = (struct termlog_hook){.kind = "pre-stop", .what = text[1], .failed = true};
		format_text(h->outcome, sizeof(h->outcome), "%s", text[2]);
	}
	char *buf = malloc(room);
	size_t n = termlog_text(&f, 5, true, buf, room);
	assert(n < room && strlen(buf) == n && strpbrk(buf, "\n\r\t\x1b") == NULL);
	n = termlog_json(&f, 5, true, buf, room);
	assert(n < room && strlen(buf) == n);
	if (n > 0)
		check_json(buf, n);
	free(buf);
}

static int app_fd = -1;
static char model[1 << 17]; /* what the app's text is, as long as it behaves */
static size_t model_length;

/* The app appends, truncates, or rewrites from the start. */
static void app_acts(unsigned int how, const uint8_t *data, size_t n)
{
	if (how == 1)
		model_length = 0;
	if (model_length + n > sizeof(model))
		return;
	if (how == 1)
		assert(ftruncate(app_fd, 0) == 0);
	/* Never the letter that our lines are made of: that it writes ours by chance is accepted.
	 */
	char text[64];
	for (size_t i = 0; i < n; i++)
		text[i] = data[i] == 'o' ? 'O' : (char)data[i];
	struct stat st;
	assert(fstat(app_fd, &st) == 0 && pwrite(app_fd, text, n, st.st_size) == (ssize_t)n);
	assert(pread(app_fd, model + model_length, n, st.st_size) == (ssize_t)n);
	model_length += n;
}

static void fuzz_file(const uint8_t *data, size_t size, bool wild)
{
	static char now[sizeof(model) + 2 * TERMLOG_MAX];
	struct termlog_facts f = {.app = "app", .exit_code = 1, .ended = true, .status = 1 << 8};
	off_t wild_at = 0;

	if (app_fd < 0)
		app_fd = memfd_create("termlog", MFD_CLOEXEC);
	assert(ftruncate(app_fd, 0) == 0);
	memset(&file, 0, sizeof(file));
	file.readable = true;
	descriptor = app_fd;
	model_length = 0;

	while (size > 1) {
		size_t n = data[0] % 64;
		unsigned int act = data[1] % 4;
		data += 2, size -= 2;
		n = n < size ? n : size;
		if (act == 3) {
			char line[64];
			n = n % 60;
			memset(line, 'o', n);
			replace(line, n);
			n = 0;
		} else if (wild && act == 2) {
			/* Its own descriptor at its own place. */
			assert(pwrite(app_fd, data, n, wild_at) == (ssize_t)n);
			wild_at += (off_t)n;
		} else {
			app_acts(act, data, n);
			if (act == 1)
				wild_at = 0;
		}
		data += n, size -= n;
	}
	termlog_write(&f, true);
	static const char ours[] = "app exited 1\n";
	ssize_t n = pread(app_fd, now, sizeof(now), 0);
	size_t tail = sizeof(ours) - 1;
	assert(n >= (ssize_t)tail && memcmp(now + (size_t)n - tail, ours, tail) == 0);
	if (wild)
		return;
	bool broken = model_length == 0 || model[model_length - 1] == '\n';
	assert((size_t)n == model_length + !broken + tail && memcmp(now, model, model_length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 4 == 0) {
		char *text = malloc(size); /* exact: the sanitizer watches its end */
		memcpy(text, data + 1, size - 1);
		fuzz_cgroup(text, size - 1);
		free(text);
	} else if (data[0] % 4 == 1) {
		fuzz_words(data + 1, size - 1);
	} else {
		fuzz_file(data + 1, size - 1, data[0] % 4 == 3);
	}
	return 0;
}
