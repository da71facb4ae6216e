/* SPDX-License-Identifier: MIT */
#include "inproc/engine/call.h"

static bool is_same_name(PyObject *a, PyObject *b) {
    return a == b || (PyUnicode_Check(a) && PyUnicode_Check(b) && PyUnicode_Compare(a, b) == 0);
}

static int named_count(PyCodeObject *code) {
    return code->co_argcount + code->co_kwonlyargcount;
}

int diag_call_argument_index(PyCodeObject *code, PyObject *name, int hint) {
    int count = diag_py_argument_count(code);

    if (hint >= 0 && hint < count && diag_py_argument_name(code, hint) == name)
        return hint;
    for (int i = 0; i < count; i++)
        if (is_same_name(diag_py_argument_name(code, i), name))
            return i;
    return -1;
}

/* Borrowed, or NULL. */
static PyObject *keyword_value(const struct diag_call *call, PyObject *name) {
    Py_ssize_t count = diag_call_keyword_count(call);

    for (Py_ssize_t i = 0; i < count; i++)
        if (PyTuple_GET_ITEM(call->kwnames, i) == name)
            return call->args[call->arg_count + i];
    for (Py_ssize_t i = 0; i < count; i++)
        if (is_same_name(PyTuple_GET_ITEM(call->kwnames, i), name))
            return call->args[call->arg_count + i];
    return NULL;
}

/* Borrowed, or NULL. */
static PyObject *default_value(const struct diag_call *call, int index) {
    PyFunctionObject *function = (PyFunctionObject *)call->callable;

    if (index < call->code->co_argcount) {
        PyObject *defaults = function->func_defaults;
        Py_ssize_t at;

        if (defaults == NULL || !PyTuple_Check(defaults))
            return NULL;
        at = index - (call->code->co_argcount - PyTuple_GET_SIZE(defaults));
        return at >= 0 && at < PyTuple_GET_SIZE(defaults) ? PyTuple_GET_ITEM(defaults, at) : NULL;
    }
    if (function->func_kwdefaults == NULL || !PyDict_Check(function->func_kwdefaults))
        return NULL;
    return PyDict_GetItemWithError(function->func_kwdefaults,
                                   diag_py_argument_name(call->code, index));
}

static PyObject *tuple_of(PyObject *const *items, Py_ssize_t count) {
    PyObject *tuple = PyTuple_New(count);

    for (Py_ssize_t i = 0; tuple != NULL && i < count; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(items[i]));
    return tuple;
}

bool diag_call_is_extra_keyword(const struct diag_call *call, PyObject *keyword) {
    PyCodeObject *code = call->code;

    for (int i = code->co_posonlyargcount; i < named_count(code); i++)
        if (is_same_name(diag_py_argument_name(code, i), keyword))
            return false;
    return true;
}

static int put_extra_keywords(const struct diag_call *call, PyObject *dict) {
    for (Py_ssize_t i = 0; i < diag_call_keyword_count(call); i++) {
        PyObject *keyword = PyTuple_GET_ITEM(call->kwnames, i);

        /* An argument already there is positional-only, and has the better right to its name. */
        if (diag_call_is_extra_keyword(call, keyword) &&
            PyDict_SetDefault(dict, keyword, call->args[call->arg_count + i]) == NULL)
            return -1;
    }
    return 0;
}

static PyObject *extra_keywords(const struct diag_call *call) {
    PyObject *dict = PyDict_New();

    if (dict != NULL && put_extra_keywords(call, dict) < 0)
        Py_CLEAR(dict);
    return dict;
}

PyObject *diag_call_argument(const struct diag_call *call, int index) {
    PyCodeObject *code = call->code;
    PyObject *value;

    if (index < code->co_argcount && index < call->arg_count)
        return Py_NewRef(call->args[index]);
    if (index < named_count(code)) {
        value = index < code->co_posonlyargcount
                    ? NULL
                    : keyword_value(call, diag_py_argument_name(code, index));
        if (value == NULL)
            value = default_value(call, index);
        return Py_XNewRef(value);
    }
    if (index == named_count(code) && (code->co_flags & CO_VARARGS)) {
        Py_ssize_t first = code->co_argcount;

        return call->arg_count <= first ? PyTuple_New(0)
                                        : tuple_of(call->args + first, call->arg_count - first);
    }
    return extra_keywords(call);
}

PyObject *diag_call_arguments(const struct diag_call *call) {
    PyObject *dict = PyDict_New();

    for (int i = 0; dict != NULL && i < diag_py_argument_count(call->code); i++) {
        PyObject *value = diag_call_argument(call, i);

        if (value == NULL ? PyErr_Occurred() != NULL
                          : PyDict_SetItem(dict, diag_py_argument_name(call->code, i), value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    if (dict != NULL && (call->code->co_flags & CO_VARKEYWORDS) &&
        put_extra_keywords(call, dict) < 0)
        Py_CLEAR(dict);
    return dict;
}

PyObject *diag_call_positional(const struct diag_call *call) {
    return tuple_of(call->args, call->arg_count);
}

PyObject *diag_call_keywords(const struct diag_call *call) {
    PyObject *dict = PyDict_New();

    for (Py_ssize_t i = 0; dict != NULL && i < diag_call_keyword_count(call); i++)
        if (PyDict_SetItem(dict, PyTuple_GET_ITEM(call->kwnames, i),
                           call->args[call->arg_count + i]) < 0)
            Py_CLEAR(dict);
    return dict;
}
