/*
 * accounts.c - /etc/passwd and /etc/group, for --user.
 */
#include "accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format.h"
#include "names.h"

enum { FIELDS = 7, NAME_FIELD = 0, ID_FIELD = 2, GID_FIELD = 3, MEMBERS_FIELD = 3, HOME_FIELD = 5 };

struct line {
	struct span fields[FIELDS]; /* empty where the line has fewer */
};

/* Cuts what precedes separator, or all there is, off the front. */
static struct span take_until(struct span *rest, char separator)
{
	const char *end = rest->length ? memchr(rest->text, separator, rest->length) : NULL;
	struct span taken = {rest->text, end ? (size_t)(end - rest->text) : rest->length};

	rest->text += taken.length + (end ? 1 : 0);
	rest->length -= taken.length + (end ? 1 : 0);
	return taken;
}

static bool is_same(struct span span, const char *text)
{
	return span.length == strlen(text) && memcmp(span.text, text, span.length) == 0;
}

/* A user's or group's number. The highest one means "none" to the system calls. */
static bool read_id(struct span span, uint32_t *id)
{
	uint64_t value = 0;

	for (size_t i = 0; i < span.length; i++) {
		if (span.text[i] < '0' || span.text[i] > '9' || value >= UINT32_MAX)
			return false;
		value = value * 10 + (uint64_t)(span.text[i] - '0');
	}
	*id = (uint32_t)value;
	return span.length > 0 && value < UINT32_MAX;
}

static bool next_line(struct span *file, struct line *line)
{
	if (file->length == 0)
		return false;
	struct span rest = take_until(file, '\n');
	for (size_t i = 0; i < FIELDS; i++)
		line->fields[i] = take_until(&rest, ':');
	return true;
}

/* The first line with that name, else the first with that number. */
static bool find_line(struct span file, const char *key, struct line *found)
{
	struct line line;
	uint32_t wanted = 0, id;
	bool is_number = read_id((struct span){key, strlen(key)}, &wanted), is_found = false;

	while (next_line(&file, &line)) {
		if (!read_id(line.fields[ID_FIELD], &id))
			continue;
		if (is_same(line.fields[NAME_FIELD], key)) {
			*found = line;
			return true;
		}
		if (is_number && id == wanted && !is_found) {
			*found = line;
			is_found = true;
		}
	}
	return is_found;
}

static bool has_member(struct span members, struct span name)
{
	while (members.length) {
		struct span member = take_until(&members, ',');
		if (member.length == name.length && name.length &&
			memcmp(member.text, name.text, name.length) == 0)
			return true;
	}
	return false;
}

static int find_groups(struct span file, struct span name, struct account *account)
{
	struct line line;
	uint32_t gid;

	while (next_line(&file, &line)) {
		if (!has_member(line.fields[MEMBERS_FIELD], name) ||
			!read_id(line.fields[ID_FIELD], &gid) || gid == account->gid)
			continue;
		if (account->group_count == ACCOUNTS_GROUPS)
			return -1;
		account->groups[account->group_count++] = gid;
	}
	return 0;
}

static void copy_home(struct span home, struct account *account)
{
	if (home.length >= sizeof account->home || home.length == 0 || *home.text != '/' ||
		memchr(home.text, '\0', home.length))
		return;
	memcpy(account->home, home.text, home.length);
	account->home[home.length] = '\0';
}

static int find_user(struct span passwd, const char *user, struct account *account,
	struct span *name, char *error, size_t size)
{
	struct line line;

	if (find_line(passwd, user, &line)) {
		(void)read_id(line.fields[ID_FIELD], &account->uid); /* it was found by it */
		if (!read_id(line.fields[GID_FIELD], &account->gid)) {
			(void)format_text(error, size,
				"the line of user '%s' in /etc/passwd has no valid group", user);
			return -1;
		}
		*name = line.fields[NAME_FIELD];
		copy_home(line.fields[HOME_FIELD], account);
		return 0;
	}
	if (read_id((struct span){user, strlen(user)}, &account->uid))
		return 0;
	(void)format_text(error, size, "user '%s' is not in /etc/passwd", user);
	return -1;
}

static int find_group(
	struct span file, const char *group, struct account *account, char *error, size_t size)
{
	struct line line;

	if (find_line(file, group, &line))
		return read_id(line.fields[ID_FIELD], &account->gid) ? 0 : -1;
	if (read_id((struct span){group, strlen(group)}, &account->gid))
		return 0;
	(void)format_text(error, size, "group '%s' is not in /etc/group", group);
	return -1;
}

int accounts_find(struct span passwd, struct span group, const char *spec, struct account *account,
	char *error, size_t size)
{
	char user[128];
	const char *colon = strchr(spec, ':');
	size_t length = colon ? (size_t)(colon - spec) : strlen(spec);
	struct span name = {"", 0};

	memset(account, 0, sizeof *account);
	if (length == 0 || length >= sizeof user || (colon && !colon[1])) {
		(void)format_text(error, size, "expected USER or USER:GROUP, names or numbers");
		return -1;
	}
	memcpy(user, spec, length);
	user[length] = '\0';
	if (find_user(passwd, user, account, &name, error, size) < 0)
		return -1;
	if (colon)
		return find_group(group, colon + 1, account, error, size);
	if (find_groups(group, name, account) < 0) {
		(void)format_text(error, size, "user '%s' is in more than %d groups", user,
			(int)ACCOUNTS_GROUPS);
		return -1;
	}
	return 0;
}

/* Maps it, so that no line is too long. length 0: there is none, or nothing in it. */
static int map_file(const char *path, struct span *file, char *error, size_t size)
{
	struct stat st;
	void *map = MAP_FAILED;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*file = (struct span){"", 0};
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd >= 0 && fstat(fd, &st) == 0) {
		errno = EINVAL;
		if (S_ISREG(st.st_mode) && st.st_size == 0) {
			(void)close(fd);
			return 0;
		}
		if (S_ISREG(st.st_mode))
			map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	if (map != MAP_FAILED)
		*file = (struct span){map, (size_t)st.st_size};
	else
		(void)format_text(error, size, "%s: %s", path, error_text(errno));
	if (fd >= 0)
		(void)close(fd);
	return map == MAP_FAILED ? -1 : 0;
}

static void unmap_file(struct span file)
{
	if (file.length)
		(void)munmap((void *)(uintptr_t)file.text, file.length);
}

int accounts_resolve(const char *spec, struct account *account, char *error, size_t size)
{
	struct span passwd, group;
	int result = -1;

	if (map_file("/etc/passwd", &passwd, error, size) < 0)
		return -1;
	if (map_file("/etc/group", &group, error, size) == 0) {
		result = accounts_find(passwd, group, spec, account, error, size);
		unmap_file(group);
	}
	unmap_file(passwd);
	return result;
}
