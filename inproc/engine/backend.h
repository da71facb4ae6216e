/* SPDX-License-Identifier: MIT */
/* backend - a way to see the calls of one Python function, and what it calls when it sees one.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_BACKEND_H
#define DIAG_INPROC_ENGINE_BACKEND_H

#include "inproc/engine/call.h"
#include "lib/base/error.h"

/* What to do at each call. Hooks are not called while an instrument runs on the same thread. */
struct diag_hook {
    /* Before the call; no exception is set before or after. False: leave out `leave`. True: the
     * hook keeps alive by itself what `leave` needs, as it may be detached meanwhile. */
    bool (*enter)(struct diag_hook *hook, struct diag_call *call);
    /* After the call. `result` is borrowed; NULL: the exception is set, and is set afterwards. */
    void (*leave)(struct diag_call *call, PyObject *result);
    /* The C stack is nearly exhausted: the backend has detached the function by itself. */
    void (*exhausted)(struct diag_hook *hook);
};

struct diag_backend {
    const char *name; /* a spec status's mechanism */
    /* Calls of `function` go through `hook` from now on; calls in flight are left alone.
     * DIAG_ERR_EXISTS: somebody else's hook is there. DIAG_ERR_NO_MEMORY. */
    enum diag_status (*attach)(PyObject *function, struct diag_hook *hook, struct diag_error *err);
    /* Restores the function exactly. Calls in flight still get their `leave`. Nothing happens if
     * `hook` is not attached. */
    void (*detach)(PyObject *function, struct diag_hook *hook);
};

/* CPython 3.11: the function's type is swapped for a copy of PyFunction_Type, and its vectorcall
 * for a thunk. */
extern const struct diag_backend diag_backend_type_swap;

/* The backend for this interpreter. DIAG_ERR_UNSUPPORTED says why there is none. */
DIAG_MUST_CHECK enum diag_status diag_backend_choose(const struct diag_backend **out,
                                                     struct diag_error *err);

#endif
