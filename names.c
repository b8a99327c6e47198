/*
 * names.c - the names of signals and errors, in glibc's words.
 *
 * The tables hold their words in place rather than by pointer: a pointer costs a relocation in a
 * static PIE.
 */
#include "names.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "format.h"
#include "parse.h"
#include "shim.h"

/* glibc's. musl says 35, since it keeps 34 for itself, which no application outside musl cares
 * about. */
enum { RTMIN = 34, RTMAX = SIGNAL_LAST };

/* In glibc's words. */
static const struct {
	char name[7];
	char description[25];
} signals[] = {
	[SIGHUP] = {"HUP", "Hangup"},
	[SIGINT] = {"INT", "Interrupt"},
	[SIGQUIT] = {"QUIT", "Quit"},
	[SIGILL] = {"ILL", "Illegal instruction"},
	[SIGTRAP] = {"TRAP", "Trace/breakpoint trap"},
	[SIGABRT] = {"ABRT", "Aborted"},
	[SIGBUS] = {"BUS", "Bus error"},
	[SIGFPE] = {"FPE", "Floating point exception"},
	[SIGKILL] = {"KILL", "Killed"},
	[SIGUSR1] = {"USR1", "User defined signal 1"},
	[SIGSEGV] = {"SEGV", "Segmentation fault"},
	[SIGUSR2] = {"USR2", "User defined signal 2"},
	[SIGPIPE] = {"PIPE", "Broken pipe"},
	[SIGALRM] = {"ALRM", "Alarm clock"},
	[SIGTERM] = {"TERM", "Terminated"},
#ifdef SIGSTKFLT
	[SIGSTKFLT] = {"STKFLT", "Stack fault"},
#endif
	[SIGCHLD] = {"CHLD", "Child exited"},
	[SIGCONT] = {"CONT", "Continued"},
	[SIGSTOP] = {"STOP", "Stopped (signal)"},
	[SIGTSTP] = {"TSTP", "Stopped"},
	[SIGTTIN] = {"TTIN", "Stopped (tty input)"},
	[SIGTTOU] = {"TTOU", "Stopped (tty output)"},
	[SIGURG] = {"URG", "Urgent I/O condition"},
	[SIGXCPU] = {"XCPU", "CPU time limit exceeded"},
	[SIGXFSZ] = {"XFSZ", "File size limit exceeded"},
	[SIGVTALRM] = {"VTALRM", "Virtual timer expired"},
	[SIGPROF] = {"PROF", "Profiling timer expired"},
	[SIGWINCH] = {"WINCH", "Window changed"},
	[SIGPOLL] = {"POLL", "I/O possible"},
	[SIGPWR] = {"PWR", "Power failure"},
	[SIGSYS] = {"SYS", "Bad system call"},
};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

/* Second names that kill -l or the headers know. */
static const struct {
	char name[5];
	uint8_t signo;
} aliases[] = {{"IOT", SIGABRT}, {"IO", SIGPOLL}, {"CLD", SIGCHLD}};

/* In glibc's words, by number from 0, each with its NUL; the numbers are those of every
 * architecture but MIPS, Alpha, SPARC and PA-RISC. "" where there is none. */
