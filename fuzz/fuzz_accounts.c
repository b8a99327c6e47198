/*
 * fuzz_accounts.c - --user against any /etc/passwd and /etc/group, and --caps. The input is the
 * option's text, the passwd file and the group file, parted by NULs.
 *
 * A name that is found must be in the file, nothing comes out without a reason, and no number is
 * the one that means "none" to the kernel.
 */
#include "../accounts.h"

#include <stdio.h>

#include "../caps.h"
#include "../shim.h"
#include "fuzz.h"

/* Does a line begin with NAME:? */
static bool has_name(struct span file, const char *name)
{
	size_t length = strlen(name);

	for (size_t at = 0; at < file.length;) {
		const char *line = file.text + at;
		const char *stop = memchr(line, '\n', file.length - at);

		if (file.length - at > length && memcmp(line, name, length) == 0 &&
			line[length] == ':')
			return true;
		if (stop == NULL)
			break;
		at = (size_t)(stop + 1 - file.text);
	}
	return false;
}

static bool is_number(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static void check_user(const char *spec, struct span passwd, struct span group)
{
	struct account account;
	char error[256] = "", user[128];
	const char *colon = strchr(spec, ':');

	if (accounts_find(passwd, group, spec, &account, error, sizeof error) < 0) {
		require(error[0] != '\0');
		return;
	}
	require(error[0] == '\0');
	snprintf(user, sizeof user, "%.*s", (int)strcspn(spec, ":"), spec);
	require(has_name(passwd, user) || is_number(user));
	require(colon == NULL || has_name(group, colon + 1) || is_number(colon + 1));
	require(account.uid != UINT32_MAX && account.gid != UINT32_MAX);
	require(colon == NULL || account.group_count == 0);
	require(account.group_count <= ACCOUNTS_GROUPS);
	for (size_t i = 0; i < account.group_count; i++)
		require(account.groups[i] != UINT32_MAX && account.groups[i] != account.gid);
	require(account.home[0] == '\0' || account.home[0] == '/');
	require(strlen(account.home) < sizeof account.home);
}

static void check_caps(const char *list)
{
	const uint64_t all = (UINT64_C(1) << 41) - 1;
	struct caps caps = {.held = all >> 5, .bounding = all};
	char error[256] = "";
	uint64_t named = 0;

	if (caps_parse(list, all, &caps, &named, error, sizeof error) < 0) {
		require(error[0] != '\0');
		return;
	}
	require(error[0] == '\0');
	require((caps.held & ~caps.bounding) == 0);
	for (uint64_t left = caps.held; left != 0; left &= left - 1)
		require(caps_name(left) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *spec = copy_text(data, size);
	size_t length = strlen(spec);
	size_t first = length < size ? length + 1 : size;
	const uint8_t *cut = memchr(data + first, '\0', size - first);
	size_t second = cut != NULL ? (size_t)(cut - data) : size;
	char *to_free[2];
	struct span passwd = {
		copy_bytes(data + first, second - first, &to_free[0]), second - first};
	size_t rest = cut != NULL ? second + 1 : size;
	struct span group = {copy_bytes(data + rest, size - rest, &to_free[1]), size - rest};

	check_user(spec, passwd, group);
	check_caps(spec);
	free(to_free[0]);
	free(to_free[1]);
	free(spec);
	return 0;
}
