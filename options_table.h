/*
 * options_table.h - the table of options: for options.c, whose it is, and for what is made of it
 * (commandline.c, usage.c, and at build time scripts/completion.c).
 */
#ifndef OPTIONS_TABLE_H
#define OPTIONS_TABLE_H

#include "options.h"

/* The help's and the man page's headings. */
enum section {
	SECTION_SAME, /* as the row before */
	SECTION_SIGNALS,
	SECTION_STOP,
	SECTION_HOOKS,
	SECTION_READINESS,
	SECTION_PRIVILEGES,
	SECTION_PROCESSES,
	SECTION_MESSAGES,
	SECTION_OUTPUT,
	SECTION_INSTEAD,
	SECTIONS
};

/* Without pointers, so that the table needs no relocation and no page of its own. */
struct row {
	char usage[25];   /* its name, and what it takes if it takes anything: "grace D" */
	uint8_t kind;     /* how its value is read: options.c's */
	uint16_t offset;  /* in struct options, of the field that is set */
	char shorts[3];   /* the first one is shown in the help */
	uint8_t verdict;  /* enum verdict; not VERDICT_RUN: the command line only */
	uint8_t first_of; /* enum section that begins here */
	char help[53];
};

const struct row *options_rows(size_t *count);

/* Puts value ("" where none is taken) where it belongs; false: it is not what was expected. */
bool options_read(struct options *o, const struct row *row, const char *value);

/* Ends "'x' is not …"; "" when nothing can be wrong. Words alone ("text or json") are completed. */
const char *options_expected(const struct row *row);

/* How long the name is at the beginning of usage; and what is taken: "" for nothing. */
size_t options_name_length(const struct row *row);
const char *options_argument(const struct row *row);

#endif
