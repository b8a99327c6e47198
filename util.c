/*
 * util.c - text to numbers, durations, signals and words, and back. Owns nothing, calls nobody;
 * used by all.
 *
 * No stdio and no heap: PID 1 and the child between vfork and exec both come through here. The
 * tables hold their words in place rather than by pointer: a pointer costs a relocation in a static
 * PIE.
 */
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

/* glibc's. musl says 35, since it keeps 34 for itself, which no application outside musl cares
 * about. */
enum { RTMIN = 34, RTMAX = SIGNAL_LAST };

static const int64_t longest_duration_ns = 10LL * 365 * 24 * 3600 * NS_PER_S;

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

/* Digits up to limit; *end is the first byte that is none. -1 without a digit or beyond the limit.
 */
static int read_digits(const char *text, uint64_t limit, uint64_t *value, const char **end)
{
	uint64_t sum = 0;

	if (*text < '0' || *text > '9')
		return -1;
	for (; *text >= '0' && *text <= '9'; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (digit > limit || sum > (limit - digit) / 10)
			return -1;
		sum = sum * 10 + digit;
	}
	*value = sum;
	*end = text;
	return 0;
}

int parse_number(const char *text, long min, long max, long *value)
{
	bool is_negative = *text == '-';
	uint64_t magnitude;
	const char *end;
	long number;

	if (read_digits(text + is_negative, INT64_MAX, &magnitude, &end) || *end != '\0')
		return -1;
	if (magnitude > (uint64_t)INT64_MAX || (int64_t)magnitude > (int64_t)__LONG_MAX__)
		return -1;
	number = is_negative ? -(long)magnitude : (long)magnitude;
	if (number < min || number > max)
		return -1;
	*value = number;
	return 0;
}

int parse_duration(const char *text, int64_t *ns)
{
	static const struct {
		char suffix[3];
		int64_t ns;
	} units[] = {{"", NS_PER_S}, {"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S},
		{"h", 3600 * NS_PER_S}};
	uint64_t count;
	const char *end;

	if (read_digits(text, (uint64_t)INT64_MAX, &count, &end))
		return -1;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (count > (uint64_t)(longest_duration_ns / units[i].ns))
			return -1;
		*ns = (int64_t)count * units[i].ns;
		return 0;
	}
	return -1;
}

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

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* In double quotes a backslash is an ordinary character before most others, as POSIX has it. */
static bool is_escape(const char *in, char quote)
{
	return *in == '\\' && quote != '\'' &&
	       (quote == '\0' || (in[1] != '\0' && strchr("\"\\$`\n", in[1])));
}

/* Reads one word from *in and writes it, ended, to *out, which never overtakes *in. -1: a quote is
 * open. */
static int take_word(char **in, char **out)
{
	char quote = '\0';
	char *from = *in;
	char *to = *out;
	bool is_last;

	for (; *from != '\0' && (quote != '\0' || !is_blank(*from)); from++) {
		if (is_escape(from, quote)) {
			from++;
			if (*from == '\0')
				return -1;
			if (*from != '\n') /* else a line goes on */
				*to++ = *from;
		} else if (quote == '\0' ? *from == '\'' || *from == '"' : *from == quote) {
			quote = (char)(quote == '\0' ? *from : '\0');
		} else {
			*to++ = *from;
		}
	}
	if (quote != '\0')
		return -1;
	is_last = *from == '\0'; /* asked first: the two may be the same byte */
	*to++ = '\0';
	*in = is_last ? from : from + 1;
	*out = to;
	return 0;
}

int split_words(char *text, char **words, size_t max)
{
	char *in = text;
	char *out = text;
	size_t count = 0;

	for (;;) {
		while (is_blank(*in) || (in[0] == '\\' && in[1] == '\n'))
			in += *in == '\\' ? 2 : 1;
		if (*in == '\0')
			return (int)count;
		if (count == max)
			return -1;
		words[count++] = out;
		if (take_word(&in, &out))
			return -1;
	}
}

