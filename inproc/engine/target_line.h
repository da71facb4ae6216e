/* SPDX-License-Identifier: MIT */
/* target_line - which lines a code object has.
 *
 * Threading: the GIL. Allocates nothing; no Python exception is set afterwards. */
#ifndef DIAG_INPROC_ENGINE_TARGET_LINE_H
#define DIAG_INPROC_ENGINE_TARGET_LINE_H

#include "inproc/engine/pycompat.h"

/* The instructions of one entry of a code's table of locations. */
struct diag_target_lines {
    const unsigned char *at, *end;
    int computed_line;
    int first_unit; /* those before are the start of the call, at the `def` */
    int unit;       /* after this entry */
    int line;       /* 0: none */
    int last_line;  /* of an expression that goes on: at least `line` */
    bool is_body;   /* there is more in it than the start of the call */
};

void diag_target_lines_init(struct diag_target_lines *lines, PyCodeObject *code);

/* False: there are no more entries. */
bool diag_target_lines_next(struct diag_target_lines *lines);

/* True if the line begins an instruction of the code's body. */
bool diag_target_has_line(PyCodeObject *code, int line);

/* From the first line (that of the first decorator, if there is one) to the last one, inner
 * functions included. */
struct diag_target_span {
    int first, last;
};

struct diag_target_span diag_target_span(PyCodeObject *code);

static inline bool diag_target_span_has(struct diag_target_span span, int line) {
    return span.first <= line && line <= span.last;
}

#endif
