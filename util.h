/*
 * util.h - small pure helpers: text to numbers, durations, signals and words, and back. No state.
 */
#ifndef UTIL_H
#define UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each parse_ function takes the whole text or nothing: trailing junk is an error. 0, or -1. */
int parse_number(const char *text, long min, long max, long *value);
/* "250ms", "5s", "2m", "1h"; a plain number is seconds. No sign, no fraction; up to 10 years. */
int parse_duration(const char *text, int64_t *ns);
/* "TERM", "SIGTERM", "sigterm", "15", "RTMIN+3", "RTMAX-2", "37". RTMIN is 34 whatever the libc
 * says (glibc's view, which is what applications are built with). Returns the number 1..64, or -1.
 */
int parse_signal(const char *text);

/* Splits text in place into words as a shell would: blanks separate, '…' "…" and \ quote, nothing
 * is expanded. At most max words; the array is not NULL-terminated. Returns how many, or -1 when a
 * quote is left open or there are too many. */
int split_words(char *text, char **words, size_t max);

enum { SIGNAL_NAME_SIZE = 16 };
/* "SIGTERM", "SIGRTMIN+3"; "signal 99" for what is no signal. Returns buf. */
char *signal_name(int signo, char buf[SIGNAL_NAME_SIZE]);
/* What glibc's strsignal says ("Terminated", "Real-time signal 3"), whatever libc this is built
 * with. buf is used for the real-time ones only. */
const char *signal_description(int signo, char buf[32]);
/* strerror in glibc's words, since peers' messages are compared ("Too many levels of symbolic
 * links"). */
const char *error_text(int error);

/* A formatter of its own: musl's printf brings 8 KiB of floating point and uses much stack. Knows
 * %s %c %d %u %ld %lu %lld %llu %x %%, and a 0-padded or blank-padded width for numbers and a
 * left-justified one for %s (%-5s). Always ends buf with a NUL (size > 0); returns the length
 * written, cut to size - 1. */
size_t format_text(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
size_t vformat_text(char *buf, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

enum { DURATION_SIZE = 24 };
/* "0.3s", "25.0s", "3m12s", "2h05m", "4d03h": what a person reads. Returns buf. */
char *format_duration(int64_t ns, char buf[DURATION_SIZE]);

enum { TIME_SIZE = 32 };
/* RFC 3339, UTC, nanoseconds: "2026-11-26T17:45:42.000000001Z". Returns buf. */
char *format_time(int64_t wall_ns, char buf[TIME_SIZE]);

/*
 * After a write that failed with this errno: EPIPE came with SIGPIPE, EFBIG with SIGXFSZ, which is
 * blocked and would be taken for one that was sent to be passed on. It is taken away; the kernel
 * queues it for this thread alone, and those are taken first, so one that was really sent is not
 * lost. Keeps errno.
 */
void take_signal_of(int error);

/* CLOCK_MONOTONIC, and CLOCK_REALTIME (for text only, never for a deadline). */
int64_t clock_now_ns(void);
int64_t clock_wall_ns(void);

/* The earlier of two times, of which one below 0 is never. */
int64_t earlier_ns(int64_t a_ns, int64_t b_ns);

/* The part after the last slash. */
const char *base_name(const char *path);

/* Length of the longest prefix of text[0..length) that is at most max bytes and does not cut a
 * UTF-8 sequence. */
size_t utf8_cut(const char *text, size_t length, size_t max);

#endif
