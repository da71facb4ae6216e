/* SPDX-License-Identifier: MIT */
/* How it works: the first action that intercepts gets the call, with an interception that knows how
 * the call goes on without it: by the next such action, and at last by the callable itself. Each
 * has a copy of the call, with the arguments that it was given. The guard is down while the call
 * goes on, so that its own levels of recursion do not add up. */
#include "inproc/engine/interception.h"

#include <stdlib.h>
#include <string.h>

#include "inproc/engine/backend.h"
#include "inproc/engine/guard.h"
#include "inproc/engine/hit.h"

struct diag_interception {
    struct diag_action_list *list;
    size_t index; /* of the action in it */
    uint64_t now_unix_ns;
    struct diag_hit hit;
    struct diag_guard guard;
};

static PyObject *go_on(struct diag_action_list *list, size_t from, const struct diag_call *call,
                       uint64_t now_unix_ns);

static PyObject *intercept(struct diag_action_list *list, size_t index,
                           const struct diag_call *call, uint64_t now_unix_ns) {
    struct diag_action *action = list->actions[index];
    enum diag_hit_outcome outcome = DIAG_HIT_FIRED;
    struct diag_interception interception = {
        list, index, now_unix_ns, {action, call, &outcome}, diag_guard_begin()};
    PyObject *result = action->handler.intercept(action->handler.object, &interception);

    if (result == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_SystemError, "an interception gave neither a result nor an error");
    diag_guard_end(interception.guard);
    diag_hit_count(action, outcome);
    return result;
}

static PyObject *go_on(struct diag_action_list *list, size_t from, const struct diag_call *call,
                       uint64_t now_unix_ns) {
    for (size_t i = from; i < list->count; i++)
        if (list->actions[i]->point == DIAG_POINT_INTERCEPT &&
            diag_action_is_due(list->actions[i], call, now_unix_ns))
            return intercept(list, i, call, now_unix_ns);
    return diag_backend_proceed(call, call->args, call->arg_count, call->kwnames);
}

PyObject *diag_interception_run(struct diag_action_list *list, const struct diag_call *call,
                                uint64_t now_unix_ns) {
    return go_on(list, 0, call, now_unix_ns);
}

const struct diag_hit *diag_interception_hit(const struct diag_interception *interception) {
    return &interception->hit;
}

int diag_interception_arguments(const struct diag_interception *interception, PyObject **args,
                                PyObject **kwargs) {
    return diag_hit_arguments(&interception->hit, args, kwargs);
}

/* Arguments laid out for a call. */
struct layout {
    PyObject **items; /* owned, as are what they refer to; allocated */
    Py_ssize_t count;
    PyObject *names; /* owned */
};

static void layout_done(struct layout *layout) {
    for (Py_ssize_t i = 0; i < layout->count; i++)
        Py_DECREF(layout->items[i]);
    PyMem_Free(layout->items);
    Py_XDECREF(layout->names);
}

/* -1 with an exception: *layout is to be released all the same. */
static int layout_fill(struct layout *layout, PyObject *args, PyObject *kwargs) {
    Py_ssize_t keyword_count = PyDict_GET_SIZE(kwargs), position = 0;
    PyObject *name, *value;

    layout->names = PyTuple_New(keyword_count);
    layout->items = PyMem_New(PyObject *, (size_t)(PyTuple_GET_SIZE(args) + keyword_count));
    if (layout->names == NULL)
        return -1;
    if (layout->items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++)
        layout->items[layout->count++] = Py_NewRef(PyTuple_GET_ITEM(args, i));
    for (Py_ssize_t i = 0; PyDict_Next(kwargs, &position, &name, &value); i++) {
        if (!PyUnicode_Check(name)) {
            PyErr_SetString(PyExc_TypeError, "keywords must be strings");
            return -1;
        }
        PyTuple_SET_ITEM(layout->names, i, Py_NewRef(name));
        layout->items[layout->count++] = Py_NewRef(value);
    }
    return 0;
}

PyObject *diag_interception_proceed(struct diag_interception *interception, PyObject *args,
                                    PyObject *kwargs) {
    struct diag_call call = *interception->hit.call;
    struct layout layout = {NULL, 0, NULL};
    PyObject *result = NULL;

    if (diag_py_thread() != interception->guard.thread) {
        PyErr_SetString(PyExc_RuntimeError, "a call goes on in the thread that makes it only");
        return NULL;
    }
    call.args = ((PyTupleObject *)args)->ob_item;
    call.arg_count = PyTuple_GET_SIZE(args);
    call.kwnames = NULL;
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
        if (layout_fill(&layout, args, kwargs) < 0)
            goto done;
        call.args = layout.items;
        call.kwnames = layout.names;
    }
    diag_guard_end(interception->guard);
    result = go_on(interception->list, interception->index + 1, &call, interception->now_unix_ns);
    interception->guard = diag_guard_begin();
done:
    layout_done(&layout);
    return result;
}
