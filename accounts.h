/*
 * accounts.h - who "app", "1000" or "app:www-data" is: /etc/passwd and /etc/group, read without
 * libc's name service, which a static program in somebody else's image could not load.
 *
 * No state. Called by privs.c.
 */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { ACCOUNTS_GROUPS = 128, ACCOUNTS_HOME = 256 };

struct account {
	uid_t uid;
	gid_t gid;
	gid_t groups[ACCOUNTS_GROUPS]; /* supplementary */
	size_t group_count;
	char home[ACCOUNTS_HOME]; /* "": not known */
};

/* A file's contents, or a part of it; not NUL-terminated. */
struct span {
	const char *text;
	size_t length;
};

/*
 * spec is "USER" or "USER:GROUP", names or numbers; a name that is in the file wins over the same
 * text as a number. As `docker run --user` has it: without GROUP the user's own group and those
 * whose member it is (a number that is not in the file gets group 0 and no other); with GROUP that
 * one alone. 0, or -1 with "user 'x' is not in /etc/passwd" in error.
 */
int accounts_find(struct span passwd, struct span group, const char *spec, struct account *account,
	char *error, size_t size);

/* The same with the files of the root directory that shim is in; a missing one counts as empty. */
int accounts_resolve(const char *spec, struct account *account, char *error, size_t size);

#endif
