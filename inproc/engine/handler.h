/* SPDX-License-Identifier: MIT */
/* handler - an object of the program's that takes the hits of a spec, in place of an event.
 *
 * A spec with a handler is armed as any other, by diag_engine_put; its value and tags are compiled,
 * but evaluated only if the handler asks for them.
 *
 * Threading: the GIL.
 * Errors:    no exception is set when a function of the handler is called, and none may be set when
 *            it returns, but for those of `intercept`. While they run, hits on this thread are
 *            left out and counted as DIAG_SKIP_REENTRANT.
 * Ownership: the engine keeps the objects alive while the spec is armed and while a call is in
 *            flight; a spec may be removed from within these functions. */
#ifndef DIAG_INPROC_ENGINE_HANDLER_H
#define DIAG_INPROC_ENGINE_HANDLER_H

#include <stdbool.h>

#include "lib/base/compiler.h"

typedef struct _object PyObject; /* as in Python.h, which need not be included */
struct diag_hit;
struct diag_interception;

struct diag_handler {
    PyObject *object;   /* of whoever takes the hits */
    PyObject *globals;  /* dict: names that neither the context nor the function's arguments or
                           variables have are looked up in it at each hit, before the function's
                           globals; NULL: none */
    PyObject *callable; /* NULL, or what is probed, whatever the target's names lead to: a decorator
                           has a function before it is bound to its name */
    bool wants_arguments; /* it calls diag_hit_arguments: they are to be seen exactly as given,
                             where that is possible */
    bool wants_namespace; /* it calls diag_hit_namespace */
    /* The event of the spec has come. */
    void (*fire)(PyObject *object, const struct diag_hit *hit);
    /* NULL, or takes the place of the call; only for specs whose event is `call`, and for targets
     * that the type swap sees (else DIAG_ERR_UNSUPPORTED). What it returns (a new reference, or
     * NULL with an exception) is what the caller gets. `fire` is not called then. */
    PyObject *(*intercept)(PyObject *object, struct diag_interception *interception);
};

/* The value and the tags that the spec's expressions give. New references. NULL with an exception:
 * it raised. NULL without one: a name has no value in this call (the hit is counted as
 * DIAG_SKIP_UNBOUND), a signal handler of the program struck (see diag_hit_count_error), or there
 * is no expression for tags. */
PyObject *diag_hit_value(const struct diag_hit *hit);
PyObject *diag_hit_tags(const struct diag_hit *hit);
bool diag_hit_has_tags(const struct diag_hit *hit);

/* All names that the expressions see, as a dict that looks further in the handler's globals, those
 * of the function, and the builtins: fit for eval(expression, namespace, namespace). A new
 * reference; NULL with an exception. */
PyObject *diag_hit_namespace(const struct diag_hit *hit);

/* Counts the hit as one of the spec's errors, in place of its hits. To be called with the exception
 * set that the handler is about to deal with, where there is one. False: it is none of the
 * handler's, as a signal handler of the program raised it (Ctrl-C); it has been taken, and reaches
 * the program as soon as the handlers are done. */
bool diag_hit_count_error(const struct diag_hit *hit);

/* The call's arguments: a tuple and a dict, new references; -1 with an exception. */
DIAG_MUST_CHECK int diag_hit_arguments(const struct diag_hit *hit, PyObject **args,
                                       PyObject **kwargs);

/* The hit that an interception is, as for an event `call`; valid while `intercept` runs. */
const struct diag_hit *diag_interception_hit(const struct diag_interception *interception);

/* The arguments as the caller gave them (or another handler that intercepts), and the call itself.
 * `proceed` goes on with what would have happened without this handler (other handlers that
 * intercept, in the order in which they were put, then the target), with these arguments: a tuple,
 * and a dict or NULL. It may be called any number of times while `intercept` runs, in the same
 * thread and greenlet, which is for the handler to see to: the interception lies on that one's
 * C stack. A new reference, or NULL with the exception of the target. Hits on this thread count
 * again meanwhile. */
DIAG_MUST_CHECK int diag_interception_arguments(const struct diag_interception *interception,
                                                PyObject **args, PyObject **kwargs);
PyObject *diag_interception_proceed(struct diag_interception *interception, PyObject *args,
                                    PyObject *kwargs);

#endif
