/*
 * install.h - shim --install DIR: copies the running binary to DIR/shim.
 */
#ifndef INSTALL_H
#define INSTALL_H

/* Atomic: a temporary file beside it, mode 755, renamed. Returns the exit status; says what went
 * wrong. */
int install_copy(const char *dir);

#endif
