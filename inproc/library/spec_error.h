/* SPDX-License-Identifier: MIT */
/* spec_error - what instruments' classes and probes say is wrong, in the spelling of specs.
 *
 * A class names its arguments ("value: must be a str, not int"); in a spec the same key is called
 * instrument.value, whoever finds that it is wrong.
 *
 * Threading: the GIL. Runs no code of the program but that of keys that are no plain str. */
#ifndef DIAG_INPROC_LIBRARY_SPEC_ERROR_H
#define DIAG_INPROC_LIBRARY_SPEC_ERROR_H

#include "inproc/engine/pycompat.h"

/* The text of an exception that making or arming an instrument of the dict `instrument` has raised,
 * beginning with the key of the spec that it is about: a new reference. NULL without an exception
 * set: it names none, or is of a class of the program's own. */
PyObject *diag_spec_error_text(PyObject *exception, PyObject *instrument);

#endif