static const char errors[] =
	"Success\0Operation not permitted\0No such file or directory\0No such process\0"
	"Interrupted system call\0Input/output error\0No such device or address\0"
	"Argument list too long\0Exec format error\0Bad file descriptor\0No child processes\0"
	"Resource temporarily unavailable\0Cannot allocate memory\0Permission denied\0"
	"Bad address\0Block device required\0Device or resource busy\0File exists\0"
	"Invalid cross-device link\0No such device\0Not a directory\0Is a directory\0"
	"Invalid argument\0Too many open files in system\0Too many open files\0"
	"Inappropriate ioctl for device\0Text file busy\0File too large\0No space left on device\0"
	"Illegal seek\0Read-only file system\0Too many links\0Broken pipe\0"
	"Numerical argument out of domain\0Numerical result out of range\0"
	"Resource deadlock avoided\0File name too long\0No locks available\0"
	"Function not implemented\0Directory not empty\0Too many levels of symbolic links\0\0"
	"No message of desired type\0Identifier removed\0Channel number out of range\0"
	"Level 2 not synchronized\0Level 3 halted\0Level 3 reset\0Link number out of range\0"
	"Protocol driver not attached\0No CSI structure available\0Level 2 halted\0"
	"Invalid exchange\0Invalid request descriptor\0Exchange full\0No anode\0"
	"Invalid request code\0Invalid slot\0\0Bad font file format\0Device not a stream\0"
	"No data available\0Timer expired\0Out of streams resources\0"
	"Machine is not on the network\0Package not installed\0Object is remote\0"
	"Link has been severed\0Advertise error\0Srmount error\0Communication error on send\0"
	"Protocol error\0Multihop attempted\0RFS specific error\0Bad message\0"
	"Value too large for defined data type\0Name not unique on network\0"
	"File descriptor in bad state\0Remote address changed\0"
	"Can not access a needed shared library\0Accessing a corrupted shared library\0"
	".lib section in a.out corrupted\0Attempting to link in too many shared libraries\0"
	"Cannot exec a shared library directly\0"
	"Invalid or incomplete multibyte or wide character\0"
	"Interrupted system call should be restarted\0Streams pipe error\0Too many users\0"
	"Socket operation on non-socket\0Destination address required\0Message too long\0"
	"Protocol wrong type for socket\0Protocol not available\0Protocol not supported\0"
	"Socket type not supported\0Operation not supported\0Protocol family not supported\0"
	"Address family not supported by protocol\0Address already in use\0"
	"Cannot assign requested address\0Network is down\0Network is unreachable\0"
	"Network dropped connection on reset\0Software caused connection abort\0"
	"Connection reset by peer\0No buffer space available\0"
	"Transport endpoint is already connected\0Transport endpoint is not connected\0"
	"Cannot send after transport endpoint shutdown\0Too many references: cannot splice\0"
	"Connection timed out\0Connection refused\0Host is down\0No route to host\0"
	"Operation already in progress\0Operation now in progress\0Stale file handle\0"
	"Structure needs cleaning\0Not a XENIX named type file\0No XENIX semaphores available\0"
	"Is a named type file\0Remote I/O error\0Disk quota exceeded\0No medium found\0"
	"Wrong medium type\0Operation canceled\0Required key not available\0Key has expired\0"
	"Key has been revoked\0Key was rejected by service\0Owner died\0State not recoverable\0"
	"Operation not possible due to RF-kill\0Memory page has hardware error\0";

static char to_upper(char c)
{
	return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

/* Whatever the locale says. Returns what follows the word, or NULL. */
static const char *skip_word(const char *text, const char *word)
{
	for (; *word != '\0'; text++, word++)
		if (to_upper(*text) != *word)
			return NULL;
	return text;
}

static bool is_word(const char *text, const char *word)
{
	const char *rest = skip_word(text, word);

	return rest && *rest == '\0';
}

/* What follows RTMIN or RTMAX: nothing, or an offset that stays in the range. */
static int parse_realtime(const char *offset, int base, char sign)
{
	long distance;

	if (*offset == '\0')
		return base;
	if (*offset != sign || offset[1] == '-' ||
		parse_number(offset + 1, 0, RTMAX - RTMIN, &distance))
		return -1;
	return sign == '+' ? base + (int)distance : base - (int)distance;
}

int parse_signal(const char *text)
{
	const char *name = skip_word(text, "SIG");
	const char *offset;
	long number;

	if (!parse_number(text, 1, SIGNAL_LAST, &number))
		return (int)number;
	if (!name)
		name = text;
	offset = skip_word(name, "RTMIN");
	if (offset)
		return parse_realtime(offset, RTMIN, '+');
	offset = skip_word(name, "RTMAX");
	if (offset)
		return parse_realtime(offset, RTMAX, '-');
	for (int i = 1; i < SIGNALS; i++)
		if (signals[i].name[0] != '\0' && is_word(name, signals[i].name))
			return i;
	for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
		if (is_word(name, aliases[i].name))
			return aliases[i].signo;
	return -1;
}

char *signal_name(int signo, char buf[SIGNAL_NAME_SIZE])
{
	if (signo > 0 && signo < SIGNALS && signals[signo].name[0] != '\0')
		format_text(buf, SIGNAL_NAME_SIZE, "SIG%s", signals[signo].name);
	else if (signo == RTMIN)
		format_text(buf, SIGNAL_NAME_SIZE, "SIGRTMIN");
	else if (signo > RTMIN && signo <= RTMAX)
		format_text(buf, SIGNAL_NAME_SIZE, "SIGRTMIN+%d", signo - RTMIN);
	else
		format_text(buf, SIGNAL_NAME_SIZE, "signal %d", signo);
	return buf;
}

const char *signal_description(int signo, char buf[32])
{
	if (signo > 0 && signo < SIGNALS && signals[signo].description[0] != '\0')
		return signals[signo].description;
	if (signo >= RTMIN && signo <= RTMAX)
		format_text(buf, 32, "Real-time signal %d", signo - RTMIN);
	else
		format_text(buf, 32, "Unknown signal %d", signo);
	return buf;
}

const char *error_text(int error)
{
	const char *words = errors, *end = errors + sizeof errors;

	if (error < 0)
		return "Unknown error";
	for (; error > 0 && words < end; error--)
		words += strlen(words) + 1;
	return words < end && *words ? words : "Unknown error";
}
