/* SPDX-License-Identifier: MIT */
/* log_instrument - the type LogInstrument: a line for each hit.
 *
 * Threading: the GIL; runs str() of the value, and `write` of the output. */
#ifndef DIAG_INPROC_LIBRARY_LOG_INSTRUMENT_H
#define DIAG_INPROC_LIBRARY_LOG_INSTRUMENT_H

#include "inproc/library/instrument.h"

#define DIAG_LOG_CHARS_MAX 2000 /* of the value, and of the tags */

DIAG_MUST_CHECK int diag_log_instrument_add_type(struct diag_library *library, PyObject *module);

/* See diag_emit_fn. */
int diag_log_emit(struct diag_instrument_object *instrument, PyObject *name, PyObject *value,
                  PyObject *tags);
PyObject *diag_log_emit_method(PyObject *self, PyObject *args, PyObject *kwargs);

#endif
