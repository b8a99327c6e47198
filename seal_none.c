/*
 * seal_none.c - seal_rules.c for builds without filters: another libc, whose system calls are not
 * those of the lists, sanitizers, a machine that they were not written for, or SECCOMP=0.
 */
#include "seal.h"

#include <linux/filter.h>

#include "format.h"

bool seal_filter(enum seal_role role, struct sock_fprog *filter)
{
	(void)role;
	(void)filter;
	return false;
}

const char *seal_call_name(int call, char buf[SEAL_NAME_SIZE])
{
	(void)format_text(buf, SEAL_NAME_SIZE, "%d", call);
	return buf;
}
