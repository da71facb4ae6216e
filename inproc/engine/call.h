/* SPDX-License-Identifier: MIT */
/* call - one call of a probed function: where its values are, and what is noted down about it.
 *
 * A call is seen from outside (its arguments as they were given: `args`) or from inside (the
 * variables of its frame: `locals`); never both.
 *
 * Threading: the GIL; belongs to the thread that makes the call.
 * Ownership: everything is borrowed from the caller or the frame, who keep it alive. */
#ifndef DIAG_INPROC_ENGINE_CALL_H
#define DIAG_INPROC_ENGINE_CALL_H

#include <stdint.h>

#include "inproc/engine/pycompat.h"
#include "lib/base/clock.h"

struct diag_hotspots;

/* When an instrument fires. */
enum diag_point {
    DIAG_POINT_CALL,
    DIAG_POINT_RETURN, /* also with an exception as result */
    DIAG_POINT_END,    /* in the frame, just before it returns or raises */
    DIAG_POINT_LINE,   /* in the frame, just before the line is executed */
    /* in place of the call; of actions only, whose expressions see what they see at CALL */
    DIAG_POINT_INTERCEPT,
};

/* What is known beforehand of the calls that an expression is compiled for. Borrowed. */
struct diag_scope {
    enum diag_point point;
    bool is_inside;     /* the calls are seen from inside; always so for END and LINE */
    PyCodeObject *code; /* NULL: the callable is implemented in C */
    PyObject *names;    /* code == NULL: tuple of its arguments' names (with that of diag_call.self,
                           if there is one, first), or NULL: not known */
    PyObject
        *handler_globals; /* dict: where other names are looked up first; NULL: there is none */
    PyObject *globals;    /* dict: where they are looked up then; NULL: builtins only */
};

struct diag_call {
    PyObject *callable; /* the function; NULL if seen from inside */
    PyCodeObject *code; /* the function's when it was called; NULL: implemented in C */
    PyObject *globals;  /* the function's; NULL: implemented in C */

    /* From outside. */
    PyObject *self;        /* of a method in C: comes before args; else NULL */
    PyObject *const *args; /* positional ones, then the values of kwnames */
    Py_ssize_t arg_count;  /* positional ones */
    PyObject *kwnames;     /* NULL: none */
    PyObject *names;       /* code == NULL: see diag_scope */

    /* From inside. */
    diag_py_frame *frame;
    PyObject *const *locals; /* by the code's localsplus; cells are not opened; NULL: unbound */
    /* RETURN: arguments (a bit for each index below 64) that were noted at the start, since the
     * code rebinds them; and their values, cells opened: one for each bit, NULL: unbound. */
    uint64_t captured_mask;
    PyObject *const *captured;

    vectorcallfunc unprobed; /* what it goes on to; from outside, of Python functions */
    void *state;             /* the hook's */
    uint64_t start_unix_ns;
    uint64_t start_monotonic_ns;
    uint64_t end_unix_ns;
    uint64_t end_monotonic_ns;
    uint64_t active_ns;             /* the time between suspensions; of a plain call: all */
    struct diag_hotspots *hotspots; /* NULL: not measured */
    PyObject *result;               /* or the exception; NULL: not there yet */
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

/* Index of the argument `name`, or -1, and of the variable, out of localsplus. `hint` is tried
 * first. */
int diag_call_argument_index(PyCodeObject *code, PyObject *name, int hint);
int diag_call_local_index(PyCodeObject *code, PyObject *name, int hint);

/* The same for a callable that is implemented in C; `names` as in diag_scope. */
int diag_call_name_index(PyObject *names, PyObject *name, int hint);

/* A new reference to the value of the argument `index`, as the function gets to see it: given by
 * position or keyword, or its default; *args as a tuple, **kwargs as a dict. From inside: what it
 * was at the start if that was captured, else what it is now. NULL without an exception: the call
 * did not give it, or it is unbound; NULL with one: out of memory. */
PyObject *diag_call_argument(const struct diag_call *call, int index);

/* From inside: a new reference to the variable `index` of the code's localsplus, cells opened.
 * NULL without an exception: unbound. */
PyObject *diag_call_local(const struct diag_call *call, int index);

/* The same two, borrowed from the call or the frame. NULL, without an exception: as above, or an
 * argument that would have to be made. */
PyObject *diag_call_borrow_argument(const struct diag_call *call, int index);
PyObject *diag_call_borrow_local(const struct diag_call *call, int index);

/* True if the call brings `name` by keyword, and no argument is called so: it goes into **kwargs.
 */
bool diag_call_has_extra_keyword(const struct diag_call *call, PyObject *name);

/* New references: the arguments by name, those in **kwargs included; the positional ones; the
 * keywords. From outside as they were given (self included); from inside rebuilt: every
 * parameter that may be given by position counts as positional. NULL with an exception: out of
 * memory. */
PyObject *diag_call_arguments(const struct diag_call *call);
PyObject *diag_call_positional(const struct diag_call *call);
PyObject *diag_call_keywords(const struct diag_call *call);

/* Borrowed: the dict of builtins that the function sees. */
PyObject *diag_call_builtins(const struct diag_call *call);

/* From inside: a new dict of all variables that are bound. */
PyObject *diag_call_locals(const struct diag_call *call);

#endif
