/* SPDX-License-Identifier: MIT */
/* instrument_manager - what an instrument asks its manager. The methods of our InstrumentManager,
 * where nobody has overridden them, are not called: what they answer is known.
 *
 * Threading: the GIL.
 * Errors:    whatever the manager's methods raise. */
#ifndef DIAG_INPROC_LIBRARY_INSTRUMENT_MANAGER_H
#define DIAG_INPROC_LIBRARY_INSTRUMENT_MANAGER_H

#include "inproc/library/instrument.h"

/* True if check_call is a method of the program's, which gets to see the arguments. */
bool diag_manager_wants_calls(struct diag_library *library, PyObject *manager);

/* manager.check_call(probe, instrument, *args, **kwargs): 1, 0, or -1 with an exception. */
DIAG_MUST_CHECK int diag_manager_check_call(struct diag_library *library, PyObject *manager,
                                            PyObject *probe, PyObject *instrument, PyObject *args,
                                            PyObject *kwargs);

/* manager.get_tags(). A new reference, or NULL: without an exception there are none. */
PyObject *diag_manager_get_tags(struct diag_library *library, PyObject *manager);

/* manager.handle_error(probe, instrument), while sys.exc_info() is the error. Without a manager the
 * traceback goes to sys.stderr. */
DIAG_MUST_CHECK int diag_manager_handle_error(struct diag_library *library, PyObject *manager,
                                              PyObject *probe, PyObject *instrument);

/* manager.global_namespace. A new reference to a dict, or NULL: without an exception, if there is
 * no manager. */
PyObject *diag_manager_globals(struct diag_library *library, PyObject *manager);

/* object.method(first, second, *args, **kwargs). A new reference. */
PyObject *diag_call_method(PyObject *object, PyObject *method, PyObject *first, PyObject *second,
                           PyObject *args, PyObject *kwargs);

/* Writes the exception, with its traceback, to sys.stderr; whatever that raises is dropped. */
void diag_print_exception(PyObject *exception);

#endif
