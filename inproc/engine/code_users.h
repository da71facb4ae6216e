/* SPDX-License-Identifier: MIT */
/* code_users - finds the function objects of a code object, and the code objects that make them.
 *
 * Walks the garbage collector's lists, those of gc.freeze() included: about 3 ms per 300,000
 * objects. Runs no code of the program.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_CODE_USERS_H
#define DIAG_INPROC_ENGINE_CODE_USERS_H

#include "inproc/engine/pycompat.h"

/* Calls `visit` with each function object that the collector tracks (borrowed), until it returns
 * false. `visit` must not allocate or free Python objects. */
void diag_code_users_each_function(bool (*visit)(void *context, PyObject *function), void *context);

/* A new list of the functions whose __code__ is `code`; NULL with an exception: out of memory. */
PyObject *diag_code_users_functions(PyCodeObject *code);

/* Calls `visit` with each code object that may yet make functions (borrowed): those of functions,
 * of running frames and of suspended generators, and all that they hold among their constants. Some
 * come more than once. Those that only a variable of the program refers to are not found. `visit`
 * must not allocate or free Python objects, but may replace code among the constants. */
void diag_code_users_each_code(void (*visit)(void *context, PyCodeObject *code), void *context);

/* True if the only references to `code` are those of `function` and `others`: it then has no other
 * function, and the heap need not be walked. */
bool diag_code_users_is_only(PyCodeObject *code, PyObject *function, Py_ssize_t others);

/* True while a collection is under way (it runs code of the program): what it looks at is on lists
 * of its own, and is not found. */
bool diag_code_users_is_collecting(void);

#endif
