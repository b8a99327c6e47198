/*
 * voices.c - what tini 0.19.0, dumb-init 1.2.5 and catatonit 0.2.1 say, moment by moment: the
 * messages that programs and people look for. Called by compat.c.
 */
#include "voices.h"

#include <stddef.h>

#define TINI_PHRASES(X, of)                                                                        \
	X(of, NOTE_SPAWNED, LEVEL_INFO, "Spawned child process '%s' with pid '%1'")                \
	X(of, NOTE_CHILD_SIGNAL, LEVEL_DEBUG, "Received SIGCHLD")                                  \
	X(of, NOTE_REAPED_EXITED, LEVEL_DEBUG, "Reaped child with pid: '%1'")                      \
	X(of, NOTE_REAPED_KILLED, LEVEL_DEBUG, "Reaped child with pid: '%1'")                      \
	X(of, NOTE_ORPHAN_REAPED, LEVEL_WARN, "Reaped zombie process with pid=%1")                 \
	X(of, NOTE_NONE_TO_REAP, LEVEL_TRACE, "No child to reap")                                  \
	X(of, NOTE_NO_CHILD, LEVEL_TRACE, "No child to wait")                                      \
	X(of, NOTE_APP_EXITED, LEVEL_INFO, "Main child exited normally (with status '%1')")        \
	X(of, NOTE_APP_KILLED, LEVEL_INFO, "Main child exited with signal (with signal '%g')")     \
	X(of, NOTE_LEAVING, LEVEL_TRACE, "Exiting: child has exited")                              \
	X(of, NOTE_FORWARDING, LEVEL_DEBUG, "Passing signal: '%g'")                                \
	X(of, NOTE_FORWARD_GONE, LEVEL_WARN, "Child was dead when forwarding signal")              \
	X(of, NOTE_FORWARD_FAILED, LEVEL_WARN, "Unexpected error when forwarding signal: '%f'")    \
	X(of, NOTE_SUBREAPER, LEVEL_TRACE, "Registered as child subreaper")                        \
	X(of, NOTE_SUBREAPER_FAILED, LEVEL_FATAL, "Failed to register as child subreaper: %e")     \
	X(of, NOTE_NOT_INIT, LEVEL_WARN,                                                           \
		"Tini is not running as PID 1 and isn't registered as a child "                    \
		"subreaper.\nZombie processes will not be re-parented to Tini, "                   \
		"so zombie reaping won't work.\nTo fix the problem, use the -s "                   \
		"option or set the environment variable TINI_SUBREAPER to "                        \
		"register Tini as a child subreaper, or run Tini as PID 1.")                       \
	X(of, NOTE_EXEC_FAILED, LEVEL_FATAL, "exec %s failed: %e")                                 \
	X(of, NOTE_FORK_FAILED, LEVEL_FATAL, "fork failed: %e")

static const struct tini_words {
	char silence;
	TINI_PHRASES(PHRASE_ROOM, )
} tini_words = {'\0', TINI_PHRASES(PHRASE_WORDS, )};
static const struct phrase tini_phrases[NOTES] = {TINI_PHRASES(PHRASE_AT, tini_words)};
static const struct voice tini_voice = {
	.prefix =
		{
			[LEVEL_FATAL] = "[FATAL tini (%p)] ",
			[LEVEL_WARN] = "[WARN  tini (%p)] ",
			[LEVEL_INFO] = "[INFO  tini (%p)] ",
			[LEVEL_DEBUG] = "[DEBUG tini (%p)] ",
			[LEVEL_TRACE] = "[TRACE tini (%p)] ",
		},
	.stdout_from = LEVEL_INFO,
	.phrases = tini_phrases,
	.words = (const char *)&tini_words,
};

#define DUMB_INIT_PREFIX "[dumb-init] "

#define DUMB_INIT_PHRASES(X, of)                                                                   \
	X(of, NOTE_DEBUG_MODE, LEVEL_DEBUG, "Running in debug mode.")                              \
	X(of, NOTE_SINGLE_CHILD, LEVEL_DEBUG, "Not running in setsid mode.")                       \
	X(of, NOTE_DETACHED_LEADER, LEVEL_DEBUG,                                                   \
		"Detached from controlling tty, ignoring the first SIGHUP and "                    \
		"SIGCONT we receive.")                                                             \
	X(of, NOTE_DETACHED, LEVEL_DEBUG,                                                          \
		"Detached from controlling tty, but was not session leader.")                      \
	X(of, NOTE_DETACH_FAILED, LEVEL_DEBUG,                                                     \
		"Unable to detach from controlling tty (errno=%1 %e).")                            \
	X(of, NOTE_ATTACH_FAILED, LEVEL_DEBUG,                                                     \
		"Unable to attach to controlling tty (errno=%1 %e).")                              \
	X(of, NOTE_SETSID, LEVEL_DEBUG, "setsid complete.")                                        \
	X(of, NOTE_SPAWNED, LEVEL_DEBUG, "Child spawned with PID %1.")                             \
	X(of, NOTE_SIGNAL, LEVEL_DEBUG, "Received signal %1.")                                     \
	X(of, NOTE_HANDOFF_SIGNAL, LEVEL_DEBUG, "Ignoring tty hand-off signal %1.")                \
	X(of, NOTE_REWRITTEN, LEVEL_DEBUG, "Translating signal %1 to %2.")                         \
	X(of, NOTE_FORWARDED, LEVEL_DEBUG, "Forwarded signal %1 to children.")                     \
	/* It names what the signal was rewritten to. */                                           \
	X(of, NOTE_DROPPED, LEVEL_DEBUG, "Not forwarding signal 0 to children (ignored).")         \
	X(of, NOTE_SUSPENDING, LEVEL_DEBUG, "Suspending self due to TTY signal.")                  \
	X(of, NOTE_REAPED_EXITED, LEVEL_DEBUG, "A child with PID %1 exited with exit status %2.")  \
	X(of, NOTE_REAPED_KILLED, LEVEL_DEBUG, "A child with PID %1 was terminated by signal %2.") \
	X(of, NOTE_LEAVING, LEVEL_DEBUG, "Child exited with status %1. Goodbye.")                  \
	X(of, NOTE_EXEC_FAILED, LEVEL_FATAL, "%s: %e")                                             \
	X(of, NOTE_FORK_FAILED, LEVEL_FATAL, "Unable to fork. Exiting.")

