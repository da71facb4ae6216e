/* SPDX-License-Identifier: MIT */
/* expression_source - the text of an expression: checked, and handed to Python's own compiler.
 *
 * The compiler runs no code of the program: its warnings are told to nobody.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_EXPRESSION_SOURCE_H
#define DIAG_INPROC_ENGINE_EXPRESSION_SOURCE_H

#include "inproc/engine/pycompat.h"
#include "lib/base/error.h"

/* As many operators and brackets may lie inside of each other. Few enough for the compiler's
 * recursion on any thread's stack. */
#define DIAG_EXPRESSION_NESTING_MAX 500

/* *code: for an eval(); *tree: an ast.Expression. New references. DIAG_ERR_INVALID: its syntax, or
 * how deeply it is nested; DIAG_ERR_TOO_LARGE; DIAG_ERR_UNAVAILABLE: as below. The message begins
 * with `field`; no Python exception is set. */
DIAG_MUST_CHECK enum diag_status diag_expression_source_compile(const char *text, const char *field,
                                                                PyObject **code, PyObject **tree,
                                                                struct diag_error *err);

/* A function of `parameters` (a sequence of names) that gives the value of the text, which has been
 * checked; NULL with an exception. */
PyObject *diag_expression_source_function(const char *text, PyObject *parameters,
                                          PyObject *globals);

/* Turns the exception that is set into an error of `field`, DIAG_ERR_INVALID. DIAG_ERR_UNAVAILABLE:
 * it was a signal handler's, is taken (interrupt.h), and another attempt may do. */
enum diag_status diag_expression_source_fail(const char *field, struct diag_error *err);

/* True for the code of an expression's own function. */
bool diag_expression_source_is_ours(PyCodeObject *code);

#endif
