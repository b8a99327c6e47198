/*
 * dialogue.c - who spoke last on a connection, also when the kernel's clock cannot tell.
 *
 * Owns the table of connections seen. Pure. Called by drain.c in a child of PID 1.
 */
#include <string.h>

#include "dialogue.h"

enum { SLOW_LOOKS = 2 };

/* The place of a connection, new or known; NULL: too many. */
static struct dialogue *find(struct dialogues *d, uint64_t cookie)
{
	size_t at = (size_t)((cookie * UINT64_C(0x9e3779b97f4a7c15)) >> 52) % DIALOGUES;

	if (cookie == 0)
		return NULL;
	/* Those that are gone are not taken out: at some time all is forgotten instead. */
	if (d->count >= (size_t)DIALOGUES / 4 * 3)
		memset(d, 0, sizeof(*d));
	while (d->list[at].cookie != 0 && d->list[at].cookie != cookie)
		at = (at + 1) % DIALOGUES;
	if (d->list[at].cookie == 0) {
		d->list[at].cookie = cookie;
		d->count++;
	}
	return &d->list[at];
}

static bool judge(const struct dialogue *before, const struct tcp_socket *s, bool has_moved)
{
	if (s->silent)
		return false;
	if (s->mute || s->received_ms < s->sent_ms)
		return true;
	if (s->received_ms > s->sent_ms || before == NULL)
		return false;
	/* In the same tick. Where an answer took its time before, this is that answer and then the
	 * next request; where answers are fast, it is a request and its answer. */
	return before->owes && (!has_moved || before->looks >= SLOW_LOOKS);
}

bool dialogue_owes(struct dialogues *d, const struct tcp_socket *s)
{
	struct dialogue *known = find(d, s->cookie);
	bool has_moved, owes;

	if (known == NULL)
		return judge(NULL, s, true);
	has_moved = known->segments_in != s->segments_in || known->segments_out != s->segments_out;
	owes = judge(known, s, has_moved);
	if (!owes)
		known->looks = 0;
	else if (!has_moved && known->looks < SLOW_LOOKS)
		known->looks++;
	else if (has_moved && s->received_ms != s->sent_ms)
		known->looks = 1; /* in the same tick: as slow as the one before */
	known->owes = owes;
	known->segments_in = s->segments_in;
	known->segments_out = s->segments_out;
	return owes;
}
