/* SPDX-License-Identifier: MIT */
/* operand - a value on its way between the nodes of an expression tree.
 *
 * It is passed on borrowed where it can be: from the parameters, the constants, and what they hold.
 * Nothing can free it meanwhile, as no code of the program runs.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_OPERAND_H
#define DIAG_INPROC_ENGINE_OPERAND_H

#include "inproc/engine/pycompat.h"

struct diag_operand {
    PyObject *object; /* NULL, without an exception: the tree gives up */
    PyObject *owned;  /* the same, if it is a new reference; else NULL */
};

static inline struct diag_operand diag_operand_borrowed(PyObject *object) {
    struct diag_operand operand = {object, NULL};

    return operand;
}

static inline struct diag_operand diag_operand_owned(PyObject *object) {
    struct diag_operand operand = {object, object};

    return operand;
}

/* Of a function that may have failed: its exception is not to be told, as Python will raise it
 * again when the tree has given up. */
static inline struct diag_operand diag_operand_made(PyObject *object) {
    if (DIAG_UNLIKELY(object == NULL))
        PyErr_Clear();
    return diag_operand_owned(object);
}

static inline void diag_operand_done(struct diag_operand operand) {
    Py_XDECREF(operand.owned);
}

/* A new reference. */
static inline PyObject *diag_operand_take(struct diag_operand operand) {
    return operand.owned != NULL ? operand.owned : Py_XNewRef(operand.object);
}

/* `part` lies in `whole`, which is done: makes sure that it lives on. */
static inline struct diag_operand diag_operand_part(struct diag_operand part,
                                                    struct diag_operand whole) {
    if (whole.owned == NULL)
        return part;
    if (part.owned == NULL && part.object != NULL)
        part.owned = Py_NewRef(part.object);
    Py_DECREF(whole.owned);
    return part;
}

#endif
