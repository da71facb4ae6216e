/* SPDX-License-Identifier: MIT */
#include "inproc/library/spec_error.h"

/* What text alone makes an exception of. */
static bool is_plain(PyObject *exception) {
    PyObject *const types[] = {PyExc_TypeError, PyExc_ValueError, PyExc_AttributeError,
                               PyExc_NotImplementedError, PyExc_RuntimeError};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(types); i++)
        if ((PyObject *)Py_TYPE(exception) == types[i])
            return true;
    return false;
}

static bool starts_with(PyObject *text, const char *start) {
    PyObject *prefix = PyUnicode_FromString(start);
    bool does = prefix != NULL && PyUnicode_Tailmatch(text, prefix, 0, PY_SSIZE_T_MAX, -1) == 1;

    Py_XDECREF(prefix);
    return does;
}

/* True if the text begins with the key and a colon. */
static bool is_about(PyObject *text, PyObject *key) {
    Py_ssize_t length = PyUnicode_GET_LENGTH(key);

    return PyUnicode_GET_LENGTH(text) > length && PyUnicode_READ_CHAR(text, length) == ':' &&
           PyUnicode_Tailmatch(text, key, 0, PY_SSIZE_T_MAX, -1) == 1;
}

static bool contains(PyObject *text, const char *format, PyObject *key) {
    PyObject *part = PyUnicode_FromFormat(format, key);
    bool does = part != NULL && PyUnicode_Contains(text, part) == 1;

    Py_XDECREF(part);
    return does;
}

static bool is_known(PyObject *key) {
    static const char *const known[] = {"type", "name", "value", "event", "custom"};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(known); i++)
        if (PyUnicode_CompareWithASCIIString(key, known[i]) == 0)
            return true;
    return false;
}

/* True for Python's own texts about a keyword argument that a function does not take; the last of
 * them does not tell which. */
static bool is_unexpected(PyObject *text, PyObject *key) {
    return contains(text, "unexpected keyword argument '%U'", key) ||
           contains(text, "'%U' is an invalid keyword argument", key) ||
           (!is_known(key) && contains(text, " keyword arguments (", key));
}

static PyObject *name_key(PyObject *text, PyObject *instrument) {
    static const char *const own[] = {"name:", "value:", "event:", "custom:"};
    static const char tags[] = "custom['tags']";
    PyObject *key, *item, *rest, *named = NULL;
    Py_ssize_t position = 0;

    if (starts_with(text, "instrument.") || starts_with(text, "target:"))
        return Py_NewRef(text);
    if (starts_with(text, tags)) {
        rest = PyUnicode_Substring(text, (Py_ssize_t)strlen(tags), PyUnicode_GET_LENGTH(text));
        named = rest == NULL ? NULL : PyUnicode_FromFormat("instrument.custom.tags%U", rest);
        Py_XDECREF(rest);
        return named;
    }
    for (size_t i = 0; i < DIAG_ARRAY_SIZE(own); i++)
        if (starts_with(text, own[i]))
            return PyUnicode_FromFormat("instrument.%U", text);
    while (named == NULL && PyDict_Next(instrument, &position, &key, &item)) {
        if (is_about(text, key))
            named = PyUnicode_FromFormat("instrument.%U", text);
        else if (is_unexpected(text, key))
            named = PyUnicode_FromFormat("instrument.%U: %U", key, text);
    }
    return named;
}

PyObject *diag_spec_error_text(PyObject *exception, PyObject *instrument) {
    PyObject *text = is_plain(exception) ? PyObject_Str(exception) : NULL;
    PyObject *named = text == NULL ? NULL : name_key(text, instrument);

    Py_XDECREF(text);
    PyErr_Clear();
    return named;
}
