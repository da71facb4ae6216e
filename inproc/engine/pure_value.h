/* SPDX-License-Identifier: MIT */
/* pure_value - what Python does with values of builtin types, where it is certain that no code of
 * the program runs: nothing is called of a type that is not known.
 *
 * Every function gives up (-1, NULL, a NULL operand; no exception is set) where Python would call
 * code that is not known, would raise, or would take a time that depends on the size of something
 * large.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_PURE_VALUE_H
#define DIAG_INPROC_ENGINE_PURE_VALUE_H

#include "inproc/engine/operand.h"

#define DIAG_PURE_ITEMS_MAX 4096   /* that are compared one by one */
#define DIAG_PURE_LENGTH_MAX 65536 /* of a sequence or text that is made */

/* None, bool, int, float, str, bytes: exactly. */
bool diag_pure_is_scalar(PyObject *object);
/* bool, int, float: exactly. */
bool diag_pure_is_number(PyObject *object);

/* 1, 0: `a OPERATION b`, Py_LT to Py_GE. */
int diag_pure_compare(PyObject *a, PyObject *b, int operation);
/* 1, 0: bool(object). */
int diag_pure_truth(PyObject *object);
/* 1, 0: `item in container`. */
int diag_pure_contains(PyObject *container, PyObject *item);
/* len(object) */
Py_ssize_t diag_pure_length(PyObject *object);
/* container[key]; borrowed from the container, or made. */
struct diag_operand diag_pure_subscript(PyObject *container, PyObject *key);
/* container[start:stop:step], each NULL if it is left out. */
PyObject *diag_pure_slice(PyObject *container, PyObject *start, PyObject *stop, PyObject *step);
/* True if the object's hash and comparison are known: it may be a key. */
bool diag_pure_is_key(PyObject *object);

enum diag_pure_operation {
    DIAG_PURE_ADD,
    DIAG_PURE_SUBTRACT,
    DIAG_PURE_MULTIPLY,
    DIAG_PURE_DIVIDE,
    DIAG_PURE_FLOOR_DIVIDE,
    DIAG_PURE_REMAINDER,
    DIAG_PURE_POWER,
    DIAG_PURE_AND,
    DIAG_PURE_OR,
    DIAG_PURE_XOR,
    DIAG_PURE_LEFT_SHIFT,
    DIAG_PURE_RIGHT_SHIFT,
    DIAG_PURE_NEGATIVE,
    DIAG_PURE_POSITIVE,
    DIAG_PURE_INVERT,
};

/* A new reference. */
PyObject *diag_pure_binary(enum diag_pure_operation operation, PyObject *a, PyObject *b);
PyObject *diag_pure_unary(enum diag_pure_operation operation, PyObject *a);

/* True if the int (or bool) fits; *value receives it. */
bool diag_pure_int64(PyObject *number, int64_t *value);

/* str() and repr() of a scalar that is neither bytes nor a large int. */
PyObject *diag_pure_text(PyObject *object, bool is_repr);

#define DIAG_PURE_ARGUMENTS_MAX 16

/* One of the builtins that are known. */
struct diag_pure_builtin {
    const char *name;
    Py_ssize_t count_min, count_max; /* arguments, all by position */
    /* NULL: a function of the module builtins of that name; else the type that it has to be */
    PyTypeObject *type;
    struct diag_operand (*call)(PyObject *const *arguments, Py_ssize_t count);
};

/* NULL: it is not known. */
const struct diag_pure_builtin *diag_pure_builtin_find(PyObject *name);
/* True if `callable` is that builtin, and not something that the program has put there. */
bool diag_pure_builtin_is(const struct diag_pure_builtin *builtin, PyObject *callable);

#endif
