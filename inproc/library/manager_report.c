/* SPDX-License-Identifier: MIT */
#include "inproc/library/manager_report.h"

#include "inproc/engine/interrupt.h"

#define ERROR_TEXT_MAX 2000 /* characters */

bool diag_manager_is_for_program(void) {
    return !PyErr_ExceptionMatches(PyExc_Exception) || diag_interrupt_is_set();
}

int diag_manager_report(PyObject *manager, PyObject *probe, PyObject *instrument) {
    PyObject *exception, *outer, *result;

    if (!PyErr_Occurred())
        return 0;
    if (diag_manager_is_for_program())
        return -1;
    exception = diag_py_take_exception();
    outer = PyErr_GetHandledException();
    PyErr_SetHandledException(exception);
    result = PyObject_CallMethod(manager, "handle_error", "OO", probe == NULL ? Py_None : probe,
                                 instrument == NULL ? Py_None : instrument);
    if (result == NULL && !diag_manager_is_for_program())
        PyErr_WriteUnraisable(manager);
    PyErr_SetHandledException(outer);
    Py_XDECREF(outer);
    Py_DECREF(exception);
    Py_XDECREF(result);
    return PyErr_Occurred() ? -1 : 0;
}

/* What no UTF-8 is made of is escaped. */
static PyObject *storable(PyObject *text) {
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    PyObject *clean = bytes == NULL ? NULL
                                    : PyUnicode_DecodeUTF8(PyBytes_AS_STRING(bytes),
                                                           PyBytes_GET_SIZE(bytes), NULL);

    Py_XDECREF(bytes);
    if (clean != NULL && PyUnicode_GET_LENGTH(clean) > ERROR_TEXT_MAX)
        Py_SETREF(clean, PyUnicode_Substring(clean, 0, ERROR_TEXT_MAX));
    return clean;
}

PyObject *diag_manager_error_text(PyObject *exception, bool has_type) {
    PyObject *message = PyObject_Str(exception), *text, *clean;

    if (message == NULL) {
        if (diag_manager_is_for_program())
            return NULL;
        PyErr_Clear();
        return PyUnicode_FromFormat("%s (its text cannot be told)", Py_TYPE(exception)->tp_name);
    }
    text = has_type ? PyUnicode_FromFormat(PyUnicode_GET_LENGTH(message) > 0 ? "%s: %U" : "%s%U",
                                           Py_TYPE(exception)->tp_name, message)
                    : Py_NewRef(message);
    clean = text == NULL ? NULL : storable(text);
    Py_DECREF(message);
    Py_XDECREF(text);
    return clean;
}

void diag_manager_add_note(PyObject *exception, PyObject *note) {
    PyObject *result = PyObject_CallMethod(exception, "add_note", "O", note);

    if (result == NULL)
        PyErr_Clear();
    Py_XDECREF(result);
}

/* A line before the traceback: what the error is about. */
static void print_subject(PyObject *probe, PyObject *instrument) {
    PyObject *target = NULL, *name = NULL;

    if (probe != Py_None)
        target = PyObject_GetAttrString(probe, "target");
    PyErr_Clear();
    if (instrument != Py_None)
        name = PyObject_GetAttrString(instrument, "name");
    PyErr_Clear();
    if (name != NULL && target != NULL)
        PySys_FormatStderr("diagnose: instrument %R of %S:\n", name, target);
    else if (name != NULL)
        PySys_FormatStderr("diagnose: instrument %R:\n", name);
    else if (target != NULL)
        PySys_FormatStderr("diagnose: probe of %S:\n", target);
    PyErr_Clear();
    Py_XDECREF(target);
    Py_XDECREF(name);
}

void diag_manager_print_handled(PyObject *probe, PyObject *instrument) {
    PyObject *exception = PyErr_GetHandledException();

    if (exception == NULL)
        return;
    print_subject(probe, instrument);
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_DisplayException(exception);
#else
    {
        PyObject *traceback = PyException_GetTraceback(exception);

        PyErr_Display((PyObject *)Py_TYPE(exception), exception, traceback);
        Py_XDECREF(traceback);
    }
#endif
    Py_DECREF(exception);
}
