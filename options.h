/*
 * options.h - shim's own command line and SHIM_OPTS, from one table. Pure: touches no descriptor,
 * prints nothing.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>

#include "shim.h"

enum verdict {
	VERDICT_RUN,     /* start the app */
	VERDICT_HELP,    /* print options_help() to stdout, exit 0 */
	VERDICT_VERSION, /* print options_version(), exit 0 */
	VERDICT_LICENSE, /* print options_license(), exit 0 */
	VERDICT_INSTALL, /* copy shim to install_dir */
	VERDICT_CHECK,   /* probe o->check once, as a client */
	VERDICT_DRAIN,   /* ask PID 1 to drain */
	VERDICT_BAD,     /* error holds one line; exit EXIT_SHIM */
};

/* Every field to what shim does when nobody asks for anything. */
void options_defaults(struct options *o);

/* argv[0] is skipped. shim_opts, the value of SHIM_OPTS or NULL, is read first and split in place.
 * On VERDICT_BAD error (size bytes) holds what was wrong: the option, the value, what was expected.
 */
enum verdict options_parse(
	struct options *o, char **argv, char *shim_opts, char *error, size_t size);

/* The option table as help text, and the rest of what is printed. Static storage. options_help()
 * hands the text out piece by piece: call it with 0, 1, 2 … until it returns NULL. */
const char *options_help(size_t piece);
const char *options_version(void);
const char *options_license(void);

/* What a reserve that was not given is: the smaller of 5 s and half of grace. */
int64_t options_reserve_ns(const struct options *o);

/* The same for linger, but for a wrapper (outcome.h). */
int64_t options_linger_ns(const struct options *o);

#endif
