/*
 * completion.c - the shells' completion, made at build time from the table of options.c:
 * completion bash|zsh|fish >FILE. Not part of shim.
 *
 * What an argument may be is seen in its name (FILE, DIR, SIG …) and, for a choice of words, in
 * what is expected ("text or json").
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "options_table.h"

enum { WORDS_SIZE = 128 };

enum takes {
	TAKES_NOTHING,
	TAKES_TEXT,
	TAKES_WORDS,
	TAKES_FILE,
	TAKES_DIRECTORY,
	TAKES_SIGNAL,
	TAKES_USER,
	TAKES_COMMAND
};

/* "a, b or c" as "a b c"; false when it is anything else. */
static bool words_of(const struct row *row, char words[WORDS_SIZE])
{
	const char *p = options_expected(row);
	size_t length = 0;

	while (islower((unsigned char)*p) && length + 2 < WORDS_SIZE) {
		while (islower((unsigned char)*p) && length + 2 < WORDS_SIZE)
			words[length++] = *p++;
		words[length++] = ' ';
		if (!*p) {
			words[length - 1] = '\0';
			return strchr(words, ' ') != NULL;
		}
		if (strncmp(p, ", ", 2) != 0 && strncmp(p, " or ", 4) != 0)
			return false;
		p += *p == ',' ? 2 : 4;
	}
	return false;
}

static enum takes takes_of(const struct row *row, char words[WORDS_SIZE])
{
	static const struct {
		const char *argument;
		enum takes takes;
	} kinds[] = {{"FILE", TAKES_FILE}, {"PATH", TAKES_FILE}, {"DIR", TAKES_DIRECTORY},
		{"SIG", TAKES_SIGNAL}, {"SIG[,SIG...]", TAKES_SIGNAL}, {"FROM:TO", TAKES_SIGNAL},
		{"USER[:GROUP]", TAKES_USER}, {"HOOK", TAKES_COMMAND}};
	const char *argument = options_argument(row);

	if (!*argument)
		return TAKES_NOTHING;
	if (words_of(row, words))
		return TAKES_WORDS;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(argument, kinds[i].argument) == 0)
			return kinds[i].takes;
	return TAKES_TEXT;
}

/* -x|--name, separated, the short ones first. */
static void print_names(const struct row *row, const char *separator)
{
	for (const char *c = row->shorts; *c; c++)
		printf("-%c%s", *c, separator);
	printf("--%.*s", (int)options_name_length(row), row->usage);
}

