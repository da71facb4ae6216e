/* SPDX-License-Identifier: MIT */
/* function_probe - the type FunctionProbe: a target, and the instruments on it.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_FUNCTION_PROBE_H
#define DIAG_INPROC_LIBRARY_FUNCTION_PROBE_H

#include "inproc/library/binding.h"

struct diag_probe_object {
    PyObject_HEAD PyObject *dict;
    PyObject *weak_references;
    struct diag_library *library;
    PyObject *target;      /* str; NULL before __init__ */
    PyObject *callable;    /* what a decorator was given; NULL: the names lead to it */
    PyObject *instruments; /* the live mapping */
    PyObject *bindings;    /* dict: key -> binding */
    bool is_running;
    bool is_spare;  /* made for a placement: given up when it is empty */
    unsigned users; /* placements that are being put into it */
};

DIAG_MUST_CHECK int diag_function_probe_add_type(struct diag_library *library, PyObject *module);

/* TypeError, unless the key is a str and the value an Instrument. */
DIAG_MUST_CHECK int diag_probe_check(struct diag_library *library, PyObject *key,
                                     PyObject *instrument);

/* instruments[key] = instrument, and del instruments[key] (KeyError). -1 with an exception. */
DIAG_MUST_CHECK int diag_probe_put(struct diag_probe_object *probe, PyObject *key,
                                   PyObject *instrument);
DIAG_MUST_CHECK int diag_probe_take(struct diag_probe_object *probe, PyObject *key);

/* The binding under a key, a new reference; NULL without an exception: there is none. */
struct diag_binding *diag_probe_binding(struct diag_probe_object *probe, PyObject *key);

#endif
