/*
 * status.c - hands PID 1's state to its children without a lock: two copies and a counter.
 *
 * Owns the layout of the page. status_publish() is for PID 1 alone, the rest for its children. A
 * reader that was overtaken twice while it copied tries again; the writer never waits, not even for
 * one that was stopped or killed.
 */
#include <string.h>
#include <sys/mman.h>

#include "status.h"

enum { TRIES = 1000 }; /* against a page that somebody wrote garbage to */

union image {
	struct status status;
	uint64_t words[STATUS_WORDS];
};

static struct status_page *counted; /* the page there is, or NULL */

struct status_page *status_create(void)
{
	void *page = mmap(NULL, sizeof(struct status_page), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	counted = page == MAP_FAILED ? NULL : page;
	return counted;
}

void status_count(enum status_counter counter)
{
	if (counted && atomic_load_explicit(&counted->counters[counter], memory_order_relaxed) !=
			       STATUS_UNKNOWN)
		atomic_fetch_add_explicit(&counted->counters[counter], 1, memory_order_relaxed);
}

void status_count_no_more(enum status_counter counter)
{
	if (counted)
		atomic_store_explicit(
			&counted->counters[counter], STATUS_UNKNOWN, memory_order_relaxed);
}

void status_publish(struct status_page *page, const struct status *status)
{
	uint32_t turn = atomic_load_explicit(&page->turn, memory_order_relaxed) + 1;
	union image image;

	memset(&image, 0, sizeof(image));
	image.status = *status;
	/* No word of this copy may be seen before the last change of turn, which took it out of
	 * use. */
	atomic_thread_fence(memory_order_release);
	for (size_t i = 0; i < STATUS_WORDS; i++)
		atomic_store_explicit(
			&page->copies[turn % 2][i], image.words[i], memory_order_relaxed);
	atomic_store_explicit(&page->turn, turn, memory_order_release);
}

void status_read(const struct status_page *page, struct status *status)
{
	union image image;

	for (int i = 0; i < TRIES; i++) {
		uint32_t turn = atomic_load_explicit(&page->turn, memory_order_acquire);

		for (size_t w = 0; w < STATUS_WORDS; w++)
			image.words[w] = atomic_load_explicit(
				&page->copies[turn % 2][w], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&page->turn, memory_order_relaxed) == turn)
			break;
	}
	*status = image.status;
	status->phase[STATUS_PHASE_SIZE - 1] = '\0';
	status->reason[STATUS_TEXT_SIZE - 1] = '\0';
	status->hook[STATUS_TEXT_SIZE - 1] = '\0';
}

void status_protect(struct status_page *page)
{
	(void)mprotect(page, sizeof(*page), PROT_READ); /* a safeguard: it works without */
}
