/* SPDX-License-Identifier: MIT */
/* alteration - instruments that take the place of a call: the types Raise and proceed.
 *
 * Whatever such an instrument does, its caller gets what intercept() returned, or, if that has
 * failed, what the target itself came to.
 *
 * Threading: the GIL. `proceed` belongs to the thread and the greenlet of the call. */
#ifndef DIAG_INPROC_LIBRARY_ALTERATION_H
#define DIAG_INPROC_LIBRARY_ALTERATION_H

#include "inproc/engine/handler.h"
#include "inproc/library/library_state.h"

DIAG_MUST_CHECK int diag_alteration_add_types(struct diag_library *library, PyObject *module);

/* See diag_handler.intercept; `object` is a binding. */
PyObject *diag_alteration_run(PyObject *object, struct diag_interception *interception);

#endif
