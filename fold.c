/*
 * fold.c - which lines belong together: stack traces, recognised by their shape.
 *
 * Frames of Java, Node, .NET and Ruby are told by themselves, whatever stands before them. Python,
 * Go and Node's report of an uncaught error begin with a line of their own, after which lines count
 * that would mean nothing elsewhere.
 */
#include "fold.h"

#include <string.h>

struct line {
	const char *at, *end;
};

/* Mostly it is the first character that tells. */
static bool begins(struct line line, const char *with)
{
	for (; *with; with++, line.at++)
		if (line.at == line.end || *line.at != *with)
			return false;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
	       c == '.';
}

static bool is_indented(struct line line)
{
	return line.at < line.end && is_blank(*line.at);
}

static struct line skip_blanks(struct line line)
{
	while (is_indented(line))
		line.at++;
	return line;
}

static bool ends(struct line line, char c)
{
	return line.at < line.end && line.end[-1] == c;
}

/* "\tat pkg.Class.method(File.java:1)", "    at f (/x.js:1:2)", "   at Program.Main()", "Caused by:
 * …", "\t... 12 more", " ---> …", "\tfrom x.rb:1:in …". */
static bool is_frame(struct fold *fold, struct line line)
{
	struct line text = skip_blanks(line);
	bool is_in = text.at > line.at;

	if (is_in && begins(text, "at ")) {
		fold->shape = ends(text, '{') ? FOLD_NODE_FIELDS : FOLD_FRAMES;
		return true;
	}
	if (is_in && begins(text, "from ") && *line.at == '\t') {
		fold->shape = FOLD_RUBY;
		return true;
	}
	if (begins(text, "Caused by: ") || begins(text, "--- End of ") ||
		(is_in && (begins(text, "... ") || begins(text, "Suppressed: ") ||
				  begins(text, "---> ") || begins(text, "[CIRCULAR REF")))) {
		fold->shape = FOLD_FRAMES;
		return true;
	}
	return false;
}

static bool is_traceback(struct fold *fold, struct line line)
{
	if (begins(line, "Traceback (most recent"))
		fold->shape = FOLD_PYTHON;
	else if (begins(line, "  + Exception Group Tr"))
		fold->shape = FOLD_PYTHON_GROUP;
	else
		return false;
	return true;
}

/* "ValueError: x", "pkg.Trouble", "KeyboardInterrupt". */
static bool is_python_exception(struct line line)
{
	const char *p = line.at;

	while (p < line.end && is_word(*p))
		p++;
	return p > line.at && (p == line.end || *p == ':');
}

/* "/app/x.js:12", "file:///app/x.mjs:3", "node:internal/modules/cjs/loader:1080". */
static bool is_node_place(struct line line)
{
	const char *p = line.end;

	while (p > line.at && is_digit(p[-1]))
		p--;
	if (p == line.end || p - line.at < 4 || *--p != ':' ||
		memchr(line.at, ' ', (size_t)(line.end - line.at)))
		return false;
	return begins(line, "node:") || begins(line, "[eval]:") || begins(line, "[stdin]:") ||
	       (p[-1] == 's' && (*line.at == '/' || begins(line, "file:")));
}

static bool is_caret(struct line line)
{
	bool has_caret = false;

	for (; line.at < line.end; line.at++)
		if (*line.at == '^')
			has_caret = true;
		else if (!is_blank(*line.at))
			return false;
	return has_caret;
}

/* "x.rb:3:in `f': why (RuntimeError)", the cause of the one before. */
static bool is_ruby_place(struct line line)
{
	for (const char *p = line.at; line.end - p > 4 && *p != ' '; p++)
		if (is_digit(p[0]) && memcmp(p + 1, ":in ", 4) == 0)
			return true;
	return false;
}

static bool is_goroutine(struct line line)
{
	return (begins(line, "goroutine ") || begins(line, "runtime stack:")) && ends(line, ':');
}

/* "main.(*T).f(0x1, {0xc000, 0x2})", "rax    0xca", "created by main.main in goroutine 1". */
static bool is_go_call(struct line line)
{
	const char *p = line.at;

	if (begins(line, "created by ") || begins(line, "exit status ") || begins(line, "..."))
		return true;
	while (p < line.end && !is_blank(*p) && *p != '(')
		p++;
	if (p < line.end && p > line.at && *p == '(')
		return ends(line, ')');
	struct line value = skip_blanks((struct line){p, line.end});
	return p - line.at < 8 && value.at > p && begins(value, "0x");
}

static bool is_go_head(struct line line)
{
	const char *p = line.at;

	if (begins(line, "panic: ") || begins(line, "fatal error: ") || begins(line, "runtime: "))
		return true;
	if (!begins(line, "SIG"))
		return false;
	while (p < line.end && *p >= 'A' && *p <= 'Z')
		p++;
	return begins((struct line){p, line.end}, ": ");
}