/* Text inside of '…' in any shell; zsh's [descriptions] and :messages: have more of their own. */
static void print_quoted(const char *text, const char *escaped)
{
	for (; *text; text++) {
		if (strchr(escaped, *text))
			putchar('\\');
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
}

/* bash takes a word apart at = and :, so "--drain=3s:9s" is five; they are put together again. */
static const char bash_head[] =
	"# bash completion for shim; made from its table of options.\n"
	"_shim()\n"
	"{\n"
	"    local words=() word i glued='' option='' cur values place=options\n"
	"    for ((i = 0; i <= COMP_CWORD; i++)); do\n"
	"        word=${COMP_WORDS[i]}\n"
	"        if ((i)) && [[ $glued || $word == [=:]* ]]; then\n"
	"            words[${#words[@]} - 1]+=$word\n"
	"        else\n"
	"            words+=(\"$word\")\n"
	"        fi\n"
	"        [[ $word == [=:] ]] && glued=1 || glued=''\n"
	"    done\n"
	"    cur=${words[${#words[@]} - 1]}\n"
	"    for ((i = 1; i < ${#words[@]} - 1; i++)); do\n"
	"        if [[ $option || $place == command ]]; then\n"
	"            [[ $option ]] || place=arguments\n"
	"            option=''\n"
	"            continue\n"
	"        fi\n"
	"        case ${words[i]} in\n"
	"            --) place='command' ;;\n"
	"            ";
static const char bash_middle[] =
	") option=${words[i]} ;;\n"
	"            -*) ;;\n"
	"            *) place=arguments ;;\n"
	"        esac\n"
	"        [[ $place == arguments ]] && break\n"
	"    done\n"
	"    if [[ $place == options && ! $option && $cur == --*=* ]]; then\n"
	"        option=${cur%%=*}\n"
	"        cur=${cur#*=}\n"
	"    fi\n"
	"    case $option:$place in\n";
static const char bash_tail[] = "        :arguments) values=$(compgen -f -- \"$cur\") ;;\n"
				"        :*)\n"
				"            if [[ $place == options && $cur == -* ]]; then\n"
				"                values=$(compgen -W '";
static const char bash_end[] = "' -- \"$cur\")\n"
			       "            else\n"
			       "                values=$(compgen -c -- \"$cur\")\n"
			       "            fi ;;\n"
			       "        *) values='' ;;\n"
			       "    esac\n"
			       "    COMPREPLY=()\n"
			       "    [[ ! $values ]] || mapfile -t COMPREPLY <<<\"$values\"\n"
			       "}\n"
			       "complete -o filenames -F _shim shim\n";

static const char *bash_generator(enum takes takes)
{
	switch (takes) {
	case TAKES_FILE:
		return "-f";
	case TAKES_DIRECTORY:
		return "-d";
	case TAKES_SIGNAL:
		return "-W \"$(compgen -A signal SIG | sed 's/^SIG//')\"";
	case TAKES_USER:
		return "-u";
	case TAKES_COMMAND:
		return "-c";
	case TAKES_WORDS:
	case TAKES_TEXT:
	case TAKES_NOTHING:
		break;
	}
	return "";
}

static void print_bash(const struct row *rows, size_t count)
{
	char words[WORDS_SIZE];
	const char *separator = "";

	fputs(bash_head, stdout);
	for (const struct row *row = rows; row < rows + count; row++)
		if (*options_argument(row)) {
			fputs(separator, stdout);
			print_names(row, " | ");
			separator = " | ";
		}
	fputs(bash_middle, stdout);
	for (const struct row *row = rows; row < rows + count; row++) {
		enum takes takes = takes_of(row, words);

		if (takes == TAKES_NOTHING || takes == TAKES_TEXT)
			continue;
		fputs("        ", stdout);
		print_names(row, ":* | ");
		if (takes == TAKES_WORDS)
			printf(":*) values=$(compgen -W '%s' -- \"$cur\") ;;\n", words);
		else
			printf(":*) values=$(compgen %s -- \"$cur\") ;;\n", bash_generator(takes));
	}
	fputs(bash_tail, stdout);
	for (const struct row *row = rows; row < rows + count; row++) {
		print_names(row, " ");
		putchar(' ');
	}
	fputs(bash_end, stdout);
}

static void print_zsh_action(enum takes takes, const char *words)
{
	switch (takes) {
	case TAKES_WORDS:
		printf("(%s)", words);
		break;
	case TAKES_FILE:
		printf("_files");
		break;
	case TAKES_DIRECTORY:
		printf("_directories");
		break;
	case TAKES_SIGNAL:
		printf("_signals");
		break;
	case TAKES_USER:
		printf("_users");
		break;
	case TAKES_COMMAND:
		printf("_command_names -e");
		break;
	case TAKES_TEXT:
	case TAKES_NOTHING:
		putchar(' ');
	}
}

/* letter 0: the long name. */
static void print_zsh_option(const struct row *row, char letter)
{
	char words[WORDS_SIZE];
	enum takes takes = takes_of(row, words);
	bool is_repeatable = strstr(row->help, "repeatable") ||
			     strstr(options_expected(row), "one too many");

	fputs(is_repeatable ? "  '*" : "  '", stdout);
	if (!is_repeatable && *row->shorts) {
		putchar('(');
		print_names(row, " ");
		putchar(')');
	}
	if (letter)
		printf("-%c%s", letter, takes ? "+" : "");
	else
		printf("--%.*s%s", (int)options_name_length(row), row->usage, takes ? "=" : "");
	putchar('[');
	print_quoted(row->help, "[]:\\");
	putchar(']');
	if (takes) {
		putchar(':');
		print_quoted(options_argument(row), "[]:\\");
		putchar(':');
		print_zsh_action(takes, words);
	}
	puts("' \\");
}

static void print_zsh(const struct row *rows, size_t count)
{
	puts("#compdef shim\n# zsh completion for shim; made from its table of options.");
	puts("_arguments -s -S -A '-*' \\");
	for (const struct row *row = rows; row < rows + count; row++) {
		for (const char *c = row->shorts; *c; c++)
			print_zsh_option(row, *c);
		print_zsh_option(row, '\0');
	}
	puts("  '(-)1:command:_command_names -e' \\\n  '*::argument:_normal'");
}

static const char *fish_action(enum takes takes)
{
	switch (takes) {
	case TAKES_FILE:
		return " -r -F";
	case TAKES_DIRECTORY:
		return " -x -a '(__fish_complete_directories)'";
	case TAKES_SIGNAL:
		return " -x -a '(kill -l | string split \" \")'";
	case TAKES_USER:
		return " -x -a '(__fish_complete_users)'";
	case TAKES_COMMAND:
		return " -x -a '(__fish_complete_command)'";
	case TAKES_TEXT:
		return " -x";
	case TAKES_WORDS:
	case TAKES_NOTHING:
		break;
	}
	return "";
}

static void print_fish(const struct row *rows, size_t count)
{
	char words[WORDS_SIZE];

	fputs("# fish completion for shim; made from its table of options.\n"
	      "complete -c shim -x -a '(__fish_complete_subcommand",
		stdout);
	for (const struct row *row = rows; row < rows + count; row++)
		if (*options_argument(row)) {
			putchar(' ');
			print_names(row, " ");
		}
	puts(")'");
	for (const struct row *row = rows; row < rows + count; row++) {
		enum takes takes = takes_of(row, words);

		fputs("complete -c shim", stdout);
		for (const char *c = row->shorts; *c; c++)
			printf(" -s %c", *c);
		printf(" -l %.*s", (int)options_name_length(row), row->usage);
		if (takes == TAKES_WORDS)
			printf(" -x -a '%s'", words);
		fputs(fish_action(takes), stdout);
		fputs(" -d '", stdout);
		for (const char *c = row->help; *c; c++) {
			if (*c == '\'' || *c == '\\')
				putchar('\\');
			putchar(*c);
		}
		puts("'");
	}
}

int main(int argc, char **argv)
{
	size_t count;
	const struct row *rows = options_rows(&count);
	const char *shell = argc == 2 ? argv[1] : "";

	if (strcmp(shell, "bash") == 0)
		print_bash(rows, count);
	else if (strcmp(shell, "zsh") == 0)
		print_zsh(rows, count);
	else if (strcmp(shell, "fish") == 0)
		print_fish(rows, count);
	else
		return 2;
	return 0;
}
