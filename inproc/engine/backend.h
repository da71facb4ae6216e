/* SPDX-License-Identifier: MIT */
/* backend - a way to see the calls of one callable from outside, and what it calls when it sees
 * one. What happens inside of a function's frames is seen by way of observer.h.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_BACKEND_H
#define DIAG_INPROC_ENGINE_BACKEND_H

#include "inproc/engine/call.h"
#include "lib/base/error.h"

/* What to do at each call. Hooks are not called while an instrument runs on the same thread, but
 * for those that are never left out. */
struct diag_hook {
    bool is_never_left_out;
    uint64_t reentrant; /* counted by the backend: calls while an instrument ran on the thread */
    /* Before the call; no exception is set before or after. False: leave out `leave`. True: the
     * hook keeps alive by itself what `leave` needs, as it may be detached meanwhile. */
    bool (*enter)(struct diag_hook *hook, struct diag_call *call);
    /* After the call. `result` is borrowed; NULL: the exception is set, and is set afterwards. */
    void (*leave)(struct diag_call *call, PyObject *result);
    /* NULL, or takes the place of `enter` and `leave`, and answers for the call: what it returns is
     * what the caller gets (a new reference, or NULL with an exception). It may have the callable
     * run by diag_backend_proceed, with the arguments of the call or others, or not at all, and
     * keeps alive by itself what it needs. Only the type swap can do this. */
    PyObject *(*intercept)(struct diag_hook *hook, struct diag_call *call);
    /* The C stack is nearly exhausted: the backend has detached the function by itself. */
    void (*exhausted)(struct diag_hook *hook);
};

/* What the call would have done without a hook that intercepts, with these arguments (laid out as
 * in diag_call). A new reference, or NULL with an exception. */
PyObject *diag_backend_proceed(const struct diag_call *call, PyObject *const *args,
                               Py_ssize_t arg_count, PyObject *kwnames);

/* How far an attached hook sees. */
struct diag_backend_coverage {
    const char *mechanism; /* of those that the backend has; static */
    char excluded[256];    /* what is not seen, and why; "": nothing */
};

struct diag_backend {
    const char *name; /* for messages */
    /* Calls of `callable` go through `hook` from now on; calls in flight are left alone.
     * DIAG_ERR_EXISTS: somebody else's hook is there. DIAG_ERR_UNSUPPORTED: why it cannot be seen,
     * or not be intercepted.
     * DIAG_ERR_NO_MEMORY. */
    enum diag_status (*attach)(PyObject *callable, struct diag_hook *hook,
                               struct diag_backend_coverage *coverage, struct diag_error *err);
    /* Restores the callable exactly. Calls in flight still get their `leave`. Nothing happens if
     * `hook` is not attached. */
    void (*detach)(PyObject *callable, struct diag_hook *hook);
};

/* Python functions: the function's type is swapped for a copy of PyFunction_Type, and its
 * vectorcall for a thunk. */
extern const struct diag_backend diag_backend_type_swap;

/* Callables that are implemented in C: built-in functions and methods, Cython's functions, callable
 * instances of types in C. */
extern const struct diag_backend diag_backend_c;

/* A callable that diag_backend_c could not change has a stand-in wherever it was found, so a name
 * may lead to that: what it stands in for, or `callable` itself. Borrowed. */
PyObject *diag_backend_c_original(PyObject *callable);

/* DIAG_ERR_UNSUPPORTED says why this interpreter cannot be probed. */
DIAG_MUST_CHECK enum diag_status diag_backend_check_interpreter(struct diag_error *err);

#endif
