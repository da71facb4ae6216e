/* SPDX-License-Identifier: MIT */
/* sensor - the Python type `sensor`: a context manager that has a ProbeTestInstrument on a target.
 *
 * Threading: the GIL. Ownership: the type belongs to the module. */
#ifndef DIAG_INPROC_LIBRARY_SENSOR_H
#define DIAG_INPROC_LIBRARY_SENSOR_H

#include "inproc/engine/pycompat.h"

/* Adds the type. A new reference to it; NULL with an exception. */
PyObject *diag_sensor_add_to(PyObject *module);

#endif
