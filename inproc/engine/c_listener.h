/* SPDX-License-Identifier: MIT */
/* c_listener - a hook on a callable that is implemented in C, and the calls that are on their way
 * through it.
 *
 * Every mechanism has a thunk in the way of the calls: it asks diag_c_begin, makes the call, and
 * gives the result to diag_c_finish if the former said true.
 *
 * Threading: the GIL; calls of other interpreters, which may hold another GIL, pass unheard.
 * Ownership: counted. A flight keeps its listener, so that a hook may be detached and freed, and
 *            the callable dropped, while calls are under way. */
#ifndef DIAG_INPROC_ENGINE_C_LISTENER_H
#define DIAG_INPROC_ENGINE_C_LISTENER_H

#include "inproc/engine/backend.h"
#include "inproc/engine/c_callable.h"
#include "inproc/engine/guard.h"

struct diag_c_listener {
    size_t references;
    struct diag_hook *hook; /* NULL: detached */
    PyObject *callable;     /* owned */
    PyObject *names;        /* owned; of its arguments: see c_signature.h; or NULL */
    PyObject *only_self;    /* calls with this `self`; NULL: all. The callable keeps it alive */
    bool is_cython;         /* only_self is the function itself, or else an instance of a class */
    bool is_self_hidden;    /* the `self` that C gets is none to Python: a module */
};

/* One call, from diag_c_begin to diag_c_finish. */
struct diag_c_flight {
    struct diag_c_listener *listener; /* owned */
    struct diag_c_flight *next;       /* another one of the same call, begun later; owned */
    void (*leave)(struct diag_call *call, PyObject *result);
    struct diag_call call;
};

/* `what` is what diag_c_classify says of the callable. NULL: out of memory. */
struct diag_c_listener *diag_c_listener_new(PyObject *callable, const struct diag_c_callable *what,
                                            struct diag_hook *hook);
void diag_c_listener_free(struct diag_c_listener *listener);

static inline struct diag_c_listener *diag_c_listener_ref(struct diag_c_listener *listener) {
    listener->references++;
    return listener;
}

static inline void diag_c_listener_unref(struct diag_c_listener *listener) {
    if (DIAG_UNLIKELY(--listener->references == 0))
        diag_c_listener_free(listener);
}

/* The call is not to be heard: counts it, or detaches the hook as the stack is low. */
void diag_c_pass(struct diag_c_listener *listener);

/* What diag_c_finish does with an exception, further flights, or a callable that broke the rules.
 */
PyObject *diag_c_finish_unusual(struct diag_c_flight *flight, PyObject *result);

static inline bool diag_c_is_heard(const struct diag_c_listener *listener, PyObject *self) {
    if (DIAG_LIKELY(listener->only_self == NULL || listener->only_self == self))
        return true;
    return listener->is_cython && Py_TYPE(self) != Py_TYPE(listener->callable);
}

/* Lets the hook see the beginning of a call. `self`: what C gets, or NULL. False: there is no need
 * of diag_c_finish, and `flight` means nothing. */
static inline bool diag_c_begin(struct diag_c_listener *listener, PyObject *self,
                                PyObject *const *args, Py_ssize_t arg_count, PyObject *kwnames,
                                struct diag_c_flight *flight) {
    const struct diag_thread_state *thread = diag_thread_state_get();
    struct diag_call *call = &flight->call;
    struct diag_hook *hook;

    if (DIAG_UNLIKELY(diag_py_is_other_interpreter()) || !diag_c_is_heard(listener, self))
        return false;
    if (diag_guard_is_up(thread) || DIAG_UNLIKELY(diag_thread_state_is_stack_low(thread))) {
        diag_c_pass(listener);
        return false;
    }
    hook = listener->hook;
    call->callable = listener->callable;
    call->code = NULL;
    call->globals = NULL;
    call->self = listener->is_self_hidden || self == listener->callable ? NULL : self;
    call->args = args;
    call->arg_count = arg_count;
    call->kwnames = kwnames;
    call->names = listener->names;
    call->frame = NULL;
    call->locals = NULL;
    flight->listener = diag_c_listener_ref(listener);
    flight->next = NULL;
    flight->leave = hook->leave; /* the hook may be gone after the call */
    if (hook->enter(hook, call))
        return true;
    diag_c_listener_unref(listener);
    return false;
}

/* Lets the hook see the end of a call. Returns `result`, and leaves the exception as it is. */
static inline PyObject *diag_c_finish(struct diag_c_flight *flight, PyObject *result) {
    if (DIAG_UNLIKELY(result == NULL || flight->next != NULL || PyErr_Occurred()))
        return diag_c_finish_unusual(flight, result);
    flight->leave(&flight->call, result);
    diag_c_listener_unref(flight->listener);
    return result;
}

/* The arguments of a call that came as a tuple and a dict, as an array of all values and a tuple of
 * the keywords. */
struct diag_c_packed {
    PyObject *values; /* tuple */
    PyObject *kwnames;
};

/* False: out of memory; no exception is set. */
bool diag_c_pack(PyObject *args, PyObject *kwargs, struct diag_c_packed *out);
void diag_c_packed_done(struct diag_c_packed *packed);

static inline bool diag_c_has_keywords(PyObject *kwargs) {
    return kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0;
}

static inline PyObject *const *diag_c_items(PyObject *tuple) {
    return ((PyTupleObject *)tuple)->ob_item;
}

#endif
