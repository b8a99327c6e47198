/*
 * small_musl.c - stand-ins for functions of musl that can do far more than shim asks of them: 19
 * KiB in libc.a, one here. The linker takes ours, and leaves musl's in the archive. They serve one
 * thread, a handful of allocations (PID 1 makes none after the start, the others live for one
 * request or one look around), and musl's resolver. For musl builds only.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <wchar.h>

/* Small blocks come from the arena, of which only touched pages cost anything, and go back to it
 * last in, first out, as what opendir() takes; large ones, and all once it is full, have pages of
 * their own. */
enum { ARENA = 64 << 10, SMALL = 4 << 10 };

struct block {
	_Alignas(16) size_t size; /* with this head; a power of two */
};

static _Alignas(16) unsigned char arena[ARENA];
static size_t arena_used;

static bool is_in_arena(const struct block *block)
{
	return (uintptr_t)block - (uintptr_t)arena < ARENA;
}

/* Apart from malloc(): what calls that and clears it, gcc makes a call of calloc(). */
static struct block *take(size_t wanted)
{
	size_t size = 2 * sizeof(struct block);
	struct block *block;

	if (wanted > PTRDIFF_MAX / 2) {
		errno = ENOMEM;
		return NULL;
	}
	while (size < wanted + sizeof *block)
		size *= 2; /* so a list that grows by one is not moved each time */
	if (size <= SMALL && size <= ARENA - arena_used) {
		block = (void *)(arena + arena_used);
		arena_used += size;
	} else {
		block = mmap(
			NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (block == MAP_FAILED)
			return NULL;
	}
	block->size = size;
	return block + 1;
}

void *malloc(size_t size)
{
	return take(size);
}

void *calloc(size_t count, size_t each)
{
	struct block *block;
	size_t size;

	if (__builtin_mul_overflow(count, each, &size))
		size = SIZE_MAX;
	block = take(size);
	if (block && is_in_arena(block)) /* others are zeroes, and pages that nobody touched */
		memset(block, 0, size);
	return block;
}

static void give_back(struct block *block)
{
	if (!is_in_arena(block))
		(void)munmap(block, block->size); /* whole pages, of ours: cannot fail */
	else if ((unsigned char *)block + block->size == arena + arena_used)
		arena_used -= block->size;
}

void free(void *at)
{
	if (at)
		give_back((struct block *)at - 1);
}

void *realloc(void *at, size_t size)
{
	struct block *block = at;
	void *moved;
	size_t room;

	if (block == NULL)
		return malloc(size);
	room = block[-1].size - sizeof *block;
	if (size <= room)
		return at;
	moved = malloc(size);
	if (moved) {
		memcpy(moved, at, room);
		give_back(block - 1);
	}
	return moved;
}

/* musl's takes the locks that other threads could hold; there are none. */
pid_t fork(void)
{
	return _Fork();
}

/* musl's has all threads do it. */
int setresuid(uid_t real, uid_t effective, uid_t saved)
{
#ifdef SYS_setresuid32 /* where the plain one still takes 16 bits */
	return (int)syscall(SYS_setresuid32, real, effective, saved);
#else
	return (int)syscall(SYS_setresuid, real, effective, saved);
#endif
}

static void swap(unsigned char *a, unsigned char *b, size_t width)
{
	while (width-- > 0) {
		unsigned char byte = a[width];

		a[width] = b[width];
		b[width] = byte;
	}
}

/* For the resolver: a name's addresses, 48 at most. By insertion. */
void qsort(void *base, size_t count, size_t width, int (*compare)(const void *, const void *))
{
	unsigned char *first = base, *end = first + count * width;

	for (unsigned char *next = first; next < end; next += width)
		for (unsigned char *at = next; at > first && compare(at - width, at) > 0;
			at -= width)
			swap(at - width, at, width);
}

static unsigned digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c |= 'a' - 'A';
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : UINT32_MAX;
}

/* The resolver and owners.c call it where a digit is; so no sign and no spaces. */
unsigned long long strtoull(const char *text, char **end, int base)
{
	unsigned long long number = 0;
	bool is_too_much = false;
	unsigned digit;

	if (base == 0) { /* the parts of an IPv4 address */
		base = *text == '0' ? 8 : 10;
		if (*text == '0' && (text[1] | 32) == 'x' && digit_of(text[2]) < 16) {
			base = 16;
			text += 2;
		}
	}
	for (; (digit = digit_of(*text)) < (unsigned)base; text++) {
		if (number > (UINT64_MAX - digit) / (unsigned)base)
			is_too_much = true;
		number = is_too_much ? UINT64_MAX : number * (unsigned)base + digit;
	}
	if (end)
		*end = (char *)(uintptr_t)text; /* as the standard has it */
	return number;
}

unsigned long strtoul(const char *text, char **end, int base)
{
	return (unsigned long)strtoull(text, end, base);
}

char *strstr(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (;; text++) {
		if (strncmp(text, part, length) == 0)
			return (char *)(uintptr_t)text; /* as the standard has it */
		if (*text == '\0')
			return NULL;
	}
}

/* The resolver asks how many characters a name has. shim sets no locale, so each byte is one. */
size_t mbstowcs(wchar_t *to, const char *from, size_t room)
{
	(void)to;
	(void)room;
	return strlen(from);
}
