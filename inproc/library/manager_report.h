/* SPDX-License-Identifier: MIT */
/* manager_report - errors: to the manager's handle_error, as texts, and on stderr.
 *
 * Threading: the GIL; the functions run code of the program. */
#ifndef DIAG_INPROC_LIBRARY_MANAGER_REPORT_H
#define DIAG_INPROC_LIBRARY_MANAGER_REPORT_H

#include "inproc/engine/pycompat.h"

/* True if the exception that is set is none of the manager's to handle: no Exception but an exit of
 * some kind, or a signal handler's. */
bool diag_manager_is_for_program(void);

/* Hands the exception that is set to manager.handle_error(probe, instrument) (NULL: None), where it
 * is sys.exc_info(); what that raises goes to sys.unraisablehook. Then no exception is set, and it
 * is 0. -1: it is for the program, and stays set. */
DIAG_MUST_CHECK int diag_manager_report(PyObject *manager, PyObject *probe, PyObject *instrument);

/* "TypeError: the text", or the text alone, cut to 2,000 characters that any store can take: a new
 * reference. NULL with an exception, which is not that one. */
PyObject *diag_manager_error_text(PyObject *exception, bool has_type);

/* Adds a line to what tracebacks of the exception show. An error in doing so is ignored. */
void diag_manager_add_note(PyObject *exception, PyObject *note);

/* Prints the exception that is being handled, with its traceback, to sys.stderr. */
void diag_manager_print_handled(PyObject *probe, PyObject *instrument);

#endif
