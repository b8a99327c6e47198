/*
 * voices.c - what tini 0.19.0, dumb-init 1.2.5 and catatonit 0.2.1 say, moment by moment: the
 * messages that programs and people look for. Called by compat.c.
 */
#include "voices.h"

#include <stddef.h>

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
	.phrases =
		{
			[NOTE_SPAWNED] = {LEVEL_INFO, "Spawned child process '%s' with pid '%1'"},
			[NOTE_CHILD_SIGNAL] = {LEVEL_DEBUG, "Received SIGCHLD"},
			[NOTE_REAPED_EXITED] = {LEVEL_DEBUG, "Reaped child with pid: '%1'"},
			[NOTE_REAPED_KILLED] = {LEVEL_DEBUG, "Reaped child with pid: '%1'"},
			[NOTE_ORPHAN_REAPED] = {LEVEL_WARN, "Reaped zombie process with pid=%1"},
			[NOTE_NONE_TO_REAP] = {LEVEL_TRACE, "No child to reap"},
			[NOTE_NO_CHILD] = {LEVEL_TRACE, "No child to wait"},
			[NOTE_APP_EXITED] = {LEVEL_INFO,
				"Main child exited normally (with status '%1')"},
			[NOTE_APP_KILLED] = {LEVEL_INFO,
				"Main child exited with signal (with signal '%g')"},
			[NOTE_LEAVING] = {LEVEL_TRACE, "Exiting: child has exited"},
			[NOTE_FORWARDING] = {LEVEL_DEBUG, "Passing signal: '%g'"},
			[NOTE_FORWARD_GONE] = {LEVEL_WARN, "Child was dead when forwarding signal"},
			[NOTE_FORWARD_FAILED] = {LEVEL_WARN,
				"Unexpected error when forwarding signal: '%f'"},
			[NOTE_SUBREAPER] = {LEVEL_TRACE, "Registered as child subreaper"},
			[NOTE_SUBREAPER_FAILED] = {LEVEL_FATAL,
				"Failed to register as child subreaper: %e"},
			[NOTE_NOT_INIT] = {LEVEL_WARN,
				"Tini is not running as PID 1 and isn't registered as a child "
				"subreaper.\n"
				"Zombie processes will not be re-parented to Tini, so zombie "
				"reaping won't work.\n"
				"To fix the problem, use the -s option or set the environment "
				"variable TINI_SUBREAPER "
				"to register Tini as a child subreaper, or run Tini as PID 1."},
			[NOTE_EXEC_FAILED] = {LEVEL_FATAL, "exec %s failed: %e"},
			[NOTE_FORK_FAILED] = {LEVEL_FATAL, "fork failed: %e"},
		},
};

#define DUMB_INIT_PREFIX "[dumb-init] "

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
	.phrases =
		{
			[NOTE_DEBUG_MODE] = {LEVEL_DEBUG, "Running in debug mode."},
			[NOTE_SINGLE_CHILD] = {LEVEL_DEBUG, "Not running in setsid mode."},
			[NOTE_DETACHED_LEADER] = {LEVEL_DEBUG,
				"Detached from controlling tty, "
				"ignoring the first SIGHUP and SIGCONT we receive."},
			[NOTE_DETACHED] = {LEVEL_DEBUG,
				"Detached from controlling tty, but was not session leader."},
			[NOTE_DETACH_FAILED] = {LEVEL_DEBUG,
				"Unable to detach from controlling tty (errno=%1 %e)."},
			[NOTE_ATTACH_FAILED] = {LEVEL_DEBUG,
				"Unable to attach to controlling tty (errno=%1 %e)."},
			[NOTE_SETSID] = {LEVEL_DEBUG, "setsid complete."},
			[NOTE_SPAWNED] = {LEVEL_DEBUG, "Child spawned with PID %1."},
			[NOTE_SIGNAL] = {LEVEL_DEBUG, "Received signal %1."},
			[NOTE_HANDOFF_SIGNAL] = {LEVEL_DEBUG, "Ignoring tty hand-off signal %1."},
			[NOTE_REWRITTEN] = {LEVEL_DEBUG, "Translating signal %1 to %2."},
			[NOTE_FORWARDED] = {LEVEL_DEBUG, "Forwarded signal %1 to children."},
			/* It names what the signal was rewritten to. */
			[NOTE_DROPPED] = {LEVEL_DEBUG,
				"Not forwarding signal 0 to children (ignored)."},
			[NOTE_SUSPENDING] = {LEVEL_DEBUG, "Suspending self due to TTY signal."},
			[NOTE_REAPED_EXITED] = {LEVEL_DEBUG,
				"A child with PID %1 exited with exit status %2."},
			[NOTE_REAPED_KILLED] = {LEVEL_DEBUG,
				"A child with PID %1 was terminated by signal %2."},
			[NOTE_LEAVING] = {LEVEL_DEBUG, "Child exited with status %1. Goodbye."},
			[NOTE_EXEC_FAILED] = {LEVEL_FATAL, "%s: %e"},
			[NOTE_FORK_FAILED] = {LEVEL_FATAL, "Unable to fork. Exiting."},
		},
};

/* Its levels are FATAL, ERROR, WARN, INFO and DEBUG, of which the first is never used: ERROR takes
 * its place here. */
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
	.phrases =
		{
			[NOTE_SPAWNED] = {LEVEL_DEBUG, "pid1 (%1) spawned: %s"},
			[NOTE_ORPHAN_EXITED] = {LEVEL_DEBUG,
				"child process %1 exited with code %2"},
			[NOTE_ORPHAN_KILLED] = {LEVEL_DEBUG,
				"child process %1 exited due to signal %2"},
			[NOTE_SWALLOWED] = {LEVEL_DEBUG,
				"ignoring kernel attempting to stop us: tty has TOSTOP set"},
			[NOTE_NO_CHILD] = {LEVEL_DEBUG, "got ECHILD: no children left to monitor"},
			[NOTE_FORWARD_GONE] = {LEVEL_WARN,
				"forwarding of signal %1 to pid1 failed: No such process"},
			[NOTE_FORWARD_FAILED] = {LEVEL_WARN,
				"forwarding of signal %1 to pid1 failed: %f"},
			[NOTE_SUBREAPER_FAILED] = {LEVEL_FATAL,
				"failed to set child-reaper as non-pid1: %e"},
			[NOTE_EXEC_FAILED] = {LEVEL_FATAL, "failed to exec pid1: %e"},
			[NOTE_FORK_FAILED] = {LEVEL_FATAL, "failed to fork child: %e"},
		},
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