static bool goes_on_go(struct fold *fold, struct line line)
{
	if (is_goroutine(line)) {
		fold->shape = FOLD_GO_STACK;
		return true;
	}
	if (fold->shape == FOLD_GO_STACK && is_go_call(line))
		return true;
	if (fold->after_blank)
		return false;
	return *line.at == '\t' || is_go_head(line) || begins(line, "[signal ") ||
	       begins(line, "PC=") || begins(line, "signal arrived ");
}

static bool goes_on_node(struct fold *fold, struct line line)
{
	switch ((int)fold->shape) {
	case FOLD_NODE_SOURCE:
		fold->shape = FOLD_NODE_CARET;
		return true;
	case FOLD_NODE_CARET:
		fold->shape = FOLD_NODE_ERROR;
		return is_caret(line);
	case FOLD_NODE_ERROR: /* whatever the message, until the first frame */
		if (begins(line, "Node.js v"))
			fold->shape = FOLD_PLAIN;
		else
			(void)is_frame(fold, line);
		return true;
	default: /* the error's own fields */
		if (*line.at == '}')
			fold->shape = FOLD_FRAMES;
		return *line.at == '}' || is_indented(line);
	}
}

static bool goes_on_python(struct fold *fold, struct line line)
{
	switch ((int)fold->shape) {
	case FOLD_PYTHON:
		if (is_indented(line))
			return true;
		fold->shape = FOLD_PYTHON_END;
		return is_python_exception(line);
	case FOLD_PYTHON_GROUP:
		return is_indented(line);
	case FOLD_PYTHON_END:
		fold->shape = FOLD_PYTHON_CHAIN;
		return fold->after_blank && (begins(line, "During handling of the above") ||
						    begins(line, "The above exception was"));
	default:
		return is_traceback(fold, line);
	}
}

static bool goes_on(struct fold *fold, struct line line)
{
	switch (fold->shape) {
	case FOLD_EXCEPTION:
		if (is_traceback(fold, line))
			return true;
		break;
	case FOLD_MESSAGE: /* whatever the message, until a frame; a trace may have been left out */
		return is_frame(fold, line) || !fold->after_blank;
	case FOLD_RUBY:
		if (!fold->after_blank && is_ruby_place(line))
			return true;
		break;
	case FOLD_NODE_SOURCE:
	case FOLD_NODE_CARET:
	case FOLD_NODE_ERROR:
	case FOLD_NODE_FIELDS:
		return goes_on_node(fold, line);
	case FOLD_PYTHON:
	case FOLD_PYTHON_GROUP:
	case FOLD_PYTHON_END:
	case FOLD_PYTHON_CHAIN:
		return goes_on_python(fold, line);
	case FOLD_GO:
	case FOLD_GO_STACK:
		return goes_on_go(fold, line);
	case FOLD_FRAMES:
		if (fold->after_blank && begins(line, "Node.js v")) {
			fold->shape = FOLD_PLAIN;
			return true;
		}
		break;
	case FOLD_PLAIN:
		break;
	}
	return !fold->after_blank && is_frame(fold, line);
}

static void begin(struct fold *fold, struct line line)
{
	fold->shape = FOLD_PLAIN;
	if (is_traceback(fold, line))
		return;
	if (begins(line, "  File \"")) /* a syntax error has no header */
		fold->shape = FOLD_PYTHON;
	else if (begins(line, "Exception in thread \"") || /* Java's */
		 begins(line, "Unhandled exception. "))    /* .NET's */
		fold->shape = FOLD_MESSAGE;
	else if (begins(line, "Exception i")) /* "in thread …", "ignored in: …": Python's */
		fold->shape = FOLD_EXCEPTION;
	else if (is_go_head(line))
		fold->shape = FOLD_GO;
	else if (is_goroutine(line))
		fold->shape = FOLD_GO_STACK;
	else if (is_node_place(line))
		fold->shape = FOLD_NODE_SOURCE;
}

enum fold_verdict fold_line(struct fold *fold, const char *text, size_t length)
{
	struct line line = {text, text + length};

	/* Most lines can be no part of any: only these can begin one. */
	if (fold->shape == FOLD_PLAIN && length && !strchr(" \t-/[CETSUfgnpr", *text))
		return FOLD_NEW;
	if (length == 0 && fold->shape != FOLD_PLAIN) {
		fold->after_blank = true;
		return FOLD_BLANK;
	}
	bool is_more = length > 0 && goes_on(fold, line);
	fold->after_blank = false;
	if (is_more)
		return FOLD_MORE;
	begin(fold, line);
	return FOLD_NEW;
}
