/* SPDX-License-Identifier: MIT */
/* raised - an exception as it was when it was raised: code that it passes through, or that raises
 * it again, adds to its traceback, context and cause.
 *
 * Threading: the GIL.
 * Ownership: owns its references. */
#ifndef DIAG_INPROC_LIBRARY_RAISED_H
#define DIAG_INPROC_LIBRARY_RAISED_H

#include "inproc/engine/pycompat.h"

/* All zero: none. */
struct diag_raised {
    PyObject *exception;
    PyObject *traceback, *context, *cause; /* NULL: none */
    bool suppresses_context;
};

/* Notes the exception that is set, and leaves it set. The former one is to be done with. */
void diag_raised_note(struct diag_raised *raised);

/* Sets the exception, as it was. */
void diag_raised_again(const struct diag_raised *raised);

void diag_raised_done(struct diag_raised *raised);
int diag_raised_traverse(const struct diag_raised *raised, visitproc visit, void *arg);

#endif
