/*
 * privs.c - --user, --caps, --no-new-privs; what PID 1 keeps; giving up everything.
 *
 * The system calls are made directly: after vfork(2) libc's setuid(), which would speak to all
 * threads of the process that it thinks it is in, must not be used.
 */
#include "privs.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accounts.h"
#include "caps.h"
#include "format.h"
#include "log.h"
#include "names.h"

#ifdef SYS_setresuid32 /* where the plain ones still take 16 bits */
#define CALL_SETRESUID SYS_setresuid32
#define CALL_SETRESGID SYS_setresgid32
#define CALL_SETGROUPS SYS_setgroups32
#else
#define CALL_SETRESUID SYS_setresuid
#define CALL_SETRESGID SYS_setresgid
#define CALL_SETGROUPS SYS_setgroups
#endif

static struct {
	bool changes_user; /* ids and groups are to be set */
	bool sets_caps;    /* the capability sets are */
	bool no_new_privs;
	bool is_root; /* the app will be */
	struct account account;
	struct caps caps;
	uint64_t drop;      /* from the bounding set */
	uint64_t permitted; /* shim's own */
} privs;

/* Apart: they are looked at in every container. */
static bool is_asked; /* any of the options */
static char **environment;

/* A change of user makes the memory undumpable, and it is PID 1's own until the child has executed:
 * then nobody could open /proc/1/fd/1 any more. */
static void make_dumpable(void)
{
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* --- before the start --- */

static bool has_ids(const struct account *account, bool with_group)
{
	uid_t real, effective, saved;
	gid_t real_group, effective_group, saved_group;

	if (getresuid(&real, &effective, &saved) < 0 ||
		getresgid(&real_group, &effective_group, &saved_group) < 0)
		return false;
	if (real != account->uid || effective != account->uid || saved != account->uid)
		return false;
	return !with_group || (real_group == account->gid && effective_group == account->gid &&
				      saved_group == account->gid);
}

/* Whoever is that user already and may not set groups keeps those that the platform has set. */
static int resolve_user(const struct options *o, char *error, size_t size)
{
	char problem[200];

	if (!o->user)
		return 0;
	if (accounts_resolve(o->user, &privs.account, problem, sizeof problem) < 0) {
		(void)format_text(error, size, "--user: %s", problem);
		return -1;
	}
	bool may_change =
		(privs.permitted & CAP_BIT(CAP_SETUID)) && (privs.permitted & CAP_BIT(CAP_SETGID));
	privs.is_root = privs.account.uid == 0;
	if (!may_change && has_ids(&privs.account, strchr(o->user, ':')))
		return 0;
	if (!may_change) {
		(void)format_text(error, size,
			"--user: cannot become '%s': shim runs as user %u without the capabilities "
			"setuid and setgid",
			o->user, (unsigned)geteuid());
		return -1;
	}
	privs.changes_user = true;
	return 0;
}

static int resolve_caps(
	const struct options *o, const struct caps_sets *own, char *error, size_t size)
{
	char problem[200];
	uint64_t named;

	/* What the app would have: root gets all of the bounding set by execve(2), another user
	 * what is ambient, which a change from root clears. */
	privs.caps.bounding = own->bounding;
	if (privs.is_root)
		privs.caps.held = own->bounding & own->permitted;
	else if (geteuid() != 0)
		privs.caps.held = caps_ambient();
	if (!o->caps) { /* inheritable ones would let files with capabilities give them back */
		privs.sets_caps = privs.changes_user && !privs.is_root && geteuid() == 0;
		return 0;
	}
	privs.sets_caps = true;
	if (caps_parse(o->caps, own->permitted, &privs.caps, &named, problem, sizeof problem) < 0) {
		(void)format_text(error, size, "--caps: %s", problem);
		return -1;
	}
	if (named & ~own->permitted) {
		(void)format_text(error, size, "--caps: shim itself does not have %s",
			caps_name(named & ~own->permitted));
		return -1;
	}
	privs.caps.held &= own->permitted;
	privs.drop = own->bounding & ~privs.caps.bounding;
	if (privs.drop && !(own->permitted & CAP_BIT(CAP_SETPCAP))) {
		/* Then a program with setuid or file capabilities could still get them. */
		log_at(LEVEL_INFO, "--caps: the bounding set cannot be changed without setpcap; "
				   "--no-new-privs stands in for that");
		privs.drop = 0;
		privs.no_new_privs = true;
	}
	return 0;
}

/* HOME follows the user, unless somebody has set it to something else. */
static int copy_environment(void)
{
	static char home[sizeof "HOME=" + ACCOUNTS_HOME];
	const char *value = getenv("HOME");
	size_t count = 0, used = 0;

	if (!privs.changes_user || !*privs.account.home ||
		(value && *value && strcmp(value, "/") != 0 && strcmp(value, "/root") != 0))
		return 0;
	while (environ[count])
		count++;
	environment = calloc(count + 2, sizeof *environment);
	if (!environment)
		return -1;
	(void)format_text(home, sizeof home, "HOME=%s", privs.account.home);
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], home, strlen("HOME=")) != 0)
			environment[used++] = environ[i];
	environment[used] = home;
	return 0;
}

/* What the kernel has against it (a user namespace without that number, a security module) shows
 * only when it is done. */
static int try_in_child(char *error, size_t size)
{
	static struct {
		const char *call;
		int error;
	} failed; /* the child's memory is ours (vfork(2)) */

	pid_t pid = vfork();
	if (pid == 0) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): it makes system calls and no more */
		failed.error = privs_become(&failed.call) < 0 ? errno : 0;
		_exit(0);
	}
	if (pid < 0)
		return 0; /* the app's start will tell */
	while (wait4(pid, NULL, 0, NULL) < 0 && errno == EINTR)
		continue;
	if (privs.changes_user)
		make_dumpable();
	if (!failed.error)
		return 0;
	(void)format_text(error, size, "%s: %s", failed.call, error_text(failed.error));
	return -1;
}

