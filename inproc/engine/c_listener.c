/* SPDX-License-Identifier: MIT */
#include "inproc/engine/c_listener.h"

#include <stdlib.h>

#include "inproc/engine/c_signature.h"

struct diag_c_listener *diag_c_listener_new(PyObject *callable, const struct diag_c_callable *what,
                                            struct diag_hook *hook) {
    struct diag_c_listener *listener = calloc(1, sizeof *listener);

    if (listener == NULL)
        return NULL;
    listener->references = 1;
    listener->hook = hook;
    listener->callable = Py_NewRef(callable);
    listener->only_self = what->only_self;
    listener->is_cython = what->is_cython;
    listener->is_self_hidden = what->is_self_hidden;
    listener->names =
        diag_c_signature(callable, what->kind == DIAG_C_KIND_DEFINITION && !what->is_self_hidden);
    return listener;
}

void diag_c_listener_free(struct diag_c_listener *listener) {
    if (listener == NULL)
        return;
    Py_DECREF(listener->callable);
    Py_XDECREF(listener->names);
    free(listener);
}

void diag_c_pass(struct diag_c_listener *listener) {
    struct diag_hook *hook = listener->hook;

    if (diag_guard_is_up(diag_thread_state_get())) {
        hook->reentrant++;
        return;
    }
    diag_backend_c.detach(listener->callable, hook);
    hook->exhausted(hook);
}

/* Hooks may rely on there being an exception if there is no result, and none if there is one. */
static void leave(struct diag_c_flight *flight, PyObject *result) {
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    bool is_odd = (result == NULL) != (PyErr_Occurred() != NULL);

    if (is_odd && result == NULL) /* as the interpreter is about to put it */
        PyErr_Format(PyExc_SystemError, "%R returned NULL without setting an exception",
                     flight->call.callable);
    else if (is_odd)
        PyErr_Fetch(&type, &value, &traceback);
    flight->leave(&flight->call, result);
    if (is_odd)
        PyErr_Restore(type, value, traceback);
}

PyObject *diag_c_finish_unusual(struct diag_c_flight *flight, PyObject *result) {
    while (flight->next != NULL) {
        struct diag_c_flight *done = flight->next;

        flight->next = done->next;
        leave(done, result);
        diag_c_listener_unref(done->listener);
        free(done);
    }
    leave(flight, result);
    diag_c_listener_unref(flight->listener);
    return result;
}

bool diag_c_pack(PyObject *args, PyObject *kwargs, struct diag_c_packed *out) {
    Py_ssize_t arg_count = PyTuple_GET_SIZE(args), position = 0;
    PyObject *values = PyTuple_New(arg_count + PyDict_GET_SIZE(kwargs));
    PyObject *kwnames = PyTuple_New(PyDict_GET_SIZE(kwargs));
    PyObject *key, *value;

    /* Allocating may have run finalizers that alter the dict. */
    if (values == NULL || kwnames == NULL ||
        PyTuple_GET_SIZE(values) != arg_count + PyDict_GET_SIZE(kwargs) ||
        PyTuple_GET_SIZE(kwnames) != PyDict_GET_SIZE(kwargs)) {
        PyErr_Clear();
        Py_XDECREF(values);
        Py_XDECREF(kwnames);
        return false;
    }
    for (Py_ssize_t i = 0; i < arg_count; i++)
        PyTuple_SET_ITEM(values, i, Py_NewRef(PyTuple_GET_ITEM(args, i)));
    for (Py_ssize_t i = 0; PyDict_Next(kwargs, &position, &key, &value); i++) {
        PyTuple_SET_ITEM(kwnames, i, Py_NewRef(key));
        PyTuple_SET_ITEM(values, arg_count + i, Py_NewRef(value));
    }
    *out = (struct diag_c_packed){values, kwnames};
    return true;
}

void diag_c_packed_done(struct diag_c_packed *packed) {
    Py_XDECREF(packed->values);
    Py_XDECREF(packed->kwnames);
}
