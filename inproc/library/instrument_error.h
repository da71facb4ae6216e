/* SPDX-License-Identifier: MIT */
/* instrument_error - what becomes of an exception that an instrument has raised: its handle_error
 * is told, and nobody else.
 *
 * Threading: the GIL.
 * Errors:    no exception is set afterwards. */
#ifndef DIAG_INPROC_LIBRARY_INSTRUMENT_ERROR_H
#define DIAG_INPROC_LIBRARY_INSTRUMENT_ERROR_H

#include "inproc/library/binding.h"

/* Takes the exception that is set, and has handle_error(probe) called, where sys.exc_info() gives
 * it. If that raises itself, both go to sys.stderr, and the instrument is switched off. */
void diag_instrument_error(struct diag_binding *binding);

/* True if the exception that is set is none of the instrument's, but comes out of a signal handler:
 * takes it, and has the program raise it as soon as no instrument is at work. */
bool diag_instrument_was_interrupted(void);

/* What the method handle_error of Instrument does. -1 with an exception. */
DIAG_MUST_CHECK int diag_instrument_handle_error(struct diag_instrument_object *instrument,
                                                 PyObject *probe);

#endif
