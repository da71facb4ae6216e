/* SPDX-License-Identifier: MIT */
/* instrument_methods - the methods of the type Instrument, which classes in Python override.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_INSTRUMENT_METHODS_H
#define DIAG_INPROC_LIBRARY_INSTRUMENT_METHODS_H

#include "inproc/engine/pycompat.h"

struct diag_firing;

extern PyMethodDef diag_instrument_methods[];

/* `fire` of the base class: NotImplementedError. */
int diag_instrument_fire(struct diag_firing *firing);
PyObject *diag_instrument_fire_method(PyObject *self, PyObject *args, PyObject *kwargs);

#endif
