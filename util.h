/*
 * util.h - the clocks, and what else is too small for a module of its own. No state.
 */
#ifndef UTIL_H
#define UTIL_H

#include <stddef.h>
#include <stdint.h>

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

/* Writes all of it, however long that takes, also where somebody has set O_NONBLOCK. 0, or -1 and
 * errno. */
int write_all(int fd, const char *data, size_t length);

/* The part after the last slash. */
const char *base_name(const char *path);

/* Length of the longest prefix of text[0..length) that is at most max bytes and does not cut a
 * UTF-8 sequence. */
size_t utf8_cut(const char *text, size_t length, size_t max);

#endif