/* The formatter. */

struct output {
	char *buf;
	size_t size;
	size_t length;
};

/* One conversion: %-08lld. */
struct spec {
	bool is_left;
	char fill;
	size_t width;
	int longs;
};

/* va_list is an array on some machines; inside a struct it can be handed down by pointer on all. */
struct arguments {
	va_list list;
};

static void put(struct output *out, char c)
{
	if (out->length + 1 < out->size)
		out->buf[out->length++] = c;
}

static void put_field(struct output *out, const struct spec *spec, const char *text, size_t length)
{
	size_t padding = spec->width > length ? spec->width - length : 0;

	if (spec->fill == '0' && length > 0 && *text == '-') {
		put(out, *text++);
		length--;
	}
	for (size_t i = 0; !spec->is_left && i < padding; i++)
		put(out, spec->fill);
	for (size_t i = 0; i < length; i++)
		put(out, text[i]);
	for (size_t i = 0; spec->is_left && i < padding; i++)
		put(out, ' ');
}

static void put_number(struct output *out, const struct spec *spec, unsigned long long value,
	bool is_negative, unsigned base)
{
	char digits[21];
	size_t first = sizeof digits;

	do {
		digits[--first] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0);
	if (is_negative)
		digits[--first] = '-';
	put_field(out, spec, digits + first, sizeof digits - first);
}

static void put_signed(struct output *out, const struct spec *spec, struct arguments *args)
{
	long long value = spec->longs == 0   ? va_arg(args->list, int)
			  : spec->longs == 1 ? va_arg(args->list, long)
					     : va_arg(args->list, long long);

	/* Negated as unsigned: the smallest number has no positive twin. */
	put_number(out, spec, value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value,
		value < 0, 10);
}

static void put_unsigned(
	struct output *out, const struct spec *spec, struct arguments *args, unsigned base)
{
	unsigned long long value = spec->longs == 0   ? va_arg(args->list, unsigned)
				   : spec->longs == 1 ? va_arg(args->list, unsigned long)
						      : va_arg(args->list, unsigned long long);

	put_number(out, spec, value, false, base);
}

static const char *read_spec(const char *fmt, struct spec *spec)
{
	*spec = (struct spec){.fill = ' '};
	for (; *fmt == '-' || *fmt == '0'; fmt++) {
		spec->is_left |= *fmt == '-';
		if (*fmt == '0')
			spec->fill = '0';
	}
	if (spec->is_left)
		spec->fill = ' ';
	for (; *fmt >= '0' && *fmt <= '9'; fmt++)
		if (spec->width < 1000)
			spec->width = spec->width * 10 + (size_t)(*fmt - '0');
	for (; *fmt == 'l'; fmt++)
		spec->longs++;
	return fmt;
}

static void put_conversion(
	struct output *out, char conversion, struct spec *spec, struct arguments *args)
{
	const char *text;
	char c;

	switch (conversion) {
	case 's':
		text = va_arg(args->list, const char *);
		if (!text)
			text = "(null)";
		spec->fill = ' ';
		put_field(out, spec, text, strlen(text));
		break;
	case 'c':
		c = (char)va_arg(args->list, int);
		put_field(out, spec, &c, 1);
		break;
	case 'd':
		put_signed(out, spec, args);
		break;
	case 'u':
		put_unsigned(out, spec, args, 10);
		break;
	case 'x':
		put_unsigned(out, spec, args, 16);
		break;
	default: /* "%%", and what is not known stands for itself */
		put(out, conversion);
		break;
	}
}

size_t vformat_text(char *buf, size_t size, const char *fmt, va_list args)
{
	struct output out = {buf, size, 0};
	struct arguments rest;
	struct spec spec;

	va_copy(rest.list, args);
	for (; *fmt != '\0'; fmt++) {
		if (*fmt != '%') {
			put(&out, *fmt);
			continue;
		}
		fmt = read_spec(fmt + 1, &spec);
		if (*fmt == '\0')
			break;
		put_conversion(&out, *fmt, &spec, &rest);
	}
	va_end(rest.list);
	buf[out.length] = '\0';
	return out.length;
}

