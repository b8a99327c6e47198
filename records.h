/*
 * records.h - the bytes of one stream to records: one JSON object on one line each.
 *
 * Pure but for the memory it is given: bytes and times in, bytes out. Called by logs.c.
 */
#ifndef RECORDS_H
#define RECORDS_H

#include "fold.h"
#include "shim.h"

enum {
	RECORDS_LINE = 16 * 1024,   /* a longer line is cut, as container runtimes do */
	RECORDS_JSON = 64 * 1024,   /* but one that may be JSON is waited for a little longer */
	RECORDS_FOLDED = 64 * 1024, /* a record that has grown beyond takes no more lines */
	RECORDS_IN = 128 * 1024,
	RECORDS_OUT = 288 * 1024, /* FOLDED, and twice the longest that a line can become */
};

/* What has no line break yet is held this long; and what may have more lines to come, since the
 * last byte. */
#define RECORDS_HOLD_NS (200 * NS_PER_MS)

struct records {
	/* The owner's. */
	const char *stream; /* "stdout" */
	const char *source; /* or NULL */
	const char *nest;   /* what is JSON already goes under this key; NULL: it stays as it is */
	bool is_plain;      /* no records: bytes in are bytes out */

	/* To be written by the owner: out[done..ready). Ends with a whole line. */
	size_t done, ready;

	size_t length;   /* of out, with the record that is open */
	bool is_open;    /* the record behind ready may get more lines */
	unsigned lines;  /* in it */
	unsigned blanks; /* empty lines after it, which may be part of it */
	struct fold fold;

	size_t in_at, in_length, scanned;
	bool is_plain_line; /* no byte of it needs an escape */
	bool is_middle;     /* the line's beginning has been written already */
	int64_t read_wall_ns, read_ns;
	int64_t line_wall_ns, line_ns; /* when the line at in_at began */

	int64_t head_wall_ns;
	size_t head_length;
	char head[160];
	char in[RECORDS_IN + 16]; /* both are copied in steps of 16 */
	char out[RECORDS_OUT];
};

/* Where to put what is read, and how much: 0, while there is work left to do. */
size_t records_space(struct records *r, char **at);

/* So many bytes have been put there, at this time (CLOCK_REALTIME and CLOCK_MONOTONIC). */
void records_take(struct records *r, size_t count, int64_t wall_ns, int64_t now_ns);

/* Turns lines into records. False when out is full: there is more to do after it was written. */
bool records_work(struct records *r);

/* So many bytes from out + done on have been written. */
void records_wrote(struct records *r, size_t count);

/* When something has been held long enough; < 0: nothing is held. */
int64_t records_deadline_ns(const struct records *r);
void records_check_time(struct records *r, int64_t now_ns);

/* No more will come: nothing is held any longer. After records_work() was true. */
void records_end(struct records *r);

#endif
