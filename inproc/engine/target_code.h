/* SPDX-License-Identifier: MIT */
/* target_code - code objects by name, and the list of those that a target names.
 *
 * What is found are the codes as the compiler made them, never injected copies.
 *
 * Threading: the GIL. No Python exception is set afterwards. */
#ifndef DIAG_INPROC_ENGINE_TARGET_CODE_H
#define DIAG_INPROC_ENGINE_TARGET_CODE_H

#include "inproc/engine/target.h"
#include "inproc/engine/target_path.h"

/* The code of a function, a lambda, a method or an accessible piece of one. */
enum diag_target_code_kind {
    DIAG_TARGET_CODE_FUNCTION,
    DIAG_TARGET_CODE_COMPREHENSION, /* or generator expression: has frames of its own */
    DIAG_TARGET_CODE_CLASS,         /* the body of a class */
    DIAG_TARGET_CODE_TYPE_SCOPE,    /* around a generic function or class; nothing by itself */
};

enum diag_target_code_kind diag_target_code_kind(PyCodeObject *code);

/* Borrowed: the code that a function has. */
PyCodeObject *diag_target_function_code(PyObject *function);

/* Borrowed: constant `index` of the code if it is a code object, else NULL. */
PyCodeObject *diag_target_inner_code(PyCodeObject *code, Py_ssize_t index);
static inline Py_ssize_t diag_target_constant_count(PyCodeObject *code) {
    return PyTuple_GET_SIZE(code->co_consts);
}

struct diag_target_codes {
    struct {
        PyCodeObject *code; /* owned */
        PyObject *globals;  /* owned */
    } items[DIAG_TARGET_CODES_MAX];
    size_t count;
    bool is_full; /* there are more */
};

void diag_target_codes_done(struct diag_target_codes *codes);

/* Each code once. */
void diag_target_codes_add(struct diag_target_codes *codes, PyCodeObject *code, PyObject *globals);

/* Adds what the parts of `path` from `first` on name inside of `code`. */
void diag_target_codes_search(struct diag_target_codes *codes, PyCodeObject *code,
                              PyObject *globals, const struct diag_target_path *path, size_t first);

/* Hands the codes over to `out`, which becomes FOUND, or REFUSED if there are too many or they
 * are of several modules. At least one code must be there. */
void diag_target_codes_finish(struct diag_target_codes *codes, struct diag_target *out);

/* The functions of the heap, collected first and judged later: nothing may be allocated while
 * the collector's lists are walked. */
struct diag_target_functions {
    PyObject **items; /* owned references */
    size_t count, capacity;
    bool is_out_of_memory;
    bool (*is_wanted)(void *context, PyObject *function); /* must not allocate Python objects */
    void *context;
};

/* False: out of memory. */
bool diag_target_functions_collect(struct diag_target_functions *functions);
void diag_target_functions_done(struct diag_target_functions *functions);

/* Adds what `path` names among the functions of the heap that belong to `module`, to which its
 * first `module_count` parts lead. False: out of memory. */
bool diag_target_codes_search_heap(struct diag_target_codes *codes, PyObject *module,
                                   const struct diag_target_path *path, size_t module_count);

#endif