static const struct dumb_init_words {
	char silence;
	DUMB_INIT_PHRASES(PHRASE_ROOM, )
} dumb_init_words = {'\0', DUMB_INIT_PHRASES(PHRASE_WORDS, )};
static const struct phrase dumb_init_phrases[NOTES] = {
	DUMB_INIT_PHRASES(PHRASE_AT, dumb_init_words)};
static const struct voice dumb_init_voice = {
	.prefix =
		{
			[LEVEL_FATAL] = DUMB_INIT_PREFIX,
			[LEVEL_WARN] = DUMB_INIT_PREFIX,
			[LEVEL_INFO] = DUMB_INIT_PREFIX,
			[LEVEL_DEBUG] = DUMB_INIT_PREFIX,
			[LEVEL_TRACE] = DUMB_INIT_PREFIX,
		},
	.stdout_from = LEVELS,
	.phrases = dumb_init_phrases,
	.words = (const char *)&dumb_init_words,
};

/* Its levels are FATAL, ERROR, WARN, INFO and DEBUG, of which the first is never used: ERROR takes
 * its place here. */
#define CATATONIT_PHRASES(X, of)                                                                   \
	X(of, NOTE_SPAWNED, LEVEL_DEBUG, "pid1 (%1) spawned: %s")                                  \
	X(of, NOTE_ORPHAN_EXITED, LEVEL_DEBUG, "child process %1 exited with code %2")             \
	X(of, NOTE_ORPHAN_KILLED, LEVEL_DEBUG, "child process %1 exited due to signal %2")         \
	X(of, NOTE_SWALLOWED, LEVEL_DEBUG,                                                         \
		"ignoring kernel attempting to stop us: tty has TOSTOP set")                       \
	X(of, NOTE_NO_CHILD, LEVEL_DEBUG, "got ECHILD: no children left to monitor")               \
	X(of, NOTE_FORWARD_GONE, LEVEL_WARN,                                                       \
		"forwarding of signal %1 to pid1 failed: No such process")                         \
	X(of, NOTE_FORWARD_FAILED, LEVEL_WARN, "forwarding of signal %1 to pid1 failed: %f")       \
	X(of, NOTE_SUBREAPER_FAILED, LEVEL_FATAL, "failed to set child-reaper as non-pid1: %e")    \
	X(of, NOTE_EXEC_FAILED, LEVEL_FATAL, "failed to exec pid1: %e")                            \
	X(of, NOTE_FORK_FAILED, LEVEL_FATAL, "failed to fork child: %e")

static const struct catatonit_words {
	char silence;
	CATATONIT_PHRASES(PHRASE_ROOM, )
} catatonit_words = {'\0', CATATONIT_PHRASES(PHRASE_WORDS, )};
static const struct phrase catatonit_phrases[NOTES] = {
	CATATONIT_PHRASES(PHRASE_AT, catatonit_words)};
static const struct voice catatonit_voice = {
	.prefix =
		{
			[LEVEL_FATAL] = "ERROR (catatonit:%p): ",
			[LEVEL_WARN] = "WARN (catatonit:%p): ",
			[LEVEL_INFO] = "INFO (catatonit:%p): ",
			[LEVEL_DEBUG] = "DEBUG (catatonit:%p): ",
			[LEVEL_TRACE] = "DEBUG (catatonit:%p): ",
		},
	.stdout_from = LEVELS,
	.phrases = catatonit_phrases,
	.words = (const char *)&catatonit_words,
};

const struct voice *voice_of(enum personality personality)
{
	switch (personality) {
	case AS_TINI:
		return &tini_voice;
	case AS_DUMB_INIT:
		return &dumb_init_voice;
	case AS_CATATONIT:
		return &catatonit_voice;
	case AS_SHIM:
		break;
	}
	return NULL;
}
