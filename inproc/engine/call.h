/* SPDX-License-Identifier: MIT */
/* call - one call of a probed function: its arguments and what a hook notes down about it.
 *
 * Threading: the GIL; belongs to the thread that makes the call.
 * Ownership: the function, the arguments and kwnames are borrowed from the caller, who keeps them
 *            alive until the call is over. */
#ifndef DIAG_INPROC_ENGINE_CALL_H
#define DIAG_INPROC_ENGINE_CALL_H

#include <stdint.h>

#include "inproc/engine/pycompat.h"
#include "lib/base/clock.h"

struct diag_call {
    PyObject *function;
    PyObject *const *args; /* positional ones, then the values of kwnames */
    Py_ssize_t arg_count;  /* positional ones */
    PyObject *kwnames;     /* NULL: none */

    /* The rest belongs to the hook. */
    void *state;
    PyCodeObject *code; /* the function's when it was called */
    uint64_t start_unix_ns;
    uint64_t start_monotonic_ns;
    uint64_t end_unix_ns;
    uint64_t end_monotonic_ns;
    PyObject *result; /* borrowed; the exception if it raised; NULL: not there yet */
};

static inline Py_ssize_t diag_call_keyword_count(const struct diag_call *call) {
    return call->kwnames == NULL ? 0 : PyTuple_GET_SIZE(call->kwnames);
}

/* What the function took, in seconds, once it has returned. */
static inline double diag_call_elapsed_s(const struct diag_call *call) {
    /* a renewal of the scale in between may have set it back a little: see hit_clock.h */
    uint64_t ns = call->end_monotonic_ns < call->start_monotonic_ns
                      ? 0
                      : call->end_monotonic_ns - call->start_monotonic_ns;

    return (double)ns / (double)DIAG_NS_PER_S;
}

/* Index of the argument `name` of `code`, or -1. `hint` is tried first. */
int diag_call_argument_index(PyCodeObject *code, PyObject *name, int hint);

/* A new reference to the value of the argument `index`, as the function gets to see it: given by
 * position or keyword, or its default; *args as a tuple, **kwargs as a dict. NULL without an
 * exception: the call did not give it; NULL with one: out of memory. */
PyObject *diag_call_argument(const struct diag_call *call, int index);

/* True if `keyword` (out of kwnames) names no argument and goes into **kwargs. */
bool diag_call_is_extra_keyword(const struct diag_call *call, PyObject *keyword);

/* New references: the arguments by name, those in **kwargs included; the positional ones as they
 * were given; the keywords as they were given. NULL with an exception: out of memory. */
PyObject *diag_call_arguments(const struct diag_call *call);
PyObject *diag_call_positional(const struct diag_call *call);
PyObject *diag_call_keywords(const struct diag_call *call);

#endif
