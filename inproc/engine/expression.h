/* SPDX-License-Identifier: MIT */
/* expression - a Python expression of an instrument, compiled for one function.
 *
 * In the order of their price, what an expression becomes:
 *   a constant; one context name or argument, fetched directly; a function whose parameters are
 *   exactly the names that it uses; an eval() in a dict of all names, where they are not known
 *   beforehand (locals(), eval(), keywords that went into **kwargs).
 *
 * Threading: the GIL. Immutable once built. */
#ifndef DIAG_INPROC_ENGINE_EXPRESSION_H
#define DIAG_INPROC_ENGINE_EXPRESSION_H

#include "inproc/engine/runtime.h"
#include "lib/base/cleanup.h"

struct diag_expression;

/* What has to be measured for an expression. */
enum {
    DIAG_EXPRESSION_NEEDS_START = 1,   /* start_unix_ns */
    DIAG_EXPRESSION_NEEDS_ELAPSED = 2, /* start_monotonic_ns, end_monotonic_ns */
};

/* Only the syntax and the size: DIAG_ERR_INVALID, the message begins with `field`. No Python
 * exception is set. */
DIAG_MUST_CHECK enum diag_status diag_expression_check(const char *text, const char *field,
                                                       struct diag_error *err);

/* For calls of `function`, after the call if `is_return`. The caller owns *out. */
DIAG_MUST_CHECK enum diag_status diag_expression_new(const char *text, const char *field,
                                                     struct diag_runtime *runtime,
                                                     PyObject *function, bool is_return,
                                                     struct diag_expression **out,
                                                     struct diag_error *err);
void diag_expression_free(struct diag_expression *expression); /* NULL is fine */
DIAG_DEFINE_FREEP(diag_expression, struct diag_expression)

unsigned diag_expression_needs(const struct diag_expression *expression);

/* True if its value is diag_call_elapsed_s: no object need be made to know it. */
bool diag_expression_is_elapsed(const struct diag_expression *expression);

/* A new reference to the value. NULL with an exception: it raised. NULL without one: the call
 * itself did not give an argument that the expression uses. */
PyObject *diag_expression_evaluate(const struct diag_expression *expression,
                                   const struct diag_call *call);

#endif
