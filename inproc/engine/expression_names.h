/* SPDX-License-Identifier: MIT */
/* expression_names - the names that an expression uses, and where each hit finds their values.
 *
 * Threading: the GIL. Immutable once built. */
#ifndef DIAG_INPROC_ENGINE_EXPRESSION_NAMES_H
#define DIAG_INPROC_ENGINE_EXPRESSION_NAMES_H

#include "inproc/engine/runtime.h"

#define DIAG_EXPRESSION_PARAMETERS_MAX 64
#define DIAG_EXPRESSION_WARNING_MAX 256

enum diag_expression_source {
    DIAG_EXPRESSION_SOURCE_CONTEXT,
    DIAG_EXPRESSION_SOURCE_ARGUMENT,
    DIAG_EXPRESSION_SOURCE_VARIABLE, /* of the frame */
    /* END and LINE: a context name, unless the globals or builtins have one such name */
    DIAG_EXPRESSION_SOURCE_LAST,
};

/* A name that is known beforehand. */
struct diag_expression_parameter {
    PyObject *name;
    enum diag_expression_source source;
    enum diag_context_name context;
    int index; /* of the argument or variable, in the code that the expression was compiled for */
};

struct diag_expression_names {
    struct diag_expression_parameter parameters[DIAG_EXPRESSION_PARAMETERS_MAX];
    size_t parameter_count;
    bool needs_namespace; /* too many of them, or one that sees them all: locals(), eval() */
    PyObject *unforeseen; /* tuple of other names that a call may bring by **kwargs, or NULL */
    char warning[DIAG_EXPRESSION_WARNING_MAX]; /* the names that nothing has yet, or "" */
    char error[DIAG_EXPRESSION_WARNING_MAX];   /* a name that this point will never have, or "" */
};

/* `code` is that of the expression. -1 with an exception: *out is to be released all the same. */
DIAG_MUST_CHECK int diag_expression_names_find(PyObject *code, const struct diag_runtime *runtime,
                                               const struct diag_scope *scope,
                                               struct diag_expression_names *out);
void diag_expression_names_done(struct diag_expression_names *names);

/* Index of the parameter `name`, or -1: it is looked up in the globals and builtins. */
int diag_expression_names_index(const struct diag_expression_names *names, PyObject *name);

/* Borrowed: the dict of builtins that `globals` (a dict or NULL) come with. */
PyObject *diag_expression_names_builtins(PyObject *globals);

/* A new list of the parameters' names; NULL with an exception. */
PyObject *diag_expression_names_list(const struct diag_expression_names *names);

#endif