/* Pipes and terminals that somebody else owns could be written to, but not be opened again through
 * /dev/stdout, which is how many servers log. Container engines do the same for a user of theirs.
 */
static void hand_over_output(void)
{
	struct stat st;

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fstat(fd, &st) == 0 && st.st_uid != privs.account.uid &&
			(S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd))))
			(void)!fchown(fd, privs.account.uid, (gid_t)-1);
}

int privs_init(const struct options *o, char *error, size_t size)
{
	struct caps_sets own;
	char problem[200];

	if (!o->user && !o->caps && !o->no_new_privs)
		return 0;
	is_asked = true;
	privs.no_new_privs = o->no_new_privs;
	privs.is_root = geteuid() == 0;
	if (caps_get(&own) < 0) /* a sandbox that knows no capabilities: nothing to lose */
		own = (struct caps_sets){0, 0, 0, 0};
	privs.permitted = own.permitted;
	if (resolve_user(o, error, size) < 0 || resolve_caps(o, &own, error, size) < 0)
		return -1;
	if (copy_environment() < 0) {
		(void)format_text(error, size, "%s", error_text(ENOMEM));
		return -1;
	}
	if (try_in_child(problem, sizeof problem) == 0) {
		if (privs.changes_user && !o->explain)
			hand_over_output();
		return 0;
	}
	(void)format_text(error, size, "%s: %s",
		o->user && o->caps ? "--user, --caps"
		: o->user          ? "--user"
		: o->caps          ? "--caps"
				   : "--no-new-privs",
		problem);
	return -1;
}

char **privs_environment(void)
{
	return environment;
}

/* --- in the child --- */

/* libc's would have every thread do it, and there are none: 1.6 KiB. */
int privs_set_user(uid_t uid)
{
	return (int)syscall(CALL_SETRESUID, uid, uid, uid);
}

static int change_user(const char **call)
{
	const struct account *account = &privs.account;

	*call = "prctl";
	if (privs.caps.held && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -1;
	*call = "setgroups";
	if (syscall(CALL_SETGROUPS, account->group_count, account->groups) < 0)
		return -1;
	*call = "setresgid";
	if (syscall(CALL_SETRESGID, account->gid, account->gid, account->gid) < 0)
		return -1;
	*call = "setresuid";
	return privs_set_user(account->uid);
}

static int change_caps(const char **call)
{
	*call = "capset";
	if (caps_set(privs.caps.held, privs.caps.held, privs.caps.held) < 0)
		return -1;
	*call = "ambient capabilities";
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 &&
		(errno != EINVAL || privs.caps.held)) /* EINVAL: before Linux 4.3 */
		return -1;
	for (int n = 0; n < CAPS_MAX && !privs.is_root; n++)
		if ((privs.caps.held & CAP_BIT(n)) &&
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, n, 0, 0) < 0)
			return -1;
	return 0;
}

int privs_become(const char **call)
{
	*call = "capset";
	if ((privs.changes_user || privs.drop) && caps_set(privs.permitted, privs.permitted, 0) < 0)
		return -1;
	*call = "bounding set";
	if (caps_drop_bounding(privs.drop) < 0)
		return -1;
	if (privs.changes_user && change_user(call) < 0)
		return -1;
	if (privs.sets_caps && change_caps(call) < 0)
		return -1;
	*call = "no_new_privs";
	return privs.no_new_privs ? prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) : 0;
}

/* --- PID 1, and its own children --- */

void privs_settle(const struct options *o, bool all)
{
	uint64_t needed = CAP_BIT(CAP_KILL); /* the app may be another user's */

	if (!is_asked)
		return;
	if (privs.changes_user)
		make_dumpable();
	if (all)
		return;
	if (o->ready_file)
		needed |= CAP_BIT(CAP_DAC_OVERRIDE); /* its directory may be the app's */
	needed &= privs.permitted;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (caps_set(needed, needed, 0) < 0)
		log_at(LEVEL_INFO, "cannot give up capabilities: %s", error_text(errno));
}

int privs_renounce(void)
{
	/* From the bounding set while that is allowed; without it nothing gives them back either,
	 * for nothing is executed. */
	for (int n = 0; n < CAPS_MAX; n++)
		if (prctl(PR_CAPBSET_DROP, n, 0, 0, 0) < 0)
			break;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return caps_set(0, 0, 0);
}

static size_t describe_caps(char *buf, size_t size)
{
	size_t length = format_text(buf, size, ", capabilities:");

	if (!privs.caps.held)
		return length + format_text(buf + length, size - length, " none");
	for (int n = 0; n < CAPS_MAX; n++)
		if (privs.caps.held & CAP_BIT(n))
			length += format_text(
				buf + length, size - length, " %s", caps_name(CAP_BIT(n)));
	return length;
}

const char *privs_describe(const struct options *o, char *buf, size_t size)
{
	size_t length = 0;

	buf[0] = '\0';
	if (!is_asked)
		return buf;
	length = format_text(buf, size, "as user %u, group %u",
		(unsigned)(privs.changes_user ? privs.account.uid : geteuid()),
		(unsigned)(privs.changes_user ? privs.account.gid : getegid()));
	if (o->caps)
		length += describe_caps(buf + length, size - length);
	if (privs.no_new_privs)
		(void)format_text(buf + length, size - length, ", no new privileges");
	return buf;
}
