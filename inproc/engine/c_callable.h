/* SPDX-License-Identifier: MIT */
/* c_callable - what kinds of callables there are in C, and which cannot be seen.
 *
 * Threading: the GIL. Runs no code of the program. */
#ifndef DIAG_INPROC_ENGINE_C_CALLABLE_H
#define DIAG_INPROC_ENGINE_C_CALLABLE_H

#include "inproc/engine/pycompat.h"
#include "lib/base/error.h"

enum diag_c_kind {
    DIAG_C_KIND_DEFINITION, /* it has a PyMethodDef: built-in functions and methods, Cython's */
    DIAG_C_KIND_INSTANCE,   /* an instance of a type with a tp_call in C */
};

struct diag_c_callable {
    enum diag_c_kind kind;
    PyMethodDef *definition; /* DEFINITION. Borrowed */
    PyObject *only_self;     /* DEFINITION: calls with other ones are not its; NULL: all are */
    bool is_cython;
    bool is_self_hidden; /* the `self` that C gets is a module, or none */
};

/* The PyMethodDef behind a built-in function or method, a method or classmethod descriptor, or a
 * function of Cython; NULL: there is none. */
PyMethodDef *diag_c_definition(PyObject *callable);

/* True for functions that Cython made in its own way. */
bool diag_c_is_cython(PyObject *callable);

/* DIAG_ERR_UNSUPPORTED says why calls of `object` cannot be seen. */
DIAG_MUST_CHECK enum diag_status diag_c_classify(PyObject *object, struct diag_c_callable *out,
                                                 struct diag_error *err);

#endif
