/* SPDX-License-Identifier: MIT */
#include "inproc/engine/call.h"

static bool is_same_name(PyObject *a, PyObject *b) {
    return a == b || (PyUnicode_Check(a) && PyUnicode_Check(b) && PyUnicode_Compare(a, b) == 0);
}

/* Index among the first `count` items of the tuple `names`, or -1. */
static int index_of(PyObject *names, int count, PyObject *name, int hint) {
    if (hint >= 0 && hint < count && PyTuple_GET_ITEM(names, hint) == name)
        return hint;
    for (int i = 0; i < count; i++)
        if (is_same_name(PyTuple_GET_ITEM(names, i), name))
            return i;
    return -1;
}

int diag_call_argument_index(PyCodeObject *code, PyObject *name, int hint) {
    return index_of(code->co_localsplusnames, diag_py_argument_count(code), name, hint);
}

int diag_call_local_index(PyCodeObject *code, PyObject *name, int hint) {
    return index_of(code->co_localsplusnames, code->co_nlocalsplus, name, hint);
}

int diag_call_name_index(PyObject *names, PyObject *name, int hint) {
    return names == NULL ? -1 : index_of(names, (int)PyTuple_GET_SIZE(names), name, hint);
}

static int named_count(PyCodeObject *code) {
    return code->co_argcount + code->co_kwonlyargcount;
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

/* True if the function has an argument that can be given by the keyword `name`. */
static bool takes_keyword(const struct diag_call *call, PyObject *name) {
    PyCodeObject *code = call->code;

    if (code == NULL)
        return diag_call_name_index(call->names, name, -1) >= 0;
    for (int i = code->co_posonlyargcount; i < named_count(code); i++)
        if (is_same_name(diag_py_argument_name(code, i), name))
            return true;
    return false;
}

/* Borrowed: the **kwargs that a frame was given; NULL: none. */
static PyObject *frame_keywords(const struct diag_call *call) {
    PyObject *dict;

    if (!(call->code->co_flags & CO_VARKEYWORDS))
        return NULL;
    dict = diag_call_borrow_argument(call, diag_py_argument_count(call->code) - 1);
    return dict != NULL && PyDict_CheckExact(dict) ? dict : NULL; /* the code may have rebound it */
}

bool diag_call_has_extra_keyword(const struct diag_call *call, PyObject *name) {
    PyObject *dict;

    if (call->locals == NULL)
        return keyword_value(call, name) != NULL && !takes_keyword(call, name);
    dict = frame_keywords(call);
    if (dict == NULL || PyDict_GET_SIZE(dict) == 0 || !diag_py_dict_has_only_text_keys(dict))
        return false;
    return PyDict_Contains(dict, name) == 1;
}

/* An argument already there is positional-only, and has the better right to its name. */
static int put_extra_keywords(const struct diag_call *call, PyObject *dict) {
    if (call->locals != NULL) {
        PyObject *keywords = frame_keywords(call);

        return keywords == NULL ? 0 : PyDict_Merge(dict, keywords, 0);
    }
    for (Py_ssize_t i = 0; i < diag_call_keyword_count(call); i++) {
        PyObject *keyword = PyTuple_GET_ITEM(call->kwnames, i);

        if (!takes_keyword(call, keyword) &&
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

PyObject *diag_call_borrow_local(const struct diag_call *call, int index) {
    PyObject *value = call->locals[index];

    if (value != NULL && diag_py_is_cell_variable(call->code, index) && PyCell_Check(value))
        value = PyCell_GET(value);
    return value;
}

/* The argument `index` of a callable that is implemented in C. */
static PyObject *native_argument(const struct diag_call *call, int index) {
    int position = index - (call->self != NULL);

    if (position < 0)
        return call->self;
    if (position < call->arg_count)
        return call->args[position];
    return keyword_value(call, PyTuple_GET_ITEM(call->names, index));
}

PyObject *diag_call_borrow_argument(const struct diag_call *call, int index) {
    PyCodeObject *code = call->code;
    uint64_t bit;

    if (code == NULL)
        return native_argument(call, index);
    if (call->locals == NULL) {
        if (index < code->co_argcount && index < call->arg_count)
            return call->args[index];
        if (index >= named_count(code) || index < code->co_posonlyargcount)
            return NULL;
        return keyword_value(call, diag_py_argument_name(code, index));
    }
    bit = index < 64 ? UINT64_C(1) << index : 0;
    if (call->captured_mask & bit)
        return call->captured[__builtin_popcountll(call->captured_mask & (bit - 1))];
    return diag_call_borrow_local(call, index);
}

PyObject *diag_call_argument(const struct diag_call *call, int index) {
    PyCodeObject *code = call->code;
    PyObject *value = diag_call_borrow_argument(call, index);

    if (value != NULL || code == NULL || call->locals != NULL)
        return Py_XNewRef(value);
    if (index < named_count(code))
        return Py_XNewRef(default_value(call, index));
    if (index == named_count(code) && (code->co_flags & CO_VARARGS)) {
        Py_ssize_t first = code->co_argcount;

        return call->arg_count <= first ? PyTuple_New(0)
                                        : tuple_of(call->args + first, call->arg_count - first);
    }
    return extra_keywords(call);
}

/* Of a callable that is implemented in C, the positions that are known by name. */
static int argument_count(const struct diag_call *call) {
    if (call->code != NULL)
        return diag_py_argument_count(call->code);
    return call->names == NULL ? 0 : (int)PyTuple_GET_SIZE(call->names);
}

PyObject *diag_call_arguments(const struct diag_call *call) {
    PyObject *names = call->code == NULL ? call->names : call->code->co_localsplusnames;
    PyObject *dict = PyDict_New();

    for (int i = 0; dict != NULL && i < argument_count(call); i++) {
        PyObject *value = diag_call_argument(call, i);

        if (value == NULL ? PyErr_Occurred() != NULL
                          : PyDict_SetItem(dict, PyTuple_GET_ITEM(names, i), value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    if (dict != NULL && (call->code == NULL || (call->code->co_flags & CO_VARKEYWORDS)) &&
        put_extra_keywords(call, dict) < 0)
        Py_CLEAR(dict);
    return dict;
}

/* Appends the items of the frame's *args to the list. */
static int append_rest(const struct diag_call *call, PyObject *list) {
    PyObject *rest;

    if (!(call->code->co_flags & CO_VARARGS))
        return 0;
    rest = diag_call_borrow_argument(call, named_count(call->code));
    if (rest == NULL || !PyTuple_CheckExact(rest)) /* the code may have rebound it */
        return 0;
    return PyList_SetSlice(list, PyList_GET_SIZE(list), PyList_GET_SIZE(list), rest);
}

static PyObject *rebuilt_positional(const struct diag_call *call) {
    PyObject *list = PyList_New(0), *tuple = NULL;

    for (int i = 0; list != NULL && i < call->code->co_argcount; i++) {
        PyObject *value = diag_call_borrow_argument(call, i);

        if (value != NULL && PyList_Append(list, value) < 0)
            Py_CLEAR(list);
    }
    if (list != NULL && append_rest(call, list) == 0)
        tuple = PyList_AsTuple(list);
    Py_XDECREF(list);
    return tuple;
}

PyObject *diag_call_positional(const struct diag_call *call) {
    PyObject *tuple;

    if (call->locals != NULL)
        return rebuilt_positional(call);
    if (call->self == NULL)
        return tuple_of(call->args, call->arg_count);
    tuple = PyTuple_New(call->arg_count + 1);
    if (tuple == NULL)
        return NULL;
    PyTuple_SET_ITEM(tuple, 0, Py_NewRef(call->self));
    for (Py_ssize_t i = 0; i < call->arg_count; i++)
        PyTuple_SET_ITEM(tuple, i + 1, Py_NewRef(call->args[i]));
    return tuple;
}

static int put_given_keywords(const struct diag_call *call, PyObject *dict) {
    if (call->locals != NULL) {
        for (int i = call->code->co_argcount; i < named_count(call->code); i++) {
            PyObject *value = diag_call_borrow_argument(call, i);

            if (value != NULL &&
                PyDict_SetItem(dict, diag_py_argument_name(call->code, i), value) < 0)
                return -1;
        }
        return put_extra_keywords(call, dict);
    }
    for (Py_ssize_t i = 0; i < diag_call_keyword_count(call); i++)
        if (PyDict_SetItem(dict, PyTuple_GET_ITEM(call->kwnames, i),
                           call->args[call->arg_count + i]) < 0)
            return -1;
    return 0;
}

PyObject *diag_call_keywords(const struct diag_call *call) {
    PyObject *dict = PyDict_New();

    if (dict != NULL && put_given_keywords(call, dict) < 0)
        Py_CLEAR(dict);
    return dict;
}

PyObject *diag_call_local(const struct diag_call *call, int index) {
    return Py_XNewRef(diag_call_borrow_local(call, index));
}

PyObject *diag_call_locals(const struct diag_call *call) {
    PyObject *dict = PyDict_New();

    for (int i = 0; dict != NULL && i < call->code->co_nlocalsplus; i++) {
        PyObject *value = diag_call_borrow_local(call, i);

        if (value != NULL && !diag_py_is_hidden_variable(call->code, i) &&
            PyDict_SetItem(dict, diag_py_argument_name(call->code, i), value) < 0)
            Py_CLEAR(dict);
    }
    return dict;
}

PyObject *diag_call_builtins(const struct diag_call *call) {
    if (call->locals != NULL)
        return call->frame->f_builtins;
    return call->code == NULL ? PyEval_GetBuiltins()
                              : ((PyFunctionObject *)call->callable)->func_builtins;
}
