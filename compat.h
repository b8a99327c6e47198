/*
 * compat.h - tini, dumb-init and catatonit: their names, flags, variables, words and exit codes, to
 * the letter.
 *
 * Turns a peer's command line into the same struct options that shim's own makes; the core knows no
 * peer.
 */
#ifndef COMPAT_H
#define COMPAT_H

#include "log.h"
#include "shim.h"

/* By the base name of argv[0]: tini, tini-static, docker-init; dumb-init; catatonit, podman-init.
 */
enum personality compat_personality(const char *argv0);

/* Reads the peer's options and environment into o, on top of options_defaults(), and sets up the
 * peer's voice with log_init(). Returns -1 to go on, or the status to exit with at once; what the
 * peer prints then has been printed. */
int compat_parse(struct options *o, int argc, char **argv);

/* The status for an exec that failed with errno error, as that personality reports it (shim's own
 * too). */
int compat_exec_status(enum personality personality, int error);

#endif
