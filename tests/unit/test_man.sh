#!/bin/sh
# The man page, the help and the option table agree: every option of one is in the others, with the same letters.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# Prints "ok" or "not ok", and the difference if there is one.
same() {
    if diff -u "$work/$2" "$work/$3" >"$work/diff"; then
        passed=$((passed + 1))
        echo "ok - $1"
    else
        failed=$((failed + 1))
        echo "not ok - $1"
        sed 's/^/# /' "$work/diff"
    fi
}

check() {
    title=$1
    shift
    if "$@" >"$work/said" 2>&1 && [ ! -s "$work/said" ]; then
        passed=$((passed + 1))
        echo "ok - $title"
    else
        failed=$((failed + 1))
        echo "not ok - $title"
        sed 's/^/# /' "$work/said"
    fi
}

# The table as the compiler sees it, a line an option: its letters, its name, and its argument if it has one.
cat >"$work/table.c" <<'EOF'
#include "options_table.h"
#include <stdio.h>
int main(int argc, char **argv)
{
	size_t count;
	const struct row *rows = options_rows(&count);

	(void)argv;
	for (size_t i = 0; argc > 1 && options_help(i); i++)
		fputs(options_help(i), stdout);
	for (const struct row *row = rows; argc == 1 && row < rows + count; row++) {
		for (const char *c = row->shorts; *c; c++)
			printf("-%c ", *c);
		printf("--%.*s%s\n", (int)options_name_length(row), row->usage,
			*options_argument(row) ? " VALUE" : "");
	}
	return 0;
}
EOF
${CC:-gcc} -std=c11 -D_GNU_SOURCE -I. -o "$work/table" "$work/table.c" options.c usage.c util.c format.c parse.c names.c http.c || exit 1
"$work/table" | sort >"$work/table.txt"

# "  -r, --rewrite FROM:TO        send …"; the second letter of an option is in its text: "(also -L)".
"$work/table" help | sed -n 's/^  \(-.,\|   \) \(--[a-z-]*\)\( [^ ].*\|.*\)$/\1 \2\3/p' >"$work/help.raw"
while IFS= read -r line; do
    letters=$(printf '%s\n' "$line" | sed -n 's/^\(-.\),.*/\1 /p')$(printf '%s\n' "$line" |
        sed -n 's/.*(also \(-.\)).*/\1 /p')
    name=$(printf '%s\n' "$line" | grep -o -e '--[a-z-]*' | head -n 1)
    # One blank and an upper-case word, or a bracket, right behind the name: an argument.
    value=$(printf '%s\n' "$line" | grep -q -e "$name [A-Z[]" && echo ' VALUE')
    echo "$letters$name$value"
done <"$work/help.raw" | sort >"$work/help.txt"

# ".It Fl r , -rewrite Ar from : Ns Ar to" in the section OPTIONS; ".It Cm x" there are values.
sed -n '/^\.Sh OPTIONS/,/^\.Sh LIFECYCLE/p' man/shim.1 | sed -n 's/^\.It Fl //p' |
    while IFS= read -r line; do
        names=${line%% Ar *}
        value=
        [ "$names" = "$line" ] || value=' VALUE'
        flags=
        for name in ${names% Oo}; do
            [ "$name" = , ] || flags="$flags -$name"
        done
        echo "${flags# }$value"
    done | sort >"$work/man.txt"

# The same headings over the same options, in the same order.
"$work/table" help | sed -nE 's/^([A-Z][A-Za-z ]*):$/\1/p; s/^  (-.,|   ) (--[a-z-]*).*/\2/p' >"$work/help.order"
sed -n '/^\.Sh OPTIONS/,/^\.Sh LIFECYCLE/p' man/shim.1 |
    sed -n 's/^\.Ss //p; s/^\.It Fl \(.*, \)*-\([a-z-]*\).*/--\2/p' >"$work/man.order"

# Options named in the running text must exist, too.
grep -o -e 'Fl -[a-z][a-z-]*' man/shim.1 | sed 's/Fl -/--/' | sort -u >"$work/mentioned.txt"
grep -o -e '--[a-z-]*' "$work/table.txt" | sort -u >"$work/names.txt"
comm -23 "$work/mentioned.txt" "$work/names.txt" >"$work/strangers.txt"
: >"$work/none.txt"

check 'the table is read' test -s "$work/table.txt"
same 'the help has exactly the options of the table' table.txt help.txt
same 'the man page has exactly the options of the table' table.txt man.txt
same 'the man page has them under the same headings and in the same order' help.order man.order
same 'the man page mentions no other option' none.txt strangers.txt
check 'mandoc finds no fault' mandoc -Tlint -W warning man/shim.1
for section in NAME SYNOPSIS DESCRIPTION OPTIONS LIFECYCLE SIGNALS ENVIRONMENT 'EXIT STATUS' FILES EXAMPLES \
    COMPATIBILITY 'SEE ALSO'; do
    check "section $section" grep -q "^\.Sh $section\$" man/shim.1
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
