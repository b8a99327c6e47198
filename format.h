/*
 * format.h - numbers, durations and times as text. Pure.
 */
#ifndef FORMAT_H
#define FORMAT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
