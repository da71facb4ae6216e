/* SPDX-License-Identifier: MIT */
/* probe_test_instrument - the type ProbeTestInstrument: keeps what it sees, for test suites.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_PROBE_TEST_INSTRUMENT_H
#define DIAG_INPROC_LIBRARY_PROBE_TEST_INSTRUMENT_H

#include "inproc/library/library_state.h"

struct diag_firing;

DIAG_MUST_CHECK int diag_probe_test_instrument_add_type(struct diag_library *library,
                                                        PyObject *module);

/* See diag_fire_fn. */
int diag_probe_test_fire(struct diag_firing *firing);
PyObject *diag_probe_test_fire_method(PyObject *self, PyObject *args, PyObject *kwargs);

#endif
