/*
 * caps.h - capabilities(7): their names, and the sets of the calling process.
 *
 * No state. In a set, bit n stands for capability n. Called by privs.c.
 */
#ifndef CAPS_H
#define CAPS_H

#include <stddef.h>
#include <stdint.h>

enum { CAPS_MAX = 64 };
#define CAP_BIT(n) (UINT64_C(1) << (n))

/* What an app is to have. */
struct caps {
	uint64_t held; /* permitted, effective, inheritable; ambient for an app that is not root */
	uint64_t bounding; /* the most that it can ever get */
};

/*
 * What a --caps list makes of the capabilities that there would be without it: a list that begins
 * with + or - changes them, any other one begins with none. all: what "all" stands for. Pure. 0, or
 * -1 with one line in error; *named: those that were asked for.
 */
int caps_parse(const char *list, uint64_t all, struct caps *caps, uint64_t *named, char *error,
	size_t size);

/* The name of the lowest one in the set. */
const char *caps_name(uint64_t set);

struct caps_sets {
	uint64_t permitted, effective, inheritable, bounding;
};

/* The rest is async-signal-safe: 0, or -1 and errno. */
int caps_get(struct caps_sets *sets);
int caps_set(uint64_t permitted, uint64_t effective, uint64_t inheritable);
int caps_drop_bounding(uint64_t set);

/* The ambient set; empty where the kernel has none. */
uint64_t caps_ambient(void);

#endif