size_t format_text(char *buf, size_t size, const char *fmt, ...)
{
	size_t length;
	va_list args;

	va_start(args, fmt);
	length = vformat_text(buf, size, fmt, args);
	va_end(args);
	return length;
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

char *format_duration(int64_t ns, char buf[DURATION_SIZE])
{
	long long tenths = (ns < 0 ? 0 : ns / (NS_PER_S / 10)) +
			   (ns > 0 && ns % (NS_PER_S / 10) >= NS_PER_S / 20);
	long long seconds = tenths / 10;
	long long minutes = seconds / 60;
	long long hours = minutes / 60;

	if (minutes == 0)
		format_text(buf, DURATION_SIZE, "%lld.%llds", seconds, tenths % 10);
	else if (hours == 0)
		format_text(buf, DURATION_SIZE, "%lldm%02llds", minutes, seconds % 60);
	else if (hours < 24)
		format_text(buf, DURATION_SIZE, "%lldh%02lldm", hours, minutes % 60);
	else
		format_text(buf, DURATION_SIZE, "%lldd%02lldh", hours / 24, hours % 24);
	return buf;
}

static int64_t read_clock(clockid_t id)
{
	struct timespec now = {0};

	(void)clock_gettime(id, &now); /* these two clocks cannot fail */
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

size_t utf8_cut(const char *text, size_t length, size_t max)
{
	size_t lead = max;

	if (length <= max)
		return length;
	/* A sequence is at most 4 bytes; more continuation bytes than that are no UTF-8 and are cut
	 * anywhere. */
	while (lead > 0 && max - lead < 3 && ((unsigned char)text[lead] & 0xC0) == 0x80)
		lead--;
	return ((unsigned char)text[lead] & 0xC0) == 0xC0 ? lead : max;
}

/* Not gmtime_r: glibc's reads TZ, takes a lock and may allocate. */
char *format_time(int64_t wall_ns, char buf[TIME_SIZE])
{
	int64_t left = wall_ns / 1000000000 % 86400;
	/* Days since 0000-03-01, so that the leap day is a year's last; eras are 400 years. */
	int64_t days = wall_ns / 1000000000 / 86400 + 719468;
	int64_t era = days / 146097, in_era = days % 146097;
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	int64_t from_march = (5 * in_year + 2) / 153;
	int64_t month = from_march < 10 ? from_march + 3 : from_march - 9;
	int64_t day = in_year - (153 * from_march + 2) / 5 + 1;

	format_text(buf, TIME_SIZE, "%04ld-%02d-%02dT%02d:%02d:%02d.%09ldZ",
		(long)(year + era * 400 + (month <= 2)), (int)month, (int)day, (int)(left / 3600),
		(int)(left / 60 % 60), (int)(left % 60), (long)(wall_ns % 1000000000));
	return buf;
}

int64_t earlier_ns(int64_t a_ns, int64_t b_ns)
{
	if (a_ns < 0 || b_ns < 0)
		return a_ns < 0 ? b_ns : a_ns;
	return a_ns < b_ns ? a_ns : b_ns;
}

void take_signal_of(int error)
{
	const int signo = error == EPIPE ? SIGPIPE : error == EFBIG ? SIGXFSZ : 0;
	const uint64_t set = signo ? SIGNAL_BIT(signo) : 0;
	const struct timespec at_once = {0, 0};
	int saved_errno = errno;

	/* The raw call, since libc's sigset functions know fewer signals. */
	if (signo)
		(void)syscall(SYS_rt_sigtimedwait, &set, NULL, &at_once, sizeof set);
	errno = saved_errno;
}
