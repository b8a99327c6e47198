/*
 * paths.c - paths that stay right when shim goes to / after the app's start.
 */
#include "paths.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format.h"

const char *paths_absolute(const char *path)
{
	char directory[PATH_MAX];

	if (*path == '/')
		return path;
	if (!getcwd(directory, sizeof directory))
		return NULL;
	size_t size = strlen(directory) + 1 + strlen(path) + 1;
	char *joined = malloc(size);
	if (joined)
		(void)format_text(joined, size, "%s/%s", directory, path);
	return joined;
}
