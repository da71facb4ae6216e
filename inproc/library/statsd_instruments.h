/* SPDX-License-Identifier: MIT */
/* statsd_instruments - the types HistogramInstrument and IncrementInstrument: values for statsd.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_STATSD_INSTRUMENTS_H
#define DIAG_INPROC_LIBRARY_STATSD_INSTRUMENTS_H

#include "inproc/library/instrument.h"

DIAG_MUST_CHECK int diag_statsd_instruments_add_types(struct diag_library *library,
                                                      PyObject *module);

/* See diag_emit_fn. */
int diag_histogram_emit(struct diag_instrument_object *instrument, PyObject *name, PyObject *value,
                        PyObject *tags);
int diag_increment_emit(struct diag_instrument_object *instrument, PyObject *name, PyObject *value,
                        PyObject *tags);
PyObject *diag_histogram_emit_method(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *diag_increment_emit_method(PyObject *self, PyObject *args, PyObject *kwargs);

#endif
