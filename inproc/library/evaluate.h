/* SPDX-License-Identifier: MIT */
/* evaluate - the text of an expression as its value, where the engine has not compiled it: for
 * methods in Python that ask for it.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_EVALUATE_H
#define DIAG_INPROC_LIBRARY_EVALUATE_H

#include "inproc/library/instrument.h"

/* A new reference to what `text` (a str) gives. `globals`: a dict; `names`: any mapping, whose
 * names come first. The compiled code is kept by the instrument. NULL with an exception. */
PyObject *diag_evaluate(struct diag_instrument_object *instrument, PyObject *text,
                        PyObject *globals, PyObject *names);

#endif
