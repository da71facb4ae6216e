/* SPDX-License-Identifier: MIT */
/* instrument_map - the type of FunctionProbe.instruments: a dict in which every change takes effect
 * on the probe at once.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_INSTRUMENT_MAP_H
#define DIAG_INPROC_LIBRARY_INSTRUMENT_MAP_H

#include "inproc/library/function_probe.h"

DIAG_MUST_CHECK int diag_instrument_map_add_type(struct diag_library *library);

/* An empty one, which owns the probe. A new reference; NULL with an exception. */
PyObject *diag_instrument_map_new(struct diag_probe_object *probe);

/* Checks all items of `items` (a dict) before it puts the first of them in. */
DIAG_MUST_CHECK int diag_instrument_map_update(PyObject *map, PyObject *items);

/* Makes its items those of `items` (a dict). */
DIAG_MUST_CHECK int diag_instrument_map_replace(PyObject *map, PyObject *items);

#endif
