/* SPDX-License-Identifier: MIT */
#include "inproc/library/raised.h"

void diag_raised_note(struct diag_raised *raised) {
    PyObject *exception = diag_py_take_exception();

    *raised = (struct diag_raised){
        .exception = Py_NewRef(exception),
        .traceback = PyException_GetTraceback(exception),
        .context = PyException_GetContext(exception),
        .cause = PyException_GetCause(exception),
        .suppresses_context = ((PyBaseExceptionObject *)exception)->suppress_context,
    };
    diag_py_set_exception(exception);
}

void diag_raised_again(const struct diag_raised *raised) {
    PyBaseExceptionObject *exception = (PyBaseExceptionObject *)Py_NewRef(raised->exception);

    Py_XSETREF(exception->traceback, Py_XNewRef(raised->traceback));
    Py_XSETREF(exception->context, Py_XNewRef(raised->context));
    Py_XSETREF(exception->cause, Py_XNewRef(raised->cause));
    exception->suppress_context = raised->suppresses_context;
    diag_py_set_exception((PyObject *)exception);
}

void diag_raised_done(struct diag_raised *raised) {
    Py_CLEAR(raised->exception);
    Py_CLEAR(raised->traceback);
    Py_CLEAR(raised->context);
    Py_CLEAR(raised->cause);
}

int diag_raised_traverse(const struct diag_raised *raised, visitproc visit, void *arg) {
    Py_VISIT(raised->exception);
    Py_VISIT(raised->traceback);
    Py_VISIT(raised->context);
    Py_VISIT(raised->cause);
    return 0;
}
