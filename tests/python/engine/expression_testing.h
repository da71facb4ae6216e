/* SPDX-License-Identifier: MIT */
/* expression_testing - engine_testing.Expression: an expression on its own, evaluated for calls
 * that the tests make up, and in the frame of the test itself.
 *
 * Threading: the GIL. */
#ifndef DIAG_TESTS_PYTHON_ENGINE_EXPRESSION_TESTING_H
#define DIAG_TESTS_PYTHON_ENGINE_EXPRESSION_TESTING_H

struct _object; /* PyObject: Python.h is to be included with other settings here and there */

/* Adds the type to the module; -1 with an exception. */
int diag_expression_testing_add(struct _object *module);

#endif
