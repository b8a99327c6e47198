/*
 * fold.h - which lines belong together: stack traces, recognised by their shape.
 *
 * Pure. Called by records.c, which holds the lines.
 */
#ifndef FOLD_H
#define FOLD_H

#include <stdbool.h>
#include <stddef.h>

/* What the lines so far have been. */
enum fold_shape {
	FOLD_PLAIN, /* any line: a frame may follow */
	FOLD_EXCEPTION,
	FOLD_MESSAGE, /* of an exception, before its first frame */
	FOLD_FRAMES,
	FOLD_RUBY,
	FOLD_NODE_SOURCE,
	FOLD_NODE_CARET,
	FOLD_NODE_ERROR,
	FOLD_NODE_FIELDS,
	FOLD_PYTHON,
	FOLD_PYTHON_GROUP,
	FOLD_PYTHON_END,
	FOLD_PYTHON_CHAIN,
	FOLD_GO,
	FOLD_GO_STACK,
};

/* All zeroes at the start, and when the record was ended for another reason. */
struct fold {
	enum fold_shape shape;
	bool after_blank;
};

enum fold_verdict {
	FOLD_NEW,   /* it begins a record */
	FOLD_MORE,  /* it belongs to the record that is open, and so do blank lines before it */
	FOLD_BLANK, /* an empty line, which belongs to it if FOLD_MORE follows */
};

/* The next line, without its line break. */
enum fold_verdict fold_line(struct fold *fold, const char *line, size_t length);

#endif
