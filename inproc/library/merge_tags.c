/* SPDX-License-Identifier: MIT */
#include "inproc/library/merge_tags.h"

static bool is_collection(PyObject *tags) {
    return PyList_Check(tags) || PyTuple_Check(tags) || PyAnySet_Check(tags);
}

static int check(PyObject *tags, const char *key) {
    if (PyDict_Check(tags) || is_collection(tags))
        return 0;
    PyErr_Format(PyExc_TypeError, "%s: must be a dict, or a list, tuple or set of str, not %.200s",
                 key, Py_TYPE(tags)->tp_name);
    return -1;
}

static int append(PyObject *list, PyObject *tag) {
    int result = tag == NULL ? -1 : PyList_Append(list, tag);

    Py_XDECREF(tag);
    return result;
}

/* Of a copy: str() of a value may alter the dict. */
static int append_dict(PyObject *list, PyObject *tags) {
    PyObject *copy = PyDict_Copy(tags), *key, *value;
    Py_ssize_t position = 0;
    int result = copy == NULL ? -1 : 0;

    while (result == 0 && PyDict_Next(copy, &position, &key, &value))
        result = append(list, PyUnicode_FromFormat("%S:%S", key, value));
    Py_XDECREF(copy);
    return result;
}

static int append_items(PyObject *list, PyObject *tags, const char *key) {
    PyObject *items = PySequence_Tuple(tags);
    int result = items == NULL ? -1 : 0;

    for (Py_ssize_t i = 0; result == 0 && i < PyTuple_GET_SIZE(items); i++) {
        PyObject *item = PyTuple_GET_ITEM(items, i);

        if (PyUnicode_Check(item)) {
            result = PyList_Append(list, item);
        } else {
            PyErr_Format(PyExc_TypeError,
                         "%s: must be a dict, or a list, tuple or set of str; "
                         "one item is %.200s",
                         key, Py_TYPE(item)->tp_name);
            result = -1;
        }
    }
    Py_XDECREF(items);
    return result;
}

static int append_all(PyObject *list, PyObject *tags, const char *key) {
    return PyDict_Check(tags) ? append_dict(list, tags) : append_items(list, tags, key);
}

PyObject *diag_tags_as_list(PyObject *tags, const char *key) {
    PyObject *list;

    if (PyUnicode_Check(tags)) {
        list = PyList_New(1);
        if (list != NULL)
            PyList_SET_ITEM(list, 0, Py_NewRef(tags));
        return list;
    }
    if (check(tags, key) < 0)
        return NULL;
    list = PyList_New(0);
    if (list != NULL && append_all(list, tags, key) < 0)
        Py_CLEAR(list);
    return list;
}

static Py_ssize_t size_of(PyObject *tags) {
    return PyDict_Check(tags) ? PyDict_GET_SIZE(tags) : PyObject_Size(tags);
}

PyObject *diag_merge_tags(PyObject *common, const char *common_key, PyObject *own,
                          const char *own_key) {
    PyObject *merged;
    bool has_common = common != NULL && common != Py_None;

    if ((has_common && check(common, common_key) < 0) || (own != NULL && check(own, own_key) < 0))
        return NULL;
    has_common = has_common && size_of(common) != 0;
    if (PyErr_Occurred())
        return NULL;
    if (!has_common && own == NULL)
        Py_RETURN_NONE;
    if (own != NULL && has_common && size_of(own) == 0)
        own = NULL;
    if ((!has_common || PyDict_Check(common)) && (own == NULL || PyDict_Check(own))) {
        merged = PyDict_Copy(has_common ? common : own);
        if (merged != NULL && has_common && own != NULL && PyDict_Update(merged, own) < 0)
            Py_CLEAR(merged);
        return merged;
    }
    merged = PyList_New(0);
    if (merged != NULL && ((has_common && append_all(merged, common, common_key) < 0) ||
                           (own != NULL && append_all(merged, own, own_key) < 0)))
        Py_CLEAR(merged);
    return merged;
}
