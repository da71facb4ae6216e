/* SPDX-License-Identifier: MIT */
/* statsd_object - diagnose.instruments.StatsD: a client of DogStatsD as a type of Python, and the
 * same for instruments in C.
 *
 * Threading: the GIL, which is kept: sending never blocks. Only StatsD.connect() gives it up.
 * Fork:      parent and child may both go on with an object. */
#ifndef DIAG_INPROC_LIBRARY_STATSD_OBJECT_H
#define DIAG_INPROC_LIBRARY_STATSD_OBJECT_H

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>
#include <stdbool.h>

#include "lib/statsd/statsd_datagram.h"

/* Makes the type and adds it to `module` as "StatsD". -1 with an exception. */
int diag_statsd_object_add_type(PyObject *module);

/* True if the object is a StatsD and of no subclass: then its methods are those in C, which
 * diag_statsd_object_send may stand in for. */
bool diag_statsd_object_is_exact(PyObject *object);

/* Sends what a hit has come to, in as few datagrams as hold it. `statsd` is a StatsD, or of a
 * subclass. `name` is a str. `value` is a number, or a list or tuple of numbers or of
 * (number, tags) pairs. `tags`, and those of a pair, are a dict, a list, tuple or set of str, a
 * str, None, or NULL; those of a pair come after the others.
 *
 * All or nothing: -1 with TypeError or ValueError, which name the argument, or with what Python
 * code of `value` or `tags` raises; then nothing was sent. What the network makes of it is counted,
 * and no error. */
int diag_statsd_object_send(PyObject *statsd, enum diag_statsd_type type, PyObject *name,
                            PyObject *value, PyObject *tags);

#endif
