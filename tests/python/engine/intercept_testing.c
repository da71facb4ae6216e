/* SPDX-License-Identifier: MIT */
/* intercept_testing - an extension module that intercepts calls of Python functions: a callable
 * answers for them. */
#define PY_SSIZE_T_CLEAN
#include "inproc/engine/backend.h"
#include "inproc/engine/thread_state.h"

static struct {
    struct diag_hook hook;
    struct diag_backend_coverage coverage;
    PyObject *function, *answer;
} probe;

/* proceed(*args, **kwargs), valid during the call whose address its `self` holds. */
static PyObject *proceed(PyObject *self, PyObject *const *args, Py_ssize_t arg_count,
                         PyObject *kwnames) {
    const struct diag_call *call = PyCapsule_GetPointer(self, NULL);

    return call == NULL ? NULL : diag_backend_proceed(call, args, arg_count, kwnames);
}

static PyMethodDef proceed_method = {"proceed", (PyCFunction)(void (*)(void))proceed,
                                     METH_FASTCALL | METH_KEYWORDS, NULL};

static PyObject *intercept(struct diag_hook *hook, const struct diag_call *call) {
    PyObject *positional = diag_call_positional(call), *keywords = diag_call_keywords(call);
    PyObject *capsule = PyCapsule_New((void *)(uintptr_t)call, NULL, NULL);
    PyObject *function = capsule == NULL ? NULL : PyCFunction_New(&proceed_method, capsule);
    PyObject *result = NULL;

    (void)hook;
    if (positional != NULL && keywords != NULL && function != NULL)
        result = PyObject_CallFunctionObjArgs(probe.answer, function, positional, keywords, NULL);
    Py_XDECREF(positional);
    Py_XDECREF(keywords);
    Py_XDECREF(capsule);
    Py_XDECREF(function);
    return result;
}

static void exhausted(struct diag_hook *hook) {
    (void)hook;
}

/* attach(callable, answer): answer(proceed, args, kwargs) gives what callers get. */
static PyObject *attach(PyObject *self, PyObject *args) {
    const struct diag_backend *backend = &diag_backend_type_swap;
    struct diag_error error;
    PyObject *function, *answer;

    (void)self;
    if (!PyArg_ParseTuple(args, "OO", &function, &answer))
        return NULL;
    probe.hook.intercept = intercept;
    probe.hook.exhausted = exhausted;
    if (PyCFunction_Check(function))
        backend = &diag_backend_c;
    if (backend->attach(function, &probe.hook, &probe.coverage, &error) != DIAG_OK) {
        PyErr_SetString(PyExc_RuntimeError, error.message);
        return NULL;
    }
    probe.function = Py_NewRef(function);
    probe.answer = Py_NewRef(answer);
    Py_RETURN_NONE;
}

static PyObject *detach(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    diag_backend_type_swap.detach(probe.function, &probe.hook);
    Py_CLEAR(probe.function);
    Py_CLEAR(probe.answer);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"attach", attach, METH_VARARGS, NULL},
    {"detach", detach, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "intercept_testing", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_intercept_testing(void);

PyMODINIT_FUNC PyInit_intercept_testing(void) {
    return PyModule_Create(&definition);
}
