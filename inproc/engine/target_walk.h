/* SPDX-License-Identifier: MIT */
/* target_walk - attributes and what lies inside of descriptors, without running code of the
 * program: dicts, slots, and the built-in wrappers; no __getattr__, no getters.
 *
 * Threading: the GIL. No Python exception is set afterwards. */
#ifndef DIAG_INPROC_ENGINE_TARGET_WALK_H
#define DIAG_INPROC_ENGINE_TARGET_WALK_H

#include "inproc/engine/pycompat.h"

/* Where a path has led to. */
struct diag_target_place {
    PyObject *object; /* owned */
    PyObject *self;   /* owned; the instance that the object was found through; NULL: none */
    bool is_bound;    /* whatever the object is, `self` is its first argument */
};

void diag_target_place_done(struct diag_target_place *place);

/* Goes on to the attribute `name` (a str). False: there is none, and nothing has changed.
 * `is_last`: it is the end of the path, where a cached property counts as such even if its value
 * has been computed. */
bool diag_target_walk(struct diag_target_place *place, PyObject *name, bool is_last);

/* Replaces descriptors by the function in them: of a static or class method, a property's getter,
 * a functools.cached_property, singledispatchmethod or partialmethod, a bound method. */
void diag_target_unwrap(struct diag_target_place *place);

/* A new reference to the last Python function of the chain of __wrapped__ that begins with
 * `object`; NULL: there is none in it. */
PyObject *diag_target_written(PyObject *object);

/* Borrowed: what a dict, an object's own dict, or a class or one of its bases has under `name`;
 * NULL: nothing. */
PyObject *diag_target_dict_item(PyObject *dict, const char *name);
PyObject *diag_target_instance_item(PyObject *object, const char *name);
PyObject *diag_target_class_item(PyTypeObject *type, const char *name);

/* True if the module's code still runs. */
bool diag_target_is_being_imported(PyObject *module);

#endif
