/* SPDX-License-Identifier: MIT */
#include "inproc/library/statsd_points.h"

#include <math.h>

#include "inproc/library/instrument.h"
#include "inproc/library/merge_tags.h"

#define KEY "value"

static bool is_number(PyObject *object) {
    const PyNumberMethods *methods = Py_TYPE(object)->tp_as_number;

    return PyFloat_Check(object) || PyLong_Check(object) ||
           (methods != NULL && (methods->nb_index != NULL || methods->nb_float != NULL));
}

static int check_number(PyObject *number) {
    double real;

    if (PyLong_Check(number))
        return 0;
    real = PyFloat_AsDouble(number);
    if (real == -1.0 && PyErr_Occurred())
        return -1;
    if (isfinite(real))
        return 0;
    PyErr_Format(PyExc_ValueError, KEY ": %s is not a finite number", isnan(real) ? "nan" : "inf");
    return -1;
}

/* Appends (number, tags) to the list `points`; `tags`: a list of str, or None. */
static int append_point(PyObject *points, PyObject *number, PyObject *tags) {
    PyObject *point = check_number(number) < 0 ? NULL : PyTuple_Pack(2, number, tags);
    int result = point == NULL ? -1 : PyList_Append(points, point);

    Py_XDECREF(point);
    return result;
}

/* A new reference: both lists (or None) in one. */
static PyObject *add_tags(PyObject *common, PyObject *own) {
    PyObject *list = own == Py_None ? Py_NewRef(Py_None) : diag_tags_as_list(own, KEY), *all;

    if (list == NULL || common == Py_None)
        return list;
    if (list == Py_None) {
        Py_DECREF(list);
        return Py_NewRef(common);
    }
    all = PySequence_Concat(common, list);
    Py_DECREF(list);
    return all;
}

static int append_pair(PyObject *points, PyObject *pair, PyObject *common) {
    PyObject *parts = PySequence_Tuple(pair), *tags;
    int result = -1;

    if (parts == NULL)
        return -1;
    if (PyTuple_GET_SIZE(parts) != 2 || !is_number(PyTuple_GET_ITEM(parts, 0))) {
        PyErr_Format(PyExc_TypeError,
                     KEY ": item %zd: a number, or a pair of a number and its tags, "
                         "is expected, not %R",
                     PyList_GET_SIZE(points), pair);
    } else {
        tags = add_tags(common, PyTuple_GET_ITEM(parts, 1));
        if (tags != NULL)
            result = append_point(points, PyTuple_GET_ITEM(parts, 0), tags);
        Py_XDECREF(tags);
    }
    Py_DECREF(parts);
    return result;
}

static int append_item(PyObject *points, PyObject *item, PyObject *common) {
    if (is_number(item))
        return append_point(points, item, common);
    if (PyTuple_Check(item) || PyList_Check(item))
        return append_pair(points, item, common);
    PyErr_Format(PyExc_TypeError,
                 KEY ": item %zd: a number, or a pair of a number and its tags, is "
                     "expected, not %.200s",
                 PyList_GET_SIZE(points), Py_TYPE(item)->tp_name);
    return -1;
}

static int append_all(PyObject *points, PyObject *value, PyObject *common) {
    PyObject *items;
    int result = 0;

    if (is_number(value))
        return append_point(points, value, common);
    if (!PyList_Check(value) && !PyTuple_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     KEY ": must be a number, or a list of numbers or of (number, "
                         "tags) pairs, not %.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    items = PySequence_Tuple(value);
    if (items == NULL)
        return -1;
    for (Py_ssize_t i = 0; result == 0 && i < PyTuple_GET_SIZE(items); i++)
        result = append_item(points, PyTuple_GET_ITEM(items, i), common);
    Py_DECREF(items);
    return result;
}

static int call_all(PyObject *statsd, PyObject *method, PyObject *name, PyObject *points) {
    PyObject *callable = PyObject_GetAttr(statsd, method);
    PyObject *keywords = callable == NULL ? NULL : Py_BuildValue("(s)", "tags");
    int result = keywords == NULL ? -1 : 0;

    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(points); i++) {
        PyObject *point = PyList_GET_ITEM(points, i), *answer;
        PyObject *args[] = {NULL, name, PyTuple_GET_ITEM(point, 0), PyTuple_GET_ITEM(point, 1)};

        answer =
            PyObject_Vectorcall(callable, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, keywords);
        result = answer == NULL ? -1 : 0;
        Py_XDECREF(answer);
    }
    Py_XDECREF(keywords);
    Py_XDECREF(callable);
    return result;
}

int diag_statsd_points_send(PyObject *statsd, PyObject *method, PyObject *name, PyObject *value,
                            PyObject *tags) {
    PyObject *points = PyList_New(0), *common = NULL;
    int result = -1;

    if (points != NULL)
        common = tags == Py_None ? Py_NewRef(Py_None) : diag_tags_as_list(tags, DIAG_TAGS_KEY);
    if (common != NULL && append_all(points, value, common) == 0)
        result = call_all(statsd, method, name, points);
    Py_XDECREF(common);
    Py_XDECREF(points);
    return result;
}
