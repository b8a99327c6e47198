/*
 * dialogue.h - does a server owe its client an answer? From what the kernel says about the
 * connection, look by look.
 *
 * Data that came in after the last data that went out is a request that waits for its answer. The
 * kernel's clock for this ticks in milliseconds (1 to 10): a client on the same network sends its
 * next request in the tick of the answer. What was seen of the connection before decides then.
 */
#ifndef DIALOGUE_H
#define DIALOGUE_H

#include "sockets.h"

enum { DIALOGUES = 4096 };

struct dialogue {
	uint64_t cookie; /* 0: free */
	uint32_t segments_in;
	uint32_t segments_out;
	uint16_t looks; /* that found it waiting, with no segment in between */
	bool owes;
};

/* Zero it to begin. Connections that do not fit are judged by the clock alone. */
struct dialogues {
	struct dialogue list[DIALOGUES];
	size_t count;
};

/* To be asked once a look for each connection whose times are known. */
bool dialogue_owes(struct dialogues *d, const struct tcp_socket *socket);

#endif
