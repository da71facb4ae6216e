/* SPDX-License-Identifier: MIT */
/* How it works: what a hit finds out (an instrument has expired, its globals are others now) takes
 * effect at once by a flag, and in the engine by a pending call: the main thread runs it as soon as
 * it executes Python code. If the queue is full, the next hit tries again. */
#include "inproc/engine/engine.h"
#include "inproc/library/binding.h"
#include "inproc/library/function_probe.h"
#include "inproc/library/instrument_error.h"

/* A list of those that are due, with references; NULL: out of memory, they stay due. */
static PyObject *take_due(struct diag_library *library) {
    PyObject *due = PyList_New(0);

    for (struct diag_binding *at = library->bindings; due != NULL && at != NULL; at = at->next)
        if (at->is_due && PyList_Append(due, (PyObject *)at) < 0)
            Py_CLEAR(due);
    return due;
}

/* `module`: that of the library, owned. */
static int sweep(void *module) {
    struct diag_library *library = PyModule_GetState(module);
    PyObject *due;

    library->is_sweep_due = false;
    due = take_due(library);
    for (Py_ssize_t i = 0; due != NULL && i < PyList_GET_SIZE(due); i++) {
        struct diag_binding *binding = (struct diag_binding *)PyList_GET_ITEM(due, i);

        binding->is_due = false;
        if (diag_binding_update(binding) < 0)
            diag_instrument_error(binding);
    }
    Py_XDECREF(due);
    PyErr_Clear();
    Py_DECREF((PyObject *)module);
    return 0;
}

void diag_binding_update_soon(struct diag_binding *binding) {
    struct diag_library *library = binding->library;

    binding->is_due = true;
    if (library->is_sweep_due)
        return;
    Py_INCREF(library->module);
    if (Py_AddPendingCall(sweep, library->module) == 0)
        library->is_sweep_due = true;
    else
        Py_DECREF(library->module);
}

void diag_binding_after_fork(struct diag_library *library) {
    library->is_sweep_due = false;
    for (struct diag_binding *at = library->bindings; at != NULL; at = at->next) {
        at->hits = at->errors = at->declined = 0;
        memset(at->skips, 0, sizeof at->skips);
        at->probe->users = 0;
        if (at->is_busy || at->is_due) { /* whoever was at it is not in this process */
            at->is_busy = false;
            diag_binding_update_soon(at);
        }
    }
}

void diag_binding_stop_all(struct diag_library *library) {
    PyObject *bindings = PyList_New(0);

    for (struct diag_binding *at = library->bindings; bindings != NULL && at != NULL; at = at->next)
        if (PyList_Append(bindings, (PyObject *)at) < 0)
            Py_CLEAR(bindings);
    for (Py_ssize_t i = 0; bindings != NULL && i < PyList_GET_SIZE(bindings); i++) {
        struct diag_binding *binding = (struct diag_binding *)PyList_GET_ITEM(bindings, i);

        binding->is_on = binding->is_serving = false;
        diag_binding_remove_spec(binding);
    }
    Py_XDECREF(bindings);
    PyErr_Clear();
}
