/*
 * log.h - what shim says, to a person and in the words of the program it stands in for.
 *
 * One line is one write of at most PIPE_BUF bytes: never torn, never blocking. When stderr is full,
 * closed or gone the line is dropped: a message must not stop or kill PID 1. No stdio, no heap;
 * safe after fork and vfork.
 */
#ifndef LOG_H
#define LOG_H

#include <stddef.h>

#include "shim.h"

enum level { LEVEL_FATAL, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG, LEVEL_TRACE, LEVELS };

/*
 * Moments that every personality may have its own words for. The comment names the arguments: a and
 * b are numbers, s is text. A voice without a phrase for a moment says nothing.
 */
enum note {
	NOTE_SPAWNED,          /* a pid, s command */
	NOTE_SIGNAL,           /* a signal that was received, SIGCHLD included */
	NOTE_REAPED_EXITED,    /* a pid, b exit code: any child */
	NOTE_REAPED_KILLED,    /* a pid, b signal: any child */
	NOTE_ORPHAN_REAPED,    /* a pid: not one of shim's own (-w) */
	NOTE_NONE_TO_REAP,     /* children are left, none has ended */
	NOTE_NO_CHILD,         /* no child is left at all */
	NOTE_APP_EXITED,       /* a exit code */
	NOTE_APP_KILLED,       /* a signal, b 1 when a core was dumped */
	NOTE_LEAVING,          /* a the status shim exits with */
	NOTE_FORWARDING,       /* a signal, before it is sent */
	NOTE_FORWARDED,        /* a signal, after it was sent, even when that failed */
	NOTE_FORWARD_GONE,     /* a signal: the app was gone (ESRCH) */
	NOTE_FORWARD_FAILED,   /* a signal, b errno, s more on it */
	NOTE_REWRITTEN,        /* a from, b to */
	NOTE_DROPPED,          /* a signal that is rewritten to nothing */
	NOTE_SWALLOWED,        /* a stop signal of the terminal that is not passed on */
	NOTE_SUBREAPER,        /* registered as one */
	NOTE_SUBREAPER_FAILED, /* a errno */
	NOTE_NOT_INIT,         /* neither PID 1 nor a subreaper */
	NOTE_EXEC_FAILED, /* a errno, s command; said by whoever the peer says it by (a child's own
			     pid) */
	NOTE_FORK_FAILED, /* a errno */
	NOTE_SETSID,      /* by the child */
	NOTE_DETACHED_LEADER,   /* gave up the terminal as session leader: HUP and CONT will come of
				   it */
	NOTE_DETACHED,          /* gave up the terminal, not as leader */
	NOTE_DETACH_FAILED,     /* a errno */
	NOTE_ATTACH_FAILED,     /* a errno, by the child */
	NOTE_FOREGROUND_FAILED, /* a errno: the terminal could not be handed over */
	NOTE_HANDOFF_SIGNAL,    /* a the HUP or CONT of a detached terminal, not forwarded */
	NOTE_SUSPENDING,        /* shim stops itself */
	NOTE_DEBUG_MODE,        /* dumb-init */
	NOTE_SINGLE_CHILD,      /* dumb-init */
	NOTE_LIFECYCLE,         /* s "running + stop signal -> draining" */
	NOTE_LEFT_BEHIND,       /* s the names of those that are killed with the container */
	NOTE_OUT_OF_TIME,   /* s the names of those that are killed, the grace period being over */
	NOTE_CHILD_SIGNAL,  /* SIGCHLD was received; said right after NOTE_SIGNAL */
	NOTE_ORPHAN_EXITED, /* a pid, b exit code: not one of shim's own; as NOTE_REAPED_EXITED,
			       which comes first */
	NOTE_ORPHAN_KILLED, /* a pid, b signal: the same */
	NOTES
};

/* %1 and %2 are a and b, %s is s, %g describes signal a (strsignal), %n names signal a (SIGTERM)
 * and %m signal b, %e is the text of errno a, %f that of errno b, %c is ", core dumped" when b is
 * not 0, %t how long ago log_init() was, %p the writer's own pid, %% a percent sign. */
struct phrase {
	unsigned char level;
	unsigned short at; /* where its words begin; 0: silence. They may hold line breaks */
};

/* How one personality speaks. */
struct voice {
	char prefix[LEVELS][24];      /* %p and %t may be in it */
	enum level stdout_from;       /* levels from this one on go to stdout; LEVELS: none */
	const struct phrase *phrases; /* NOTES of them */
	const char *words;            /* of all of them */
};

/* A voice's phrases are one list of X(of, note, level, words): here are the three X that make
 * struct own_words, its content and own_phrases of it. A pointer to each phrase would have to be
 * relocated at every start, in memory of every container's own. */
#define PHRASE_ROOM(of, note, level, words)  char note##_words[sizeof(words)];
#define PHRASE_WORDS(of, note, level, words) words,
#define PHRASE_AT(of, note, level, words)    [note] = {level, offsetof(struct of, note##_words)},

/* voice NULL: shim's own. level: the last one that is printed. */
void log_init(const struct voice *voice, enum level level);
/* From now on a message is one JSON object on one line: time, level, source, message. Not for the
 * voices of other programs. */
void log_use_json(void);
bool log_prints(enum level level);

/* The process is about to be sealed: what a line on stderr needs is opened now. */
void log_seal(void);

void log_note(enum note note, long a, long b, const char *s);

/* Free text, one line, no line break at its end. */
void log_at(enum level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Raw text to a descriptor (help, version, option errors): every byte or until it fails; may block.
 */
void log_write(int fd, const char *text);

#endif
