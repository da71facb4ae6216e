/* SPDX-License-Identifier: MIT */
/* pure_attribute - attributes that can be read without running any code of the program.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_PURE_ATTRIBUTE_H
#define DIAG_INPROC_ENGINE_PURE_ATTRIBUTE_H

#include "inproc/engine/operand.h"

/* Where the attributes of one name of one type are; what was found at the last hit. */
struct diag_pure_attribute {
    PyTypeObject *type; /* compared only */
    unsigned version;
    int kind;
    Py_ssize_t index; /* in the shared keys, or the offset of a slot */
    PyObject *found;  /* in the type; valid as long as the version is */
};

/* The attribute `name` (interned) of the object, or a NULL operand: Python would run code for it,
 * or raise. */
struct diag_operand diag_pure_attribute_get(struct diag_pure_attribute *cache, PyObject *name,
                                            PyObject *object);

/* True if objects of the type (with Python's own way of reading attributes) do not pretend to be of
 * another class. */
bool diag_pure_has_plain_class(PyTypeObject *type);

#endif
