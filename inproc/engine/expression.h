/* SPDX-License-Identifier: MIT */
/* expression - a Python expression of an instrument, compiled for one scope.
 *
 * In the order of their price, what an expression becomes:
 *   a constant; one context name, argument or variable, fetched directly; a tree of C closures
 *   (the pure subset, see expression_tree.h); a function whose parameters are exactly the names
 *   that it uses; an eval() in a dict of all names, where they are not known beforehand
 *   (locals(), eval(), keywords that went into **kwargs).
 *
 * Names: for CALL and RETURN the context names and the arguments (see runtime.h); for END and LINE
 * the function's variables, then its globals, and behind both the context names. What is found in
 * neither is looked up at each hit in the globals and builtins.
 *
 * Threading: the GIL. Immutable once built, but for counters and caches. */
#ifndef DIAG_INPROC_ENGINE_EXPRESSION_H
#define DIAG_INPROC_ENGINE_EXPRESSION_H

#include "inproc/engine/runtime.h"
#include "lib/base/cleanup.h"

struct diag_expression;

/* What a hit has to bring along for an expression. */
enum {
    DIAG_EXPRESSION_NEEDS_START = 1,   /* start_unix_ns */
    DIAG_EXPRESSION_NEEDS_ELAPSED = 2, /* start_monotonic_ns, end_monotonic_ns */
    DIAG_EXPRESSION_NEEDS_END = 4,     /* end_unix_ns */
    DIAG_EXPRESSION_NEEDS_ACTIVE = 8,  /* active_ns */
    DIAG_EXPRESSION_NEEDS_HOTSPOTS = 16,
    DIAG_EXPRESSION_NEEDS_GIVEN = 32, /* the arguments exactly as given: args, kwargs */
    /* for a dict of all names but hotspots */
    DIAG_EXPRESSION_NEEDS_NAMESPACE = DIAG_EXPRESSION_NEEDS_START | DIAG_EXPRESSION_NEEDS_ELAPSED |
                                      DIAG_EXPRESSION_NEEDS_END | DIAG_EXPRESSION_NEEDS_ACTIVE,
};

/* Only the syntax and the size: DIAG_ERR_INVALID, the message begins with `field`. No Python
 * exception is set. */
DIAG_MUST_CHECK enum diag_status diag_expression_check(const char *text, const char *field,
                                                       struct diag_error *err);

/* The caller owns *out. */
DIAG_MUST_CHECK enum diag_status diag_expression_new(const char *text, const char *field,
                                                     struct diag_runtime *runtime,
                                                     const struct diag_scope *scope,
                                                     struct diag_expression **out,
                                                     struct diag_error *err);
void diag_expression_free(struct diag_expression *expression); /* NULL is fine */
DIAG_DEFINE_FREEP(diag_expression, struct diag_expression)

unsigned diag_expression_needs(const struct diag_expression *expression);

/* CALL and RETURN: the arguments that it may read, a bit for each index; those beyond the 63rd
 * share the last bit. */
uint64_t diag_expression_arguments(const struct diag_expression *expression);

/* True if the expression is in the pure subset (see docs/engine.md): evaluating it changes nothing
 * and runs no code of the program, in every hit but the ones that fell back. */
bool diag_expression_is_pure(const struct diag_expression *expression);

/* The hits of a pure expression that met an object outside of the rules (a property, an __eq__ of
 * the program's, a wrong operand) and were evaluated by Python: 0 is the proof that all were pure.
 */
uint64_t diag_expression_fallbacks(const struct diag_expression *expression);

/* The value, if it is the same at every hit (borrowed), or NULL. */
PyObject *diag_expression_constant(const struct diag_expression *expression);

/* True if its value is diag_call_elapsed_s: no object need be made to know it. */
bool diag_expression_is_elapsed(const struct diag_expression *expression);

/* True if its value is `result`, an argument that may be given by position, or a variable of the
 * frame: fetching it runs nothing, not even the garbage collector. */
bool diag_expression_is_fetch(const struct diag_expression *expression);

/* The value of such an expression, borrowed from the call. NULL: it has to be evaluated. */
PyObject *diag_expression_borrow(const struct diag_expression *expression,
                                 const struct diag_call *call);

/* Names that nothing has yet: neither the function nor the context nor the namespaces. A text such
 * as "instrument.value: nothing is called 'x' or 'y' yet"; "" if there are none. */
const char *diag_expression_warning(const struct diag_expression *expression);

/* A new reference to the value. NULL with an exception: it raised. NULL without one: a name that it
 * uses is an argument that the call did not give, or a variable that is not bound. */
PyObject *diag_expression_evaluate(const struct diag_expression *expression,
                                   const struct diag_call *call);

#endif
