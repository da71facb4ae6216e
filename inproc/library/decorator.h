/* SPDX-License-Identifier: MIT */
/* decorator - an instrument that is called with a function attaches itself to it.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_DECORATOR_H
#define DIAG_INPROC_LIBRARY_DECORATOR_H

#include "inproc/engine/pycompat.h"

/* instrument(function): a new reference to the function, unaltered. */
PyObject *diag_decorator_call(PyObject *instrument, PyObject *args, PyObject *kwargs);

#endif
