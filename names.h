/*
 * names.h - signals and errors by name, whatever libc this is built with. Pure.
 */
#ifndef NAMES_H
#define NAMES_H

/* "TERM", "SIGTERM", "sigterm", "15", "RTMIN+3", "RTMAX-2", "37". RTMIN is 34 whatever the libc
 * says (glibc's view, which is what applications are built with). Returns the number 1..64, or -1.
 */
int parse_signal(const char *text);

enum { SIGNAL_NAME_SIZE = 16 };
/* "SIGTERM", "SIGRTMIN+3"; "signal 99" for what is no signal. Returns buf. */
char *signal_name(int signo, char buf[SIGNAL_NAME_SIZE]);
/* What glibc's strsignal says ("Terminated", "Real-time signal 3"), whatever libc this is built
 * with. buf is used for the real-time ones only. */
const char *signal_description(int signo, char buf[32]);
/* strerror in glibc's words, since peers' messages are compared ("Too many levels of symbolic
 * links"). */
const char *error_text(int error);

#endif
