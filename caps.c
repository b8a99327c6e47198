/*
 * caps.c - capabilities by name, and the process's own sets, with the system calls alone.
 *
 * Not with libcap, which unit tests compare the names with: it would be 11 KiB, and its constructor
 * makes system calls at every start.
 */
#include "caps.h"

#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "format.h"
#include "parse.h"

enum { NAME_SIZE = 40 };

/* By number, each with its NUL. */
static const char cap_names[] =
	"chown\0dac_override\0dac_read_search\0fowner\0fsetid\0kill\0setgid\0setuid\0setpcap\0"
	"linux_immutable\0net_bind_service\0net_broadcast\0net_admin\0net_raw\0ipc_lock\0ipc_"
	"owner\0"
	"sys_module\0sys_rawio\0sys_chroot\0sys_ptrace\0sys_pacct\0sys_admin\0sys_boot\0sys_nice\0"
	"sys_resource\0sys_time\0sys_tty_config\0mknod\0lease\0audit_write\0audit_"
	"control\0setfcap\0"
	"mac_override\0mac_admin\0syslog\0wake_alarm\0block_suspend\0audit_read\0perfmon\0bpf\0"
	"checkpoint_restore\0";

static int cap_number(const char *name)
{
	long number;
	int n = 0;

	if (parse_number(name, 0, CAPS_MAX - 1, &number) == 0)
		return (int)number;
	if (strncasecmp(name, "cap_", 4) == 0)
		name += 4;
	for (const char *p = cap_names; *p; p += strlen(p) + 1, n++)
		if (strcasecmp(name, p) == 0)
			return n;
	return -1;
}

const char *caps_name(uint64_t set)
{
	const char *name = cap_names;

	for (; !(set & 1) && *name; set >>= 1)
		name += strlen(name) + 1;
	return *name ? name : "one that has no name yet";
}

/* One word of the list. */
static int parse_word(const char *word, uint64_t all, struct caps *caps, uint64_t *named)
{
	char sign = '\0';
	uint64_t bits = all;

	if (*word == '-' || *word == '+')
		sign = *word++;
	if (!sign && strcasecmp(word, "none") == 0) {
		*caps = (struct caps){0, 0};
		*named = 0;
		return 0;
	}
	if (strcasecmp(word, "all") != 0) {
		int number = cap_number(word);
		if (number < 0)
			return -1;
		bits = CAP_BIT(number);
	}
	if (sign == '-') {
		caps->held &= ~bits;
		caps->bounding &= ~bits;
		*named &= ~bits;
		return 0;
	}
	caps->held |= bits;
	caps->bounding |= bits;
	*named |= bits;
	return 0;
}

int caps_parse(const char *list, uint64_t all, struct caps *caps, uint64_t *named, char *error,
	size_t size)
{
	char word[NAME_SIZE];

	*named = 0;
	if (*list != '+' && *list != '-')
		*caps = (struct caps){0, 0};
	for (const char *end = list; end; list = end ? end + 1 : list) {
		end = strchr(list, ',');
		size_t length = end ? (size_t)(end - list) : strlen(list);
		(void)format_text(word, sizeof word, "%s", list);
		if (length < sizeof word)
			word[length] = '\0';
		if (length < sizeof word && parse_word(word, all, caps, named) == 0)
			continue;
		(void)format_text(error, size,
			"'%s' is not a capability (such as net_bind_service; none, all)", word);
		return -1;
	}
	return 0;
}

int caps_set(uint64_t permitted, uint64_t effective, uint64_t inheritable)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {
		{(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
		{(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32),
			(uint32_t)(inheritable >> 32)},
	};

	return (int)syscall(SYS_capset, &header, data);
}

int caps_get(struct caps_sets *sets)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return -1;
	sets->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	sets->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	sets->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	sets->bounding = 0;
	for (int n = 0; n < CAPS_MAX; n++) {
		int is_in = prctl(PR_CAPBSET_READ, n, 0, 0, 0);
		if (is_in < 0) /* the kernel knows no more */
			break;
		if (is_in)
			sets->bounding |= CAP_BIT(n);
	}
	return 0;
}

uint64_t caps_ambient(void)
{
	uint64_t ambient = 0;

	for (int n = 0; n < CAPS_MAX; n++) {
		int is_in = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, n, 0, 0);
		if (is_in < 0)
			break;
		if (is_in)
			ambient |= CAP_BIT(n);
	}
	return ambient;
}

int caps_drop_bounding(uint64_t set)
{
	for (int n = 0; n < CAPS_MAX; n++)
		if ((set & CAP_BIT(n)) && prctl(PR_CAPBSET_DROP, n, 0, 0, 0) < 0)
			return -1;
	return 0;
}
