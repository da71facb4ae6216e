/* SPDX-License-Identifier: MIT */
/* How the thread knows that it is over: it was started with an event, and ends when its manager has
 * another one, or none. */
#include "inproc/library/manager_background.h"

#include "inproc/library/manager_report.h"

/* A new reference to what a call of module.name gives; NULL with an exception. */
static PyObject *call_of_module(const char *module_name, const char *name, PyObject *kwargs) {
    PyObject *module = PyImport_ImportModule(module_name), *function, *no_arguments, *result = NULL;

    if (module == NULL)
        return NULL;
    function = PyObject_GetAttrString(module, name);
    no_arguments = PyTuple_New(0);
    if (function != NULL && no_arguments != NULL)
        result = PyObject_Call(function, no_arguments, kwargs);
    Py_DECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(no_arguments);
    return result;
}

/* Waits until the period is over or somebody has something to say. */
static int wait_for_next(struct diag_manager *manager, PyObject *event) {
    PyObject *result = PyObject_CallMethod(event, "wait", "d", manager->background.period_s);

    if (result == NULL)
        return -1;
    Py_DECREF(result);
    result = PyObject_CallMethod(event, "clear", NULL);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* The thread. */
static PyObject *run(PyObject *self, PyObject *event) {
    struct diag_manager *manager = diag_manager_of(self);
    int outcome = 0;

    while (outcome == 0 && manager->background.event == event) {
        PyObject *result = PyObject_CallMethod(self, "apply", NULL);

        Py_XDECREF(result);
        outcome = result == NULL ? diag_manager_report(self, NULL, NULL) : 0;
        if (outcome == 0 && manager->background.event == event)
            outcome = wait_for_next(manager, event);
    }
    if (outcome == 0)
        Py_RETURN_NONE;
    if (manager->background.event == event)
        Py_CLEAR(manager->background.event); /* so that it can be started again */
    return NULL;
}

static PyMethodDef run_definition = {"diagnose.manager", run, METH_O, NULL};

/* A new event, which the manager has as well: NULL with an exception. */
static PyObject *begin(struct diag_manager *manager) {
    PyObject *event = call_of_module("threading", "Event", NULL);

    if (event != NULL)
        Py_XSETREF(manager->background.event, Py_NewRef(event));
    return event;
}

/* The function that starts threads, if somebody has put another one in the place of Python's own,
 * which makes greenlets. A new reference; NULL: it is Python's own, or, with an exception, unknown.
 */
static PyObject *replaced_starter(void) {
    PyObject *module = PyImport_ImportModule("_thread");
    PyObject *starter = module == NULL ? NULL : PyObject_GetAttrString(module, "start_new_thread");

    Py_XDECREF(module);
    if (starter != NULL && PyCFunction_Check(starter))
        Py_CLEAR(starter);
    return starter;
}

static int start_thread(struct diag_manager *manager) {
    PyObject *event, *function, *kwargs = NULL, *thread = NULL, *result = NULL;
    PyObject *starter = replaced_starter();

    manager->background.is_greenlet = starter != NULL;
    Py_XDECREF(starter);
    if (PyErr_Occurred() || (event = begin(manager)) == NULL)
        return -1;
    function = PyCFunction_New(&run_definition, (PyObject *)manager);
    if (function != NULL)
        kwargs = Py_BuildValue("{s:O,s:(O),s:s,s:O}", "target", function, "args", event, "name",
                               "diagnose.manager", "daemon", Py_True);
    if (kwargs != NULL)
        thread = call_of_module("threading", "Thread", kwargs);
    if (thread != NULL)
        result = PyObject_CallMethod(thread, "start", NULL);
    if (result == NULL && manager->background.event == event)
        Py_CLEAR(manager->background.event);
    Py_DECREF(event);
    Py_XDECREF(function);
    Py_XDECREF(kwargs);
    Py_XDECREF(thread);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Thread.start() would wait for a greenlet, and so have greenlets run before they are fit to. */
static int start_in_child(struct diag_manager *manager) {
    PyObject *starter = replaced_starter(), *event, *function = NULL, *result = NULL;

    if (starter == NULL)
        return PyErr_Occurred() ? -1 : start_thread(manager);
    manager->background.is_greenlet = true;
    event = begin(manager);
    if (event != NULL)
        function = PyCFunction_New(&run_definition, (PyObject *)manager);
    if (function != NULL)
        result = PyObject_CallFunction(starter, "O(O)", function, event);
    Py_DECREF(starter);
    Py_XDECREF(event);
    Py_XDECREF(function);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* `self` is a weak reference to the manager. */
static PyObject *after_fork_in_child(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    PyObject *manager = PyObject_CallNoArgs(self);
    int outcome = 0;

    if (manager == NULL)
        return NULL;
    if (manager != Py_None && diag_manager_of(manager)->background.event != NULL &&
        !diag_manager_of(manager)->background.is_greenlet)
        outcome = start_in_child(diag_manager_of(manager));
    Py_DECREF(manager);
    if (outcome < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef fork_definition = {"diagnose.manager", after_fork_in_child, METH_NOARGS, NULL};

static int hook_fork(struct diag_manager *manager) {
    PyObject *reference, *function, *kwargs = NULL, *result = NULL;

    if (manager->background.has_fork_hook)
        return 0;
    reference = PyWeakref_NewRef((PyObject *)manager, NULL);
    function = reference == NULL ? NULL : PyCFunction_New(&fork_definition, reference);
    if (function != NULL)
        kwargs = Py_BuildValue("{s:O}", "after_in_child", function);
    if (kwargs != NULL)
        result = call_of_module("os", "register_at_fork", kwargs);
    Py_XDECREF(reference);
    Py_XDECREF(function);
    Py_XDECREF(kwargs);
    Py_XDECREF(result);
    manager->background.has_fork_hook = result != NULL;
    return result == NULL ? -1 : 0;
}

/* Seconds, or -1 with an exception. */
static double period_of(PyObject *period) {
    PyObject *threading, *longest = NULL;
    double period_s, longest_s = -1;

    if (PyBool_Check(period) || !(PyFloat_Check(period) || PyLong_Check(period))) {
        PyErr_Format(PyExc_TypeError, "period: must be a number of seconds, not %s",
                     Py_TYPE(period)->tp_name);
        return -1;
    }
    threading = PyImport_ImportModule("threading");
    if (threading != NULL && (longest = PyObject_GetAttrString(threading, "TIMEOUT_MAX")) != NULL)
        longest_s = PyFloat_AsDouble(longest);
    Py_XDECREF(threading);
    Py_XDECREF(longest);
    if (longest_s < 0)
        return -1;
    period_s = PyFloat_AsDouble(period);
    if (period_s > 0 && period_s <= longest_s)
        return period_s;
    PyErr_Clear(); /* no double holds an int that large */
    PyErr_Format(PyExc_ValueError,
                 "period: must be more than 0 seconds and no more than %lld, not %R",
                 (long long)longest_s, period);
    return -1;
}

static int set_event(PyObject *event) {
    PyObject *result = PyObject_CallMethod(event, "set", NULL);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

int diag_manager_background_start(struct diag_manager *manager, PyObject *period) {
    double period_s = period_of(period);
    PyObject *event;
    int outcome;

    if (period_s < 0 || hook_fork(manager) < 0)
        return -1;
    manager->background.period_s = period_s;
    if ((event = Py_XNewRef(manager->background.event)) == NULL)
        return start_thread(manager);
    outcome = set_event(event);
    Py_DECREF(event);
    return outcome;
}

int diag_manager_background_stop(struct diag_manager *manager) {
    PyObject *event = manager->background.event;
    int outcome;

    if (event == NULL)
        return 0;
    manager->background.event = NULL;
    outcome = set_event(event);
    Py_DECREF(event);
    return outcome;
}
