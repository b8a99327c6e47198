/*
 * paths.h - paths that stay right when shim goes to / after the app's start.
 */
#ifndef PATHS_H
#define PATHS_H

/* An absolute path for it: itself, or a copy on the heap that begins with the working directory.
 * For the start. NULL and errno. */
const char *paths_absolute(const char *path);

#endif
