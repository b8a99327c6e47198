/*
 * usage.c - what shim prints about itself: help from the table of options.c, version, license.
 */
#include "format.h"
#include "options.h"
#include "options_table.h"

enum { HELP_LINE_SIZE = 160 };

static const char *help_line(const struct row *row)
{
	static const char headings[SECTIONS][32] = {
		[SECTION_SIGNALS] = "Signals",
		[SECTION_STOP] = "The stop and the end",
		[SECTION_HOOKS] = "Waiting and hooks",
		[SECTION_READINESS] = "Draining and readiness",
		[SECTION_PRIVILEGES] = "Privileges",
		[SECTION_PROCESSES] = "Processes",
		[SECTION_MESSAGES] = "Messages",
		[SECTION_OUTPUT] = "Output",
		[SECTION_INSTEAD] = "Instead of running a command",
	};
	static char line[HELP_LINE_SIZE];
	const char *heading = headings[row->first_of];
	char dash[] = {'-', row->shorts[0], ',', '\0'};

	format_text(line, sizeof line, "%s%s%s  %-3s --%-23s%s\n", *heading ? "\n" : "", heading,
		*heading ? ":\n" : "", row->shorts[0] ? dash : "", row->usage, row->help);
	return line;
}

const char *options_help(size_t piece)
{
	size_t count;
	const struct row *rows = options_rows(&count);

	if (piece == 0)
		return "Usage: shim [OPTION...] [--] COMMAND [ARG...]\n"
		       "Runs COMMAND as the application of a container: passes signals on to it, "
		       "stops\n"
		       "it in time, reaps orphans, and says why the container ended.\n"
		       "Defaults are in brackets.\n";
	if (piece <= count)
		return help_line(&rows[piece - 1]);
	if (piece == count + 1)
		return "\nD is 250ms, 5s, 2m or 1h; a plain number is seconds. SIG is TERM, "
		       "SIGTERM, 15\n"
		       "or RTMIN+3. SHIM_OPTS in the environment holds more options, read "
		       "first.\n\n"
		       "Exit status: the app's; 128+N when signal N killed it; 137 when its time "
		       "was up;\n"
		       "127 when COMMAND is not found, 126 when it cannot be executed; 125 when "
		       "shim\n"
		       "itself failed or was called wrongly.\n";
	return NULL;
}

/* dockerd looks for " - git.", and what follows it is what docker info shows for --init-path. */
const char *options_version(void)
{
	return "shim " SHIM_VERSION " - git.v0-1-0\n";
}

const char *options_license(void)
{
	return "MIT License\n"
	       "\n"
	       "Copyright (c) 2026 the shim authors\n"
	       "\n"
	       "Permission is hereby granted, free of charge, to any person obtaining a copy\n"
	       "of this software and associated documentation files (the \"Software\"), to deal\n"
	       "in the Software without restriction, including without limitation the rights\n"
	       "to use, copy, modify, merge, publish, distribute, sublicense, and/or sell\n"
	       "copies of the Software, and to permit persons to whom the Software is\n"
	       "furnished to do so, subject to the following conditions:\n"
	       "\n"
	       "The above copyright notice and this permission notice shall be included in all\n"
	       "copies or substantial portions of the Software.\n"
	       "\n"
	       "THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR\n"
	       "IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,\n"
	       "FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE\n"
	       "AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER\n"
	       "LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,\n"
	       "OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE\n"
	       "SOFTWARE.\n";
}
