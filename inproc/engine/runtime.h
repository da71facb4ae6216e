/* SPDX-License-Identifier: MIT */
/* runtime - the Python objects that an engine's expressions need: types, names, datetime.
 *
 * Threading: the GIL.
 * Ownership: counted; calls in flight may outlive the engine. */
#ifndef DIAG_INPROC_ENGINE_RUNTIME_H
#define DIAG_INPROC_ENGINE_RUNTIME_H

#include "inproc/engine/call.h"
#include "lib/base/error.h"

/* The names that an expression sees besides the function's own. */
enum diag_context_name {
    DIAG_CONTEXT_START, /* float, time.time() before the call */
    DIAG_CONTEXT_NOW,   /* datetime.datetime.utcnow() before the call */
    DIAG_CONTEXT_ARGS,
    DIAG_CONTEXT_KWARGS,
    DIAG_CONTEXT_FRAME, /* f_back is the caller's frame */
    /* The rest only at RETURN and, but for hotspots, at END. */
    DIAG_CONTEXT_ACTIVE, /* float, seconds that the call ran: without its suspensions */
    DIAG_CONTEXT_RESULT, /* or the exception */
    DIAG_CONTEXT_END,
    DIAG_CONTEXT_ELAPSED,
    DIAG_CONTEXT_HOTSPOTS,
    DIAG_CONTEXT_COUNT,
};

struct diag_runtime {
    size_t references;
    PyObject *names[DIAG_CONTEXT_COUNT];
    PyTypeObject *frame_view_type;
    PyTypeObject *namespace_type;
    void *datetime; /* PyDateTime_CAPI */
};

/* No Python exception is set on failure. */
DIAG_MUST_CHECK enum diag_status diag_runtime_new(struct diag_runtime **out,
                                                  struct diag_error *err);
struct diag_runtime *diag_runtime_ref(struct diag_runtime *runtime);
void diag_runtime_unref(struct diag_runtime *runtime); /* NULL is fine */

/* Which name this is, or -1: none that there is at `point`. */
int diag_runtime_context_name(const struct diag_runtime *runtime, enum diag_point point,
                              PyObject *name);

/* The points at which there is a context name, for messages: "return and end"; NULL: it is none, or
 * is there at all of them. Static. */
const char *diag_runtime_points_of(const struct diag_runtime *runtime, PyObject *name);

/* CALL and RETURN: true if an argument of that name hides it; else it hides the argument. (At END
 * and LINE, everything else hides context names.) */
static inline bool diag_runtime_is_hidden(enum diag_context_name name) {
    return name < DIAG_CONTEXT_RESULT;
}

/* A new reference to the context value `name`; NULL with an exception. */
PyObject *diag_runtime_context_value(const struct diag_runtime *runtime, enum diag_point point,
                                     const struct diag_call *call, enum diag_context_name name);

/* A dict of everything that an expression sees, for eval() and locals(); NULL with an exception.
 * CALL and RETURN: it holds context names and arguments, and looks further in the globals; END and
 * LINE: the variables, and it looks further in the globals, the builtins and the context names.
 * `handler_globals` (a dict or NULL) come before the globals. `hotspots` is among the context names
 * only with `has_hotspots`. */
PyObject *diag_runtime_namespace(const struct diag_runtime *runtime, enum diag_point point,
                                 const struct diag_call *call, PyObject *handler_globals,
                                 bool has_hotspots);

/* A dict in which a function of the names in `globals` finds also those in `handler_globals`, which
 * come first; NULL with an exception. Both are dicts. */
PyObject *diag_runtime_globals(const struct diag_runtime *runtime, PyObject *handler_globals,
                               PyObject *globals, PyObject *builtins);

#endif
