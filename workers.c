/*
 * workers.c - children that are forks of shim itself.
 */
#include "workers.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "children.h"
#include "descriptors.h"
#include "log.h"
#include "names.h"
#include "outcome.h"
#include "procs.h"
#include "signals.h"
#include "util.h"

struct slot {
	char reason[WORKERS_REASON];
};

/* Shared with the workers. */
struct page {
	struct slot slots[WORKERS_SLOTS];
	atomic_bool is_refusal_told;
};

static struct page *page;
static struct slot *own_slot; /* in a worker */
static pid_t owners[WORKERS_SLOTS];

int workers_init(void)
{
	void *shared;

	if (page)
		return 0;
	shared =
		mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -1;
	page = shared;
	return 0;
}

static int find_slot(pid_t owner)
{
	for (int i = 0; i < WORKERS_SLOTS; i++)
		if (owners[i] == owner)
			return i;
	return -1;
}

void workers_seal(enum seal_role role)
{
	const char *refused = seal_enter(role, own_slot->reason, sizeof own_slot->reason);

	if (refused && !atomic_exchange(&page->is_refusal_told, true))
		log_at(LEVEL_INFO, "own processes are not fully sealed: %s: %s", refused,
			error_text(errno));
}

/* The signals stay blocked: what shim sends to the whole container is not for its own children, and
 * a broken connection is an error of write(2) then. */
static _Noreturn void work_in_child(const struct work *work, pid_t parent, struct slot *slot)
{
	enum { KEEP_MAX = 8 };
	int keep[KEEP_MAX];
	size_t count = work->keep_count < KEEP_MAX ? work->keep_count : KEEP_MAX;

	(void)setpgid(0, 0); /* a nicety: it is never signalled as a group */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(EXIT_SHIM);
	if (count)
		memcpy(keep, work->keep, count * sizeof *keep);
	descriptors_close(keep, count);
	(void)close(STDIN_FILENO);
	if (work->role != SEAL_LOGS)
		(void)close(STDOUT_FILENO);
	own_slot = slot;
	if (!work->seals_itself)
		workers_seal(work->role);
	_exit(work->run(work->context, slot->reason, sizeof slot->reason));
}

pid_t workers_start(const struct work *work)
{
	pid_t parent = getpid();
	int slot = find_slot(0);

	if (slot < 0) {
		errno = EAGAIN;
		return -1;
	}
	page->slots[slot].reason[0] = '\0';
	pid_t pid = signals_fork();
	if (pid == 0)
		work_in_child(work, parent, &page->slots[slot]);
	if (pid > 0) {
		owners[slot] = pid;
		procs_spare(pid, true);
	}
	return pid;
}

/* The other side of the page may be a process gone wild: no terminator can be relied on, nor that
 * what it wrote may be printed. */
void workers_peek_reason(pid_t pid, char *buf, size_t size)
{
	int slot = find_slot(pid);
	size_t length = 0;

	buf[0] = '\0';
	if (slot < 0)
		return;
	while (length + 1 < size && length < sizeof page->slots[slot].reason) {
		char c = ((volatile struct page *)page)->slots[slot].reason[length];
		if (!c)
			break;
		buf[length++] = (char)(c >= ' ' && c < 0x7f ? c : '?');
	}
	buf[length] = '\0';
}

void workers_take_reason(pid_t pid, char *buf, size_t size)
{
	int slot = find_slot(pid);

	workers_peek_reason(pid, buf, size);
	if (slot >= 0)
		owners[slot] = 0;
	procs_spare(pid, false);
	children_forget(pid);
}

void workers_kill(pid_t pid)
{
	if (find_slot(pid) >= 0 && !children_has_ended(pid))
		(void)kill(pid, SIGKILL);
}

void workers_start_service(struct service *service, const struct work *work)
{
	service->started_ns = clock_now_ns();
	service->again_ns = -1;
	service->pid = workers_start(work);
	if (service->pid > 0)
		return;
	service->pid = 0;
	service->again_ns = service->started_ns + WORKERS_PAUSE_NS;
	log_at(LEVEL_WARN, "%s: %s; trying again", service->name, error_text(errno));
}

bool workers_service_ended(struct service *service, pid_t pid, char reason[WORKERS_REASON])
{
	if (pid != service->pid)
		return false;
	service->pid = 0;
	workers_take_reason(pid, reason, WORKERS_REASON);
	return true;
}

void workers_start_later(struct service *service, int status, const char *reason, int64_t pause_ns)
{
	char ended[OUTCOME_TEXT_SIZE];

	log_at(LEVEL_WARN, "%s ended (%s); starting it again", service->name,
		*reason ? reason : outcome_text(status, ended));
	service->again_ns = service->started_ns + pause_ns;
}

bool workers_is_due(const struct service *service, int64_t now_ns)
{
	return service->again_ns >= 0 && now_ns >= service->again_ns;
}
