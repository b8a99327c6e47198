/*
 * event.h - what PID 1 waits for, as plain data: one thing that has happened.
 */
#ifndef EVENT_H
#define EVENT_H

#include <sys/types.h>

enum event_kind {
	EVENT_SIGNAL,  /* signo came from sender (0: the kernel, or another PID namespace) */
	EVENT_MESSAGE, /* that signal is a word of another shim's (messages.h), in status */
	EVENT_EXIT,    /* pid, a child that is watched, ended with this wait status */
	EVENT_STOPPED, /* pid, a child that is watched, was stopped (after signals_watch_stops()) */
	EVENT_EMPTY,   /* no child at all is left (after signals_want_empty()) */
	EVENT_FEWER,   /* orphans ended, and some child is left (after signals_want_empty()) */
	EVENT_DEADLINE, /* the time is over */
	EVENT_LOST,     /* pid, a child that is watched, is gone: its status went to someone else */
};

struct event {
	enum event_kind kind;
	int signo;
	pid_t sender;
	pid_t pid;
	int status; /* as wait4(2) gives it */
};

#endif
