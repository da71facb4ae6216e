/* SPDX-License-Identifier: MIT */
#include "inproc/engine/interrupt.h"

#include <signal.h>
#include <string.h>

#include "inproc/engine/guard.h"

/* The Python function that a handler comes down to, borrowed from it: that of a bound method, of a
 * functools.partial, of an instance with __call__. NULL: there is none. */
static PyObject *function_of(PyObject *handler) {
    PyObject *call;

    for (int depth = 0; depth < 8; depth++) {
        if (diag_py_is_function(handler))
            return handler;
        if (PyMethod_Check(handler)) {
            handler = PyMethod_GET_FUNCTION(handler);
        } else if (strcmp(Py_TYPE(handler)->tp_name, "functools.partial") == 0) {
            PyObject *inner = PyObject_GetAttrString(handler, "func");

            if (inner == NULL) {
                PyErr_Clear();
                return NULL;
            }
            Py_DECREF(inner); /* the partial has it */
            handler = inner;
        } else {
            call = PyUnicode_FromString("__call__");
            handler = call == NULL ? NULL : _PyType_Lookup(Py_TYPE(handler), call);
            Py_XDECREF(call);
            PyErr_Clear();
            return handler != NULL && diag_py_is_function(handler) ? handler : NULL;
        }
    }
    return NULL;
}

/* True if a Python signal handler has this code. */
static bool is_handler(PyCodeObject *code, PyObject *getsignal) {
    for (int number = 1; number < NSIG; number++) {
        PyObject *handler = PyObject_CallFunction(getsignal, "i", number);
        PyObject *function;
        bool is_same;

        PyErr_Clear(); /* not every number is a signal */
        if (handler == NULL)
            continue;
        function = function_of(handler);
        is_same = function != NULL && diag_py_code(function) == code;
        Py_DECREF(handler);
        if (is_same)
            return true;
    }
    return false;
}

/* True if one of the frames that the exception passed through is a signal handler's. */
static bool is_from_handler(PyTracebackObject *traceback) {
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), "_signal");
    PyObject *getsignal;

    if (module == NULL || !PyModule_Check(module))
        return false;
    getsignal = PyDict_GetItemString(PyModule_GetDict(module), "getsignal");
    for (; getsignal != NULL && traceback != NULL; traceback = traceback->tb_next) {
        PyCodeObject *code = PyFrame_GetCode(traceback->tb_frame);
        bool is_found = is_handler(code, getsignal);

        Py_DECREF(code);
        if (is_found)
            return true;
    }
    return false;
}

/* True if the code at `offset` raises by itself: by a `raise` statement, or as a generator that an
 * exception is thrown into, begun or not. One that has begun stands at its RESUME on 3.13, where
 * signals are seen to as well: that is taken for the more likely of the two. */
static bool is_raising(const char *code, Py_ssize_t offset) {
    switch ((unsigned char)code[offset]) {
    case RAISE_VARARGS:
    case RERAISE:
    case YIELD_VALUE:
    case RETURN_GENERATOR:
        return true;
    case POP_TOP: /* 3.13 */
        return offset >= 2 && (unsigned char)code[offset - 2] == RETURN_GENERATOR;
    default:
        return false;
    }
}

/* True if Python code raised it. Python's own handler of SIGINT is written in C. */
static bool is_from_code(PyTracebackObject *traceback) {
    PyCodeObject *code;
    PyObject *bytes;
    bool is_raise = false;

    while (traceback != NULL && traceback->tb_next != NULL)
        traceback = traceback->tb_next;
    if (traceback == NULL || traceback->tb_lasti < 0)
        return false;
    code = PyFrame_GetCode(traceback->tb_frame);
    bytes = PyCode_GetCode(code);
    if (bytes != NULL && traceback->tb_lasti < PyBytes_GET_SIZE(bytes))
        is_raise = is_raising(PyBytes_AS_STRING(bytes), traceback->tb_lasti);
    Py_XDECREF(bytes);
    Py_DECREF(code);
    return is_raise;
}

static bool is_set(bool may_be_ctrl_c) {
    bool is_ctrl_c = may_be_ctrl_c && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
    PyObject *type, *value, *traceback;
    bool is_interrupt;

    PyErr_Fetch(&type, &value, &traceback);
    is_interrupt = (is_ctrl_c && !is_from_code((PyTracebackObject *)traceback)) ||
                   is_from_handler((PyTracebackObject *)traceback);
    PyErr_Restore(type, value, traceback);
    return is_interrupt;
}

bool diag_interrupt_is_set(void) {
    return PyErr_Occurred() != NULL && is_set(true);
}

/* The handler's frame stays in the traceback: who meets the exception again knows it by that. */
bool diag_interrupt_take(bool may_be_ctrl_c) {
    if (!is_set(may_be_ctrl_c))
        return false;
    Py_XSETREF(diag_thread_state.interrupt, diag_py_take_exception());
    return true;
}

/* If that instruction is one of the next instrument's, it is kept once more. */
static int raise_now(void *exception) {
    if (diag_guard_is_up(&diag_thread_state)) {
        PyObject *former = diag_thread_state.interrupt;

        diag_thread_state.interrupt = exception;
        Py_XDECREF(former);
        return 0;
    }
    PyErr_SetObject((PyObject *)Py_TYPE((PyObject *)exception), exception);
    Py_DECREF((PyObject *)exception);
    return -1;
}

void diag_interrupt_deliver(void) {
    PyObject *exception = diag_thread_state.interrupt;

    if (exception == NULL)
        return;
    diag_thread_state.interrupt = NULL;
    if (Py_AddPendingCall(raise_now, exception) < 0) {
        Py_DECREF(exception); /* the queue is full */
        PyErr_SetInterrupt();
    }
}

void diag_interrupt_deliver_soon(void) {
    if (diag_thread_state.interrupt != NULL && !diag_guard_is_up(&diag_thread_state))
        diag_interrupt_deliver(); /* else the guard does when it is put down */
}
