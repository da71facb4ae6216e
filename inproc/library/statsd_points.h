/* SPDX-License-Identifier: MIT */
/* statsd_points - what a value comes to for a statsd client of the program's: calls of a method, a
 * number at a time.
 *
 * Threading: the GIL; runs the method, and str() of tags. */
#ifndef DIAG_INPROC_LIBRARY_STATSD_POINTS_H
#define DIAG_INPROC_LIBRARY_STATSD_POINTS_H

#include "inproc/engine/pycompat.h"

/* Calls statsd.method(name, number, tags=TAGS) for each number of `value`: a finite number, or a
 * list or tuple of numbers or of (number, tag or tags) pairs. TAGS is None or a list of
 * "key:value". -1 with an exception: TypeError or ValueError for the value, before anything was
 * called; or whatever the method raised. */
DIAG_MUST_CHECK int diag_statsd_points_send(PyObject *statsd, PyObject *method, PyObject *name,
                                            PyObject *value, PyObject *tags);

#endif
