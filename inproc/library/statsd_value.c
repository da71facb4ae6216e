/* SPDX-License-Identifier: MIT */
#include "inproc/library/statsd_value.h"

#include <math.h>

#include "lib/statsd/statsd_datagram.h"

/* ---- texts ---- */

int diag_statsd_text_take(struct diag_statsd_text *out, PyObject *text, const char *argument) {
    struct diag_statsd_text taken = {{NULL, 0}, NULL};
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);

    if (data == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return -1;
        PyErr_Clear();
        taken.owner = PyUnicode_AsEncodedString(text, "utf-8", "replace");
        if (taken.owner == NULL)
            return -1;
        data = PyBytes_AS_STRING(taken.owner);
        size = PyBytes_GET_SIZE(taken.owner);
    }
    if (size > DIAG_STATSD_DATAGRAM_MAX) {
        Py_XDECREF(taken.owner);
        PyErr_Format(PyExc_ValueError, "%s: a text of %zd bytes, a datagram has at most %d",
                     argument, size, DIAG_STATSD_DATAGRAM_MAX);
        return -1;
    }
    taken.bytes = diag_bytes_make(data, (size_t)size);
    *out = taken;
    return 0;
}

void diag_statsd_text_done(struct diag_statsd_text *text) {
    Py_CLEAR(text->owner);
    text->bytes = diag_bytes_make(NULL, 0);
}

/* ---- numbers ---- */

bool diag_statsd_is_number(PyObject *object) {
    const PyNumberMethods *methods = Py_TYPE(object)->tp_as_number;

    return PyFloat_Check(object) || PyLong_Check(object) ||
           (methods != NULL && (methods->nb_index != NULL || methods->nb_float != NULL));
}

static int take_real(double real, bool is_negated, char *out, size_t *size) {
    *size = diag_statsd_write_real(is_negated ? -real : real, out);
    if (*size > 0)
        return 0;
    PyErr_Format(PyExc_ValueError, "value: %s is not a finite number", isnan(real) ? "nan" : "inf");
    return -1;
}

static int take_integer(PyObject *number, bool is_negated, char *out, size_t *size) {
    int overflow;
    long long integer = PyLong_AsLongLongAndOverflow(number, &overflow);
    double real;

    if (integer == -1 && PyErr_Occurred())
        return -1;
    /* the least has no counterpart */
    if (overflow == 0 && integer > LLONG_MIN) {
        *size = diag_statsd_write_integer(is_negated ? -integer : integer, out);
        return 0;
    }
    real = PyLong_AsDouble(number);
    if (real == -1.0 && PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError,
                        "value: an integer too large for a floating-point number");
        return -1;
    }
    return take_real(real, is_negated, out, size);
}

int diag_statsd_number_take(PyObject *number, bool is_negated, char out[DIAG_STATSD_NUMBER_MAX],
                            size_t *size) {
    PyObject *converted;
    int result;

    if (PyFloat_Check(number))
        return take_real(PyFloat_AS_DOUBLE(number), is_negated, out, size);
    if (PyLong_Check(number))
        return take_integer(number, is_negated, out, size);
    converted = PyIndex_Check(number) ? PyNumber_Index(number) : PyNumber_Float(number);
    if (converted == NULL)
        return -1;
    result = PyLong_Check(converted)
                 ? take_integer(converted, is_negated, out, size)
                 : take_real(PyFloat_AS_DOUBLE(converted), is_negated, out, size);
    Py_DECREF(converted);
    return result;
}

/* ---- tags ---- */

static int no_memory_unless(enum diag_status status) {
    if (status == DIAG_OK)
        return 0;
    PyErr_NoMemory();
    return -1;
}

static int take_tag(struct diag_buffer *out, PyObject *tag) {
    struct diag_statsd_text text;
    int result;

    if (diag_statsd_text_take(&text, tag, "tags") < 0)
        return -1;
    result = no_memory_unless(diag_statsd_put_tag(out, text.bytes));
    diag_statsd_text_done(&text);
    return result;
}

/* Both are str. */
static int take_pair(struct diag_buffer *out, PyObject *key, PyObject *value) {
    struct diag_statsd_text key_text, value_text;
    int result;

    if (diag_statsd_text_take(&key_text, key, "tags") < 0)
        return -1;
    if (diag_statsd_text_take(&value_text, value, "tags") < 0) {
        diag_statsd_text_done(&key_text);
        return -1;
    }
    result = no_memory_unless(diag_statsd_put_pair(out, key_text.bytes, value_text.bytes));
    diag_statsd_text_done(&key_text);
    diag_statsd_text_done(&value_text);
    return result;
}

static int take_pair_of_any(struct diag_buffer *out, PyObject *key, PyObject *value) {
    PyObject *key_text = PyObject_Str(key);
    PyObject *value_text = key_text == NULL ? NULL : PyObject_Str(value);
    int result = value_text == NULL ? -1 : take_pair(out, key_text, value_text);

    Py_XDECREF(key_text);
    Py_XDECREF(value_text);
    return result;
}

/* Of a copy, as str() may change the dict. */
static int take_dict_of_any(struct diag_buffer *out, PyObject *tags) {
    PyObject *items = PyDict_Items(tags);
    int result = items == NULL ? -1 : 0;

    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);

        result = take_pair_of_any(out, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    }
    Py_XDECREF(items);
    return result;
}

static int take_dict(struct diag_buffer *out, PyObject *tags) {
    size_t start = out->size;
    Py_ssize_t position = 0;
    PyObject *key, *value;

    while (PyDict_Next(tags, &position, &key, &value)) {
        if (!PyUnicode_Check(key) || !PyUnicode_Check(value)) {
            out->size = start;
            return take_dict_of_any(out, tags);
        }
        if (take_pair(out, key, value) < 0)
            return -1;
    }
    return 0;
}

static int take_list(struct diag_buffer *out, PyObject *tags) {
    PyObject *items = PySequence_Tuple(tags);
    int result = items == NULL ? -1 : 0;

    for (Py_ssize_t i = 0; result == 0 && i < PyTuple_GET_SIZE(items); i++) {
        PyObject *tag = PyTuple_GET_ITEM(items, i);

        if (PyUnicode_Check(tag)) {
            result = take_tag(out, tag);
        } else {
            PyErr_Format(PyExc_TypeError, "tags: item %zd: str is expected, not %.200s", i,
                         Py_TYPE(tag)->tp_name);
            result = -1;
        }
    }
    Py_XDECREF(items);
    return result;
}

int diag_statsd_tags_take(struct diag_buffer *out, PyObject *tags) {
    if (tags == NULL || tags == Py_None)
        return 0;
    if (PyUnicode_Check(tags))
        return take_tag(out, tags);
    if (PyDict_Check(tags))
        return take_dict(out, tags);
    if (PyList_Check(tags) || PyTuple_Check(tags) || PyAnySet_Check(tags))
        return take_list(out, tags);
    PyErr_Format(PyExc_TypeError, "tags: a dict, a list of str or a str is expected, not %.200s",
                 Py_TYPE(tags)->tp_name);
    return -1;
}
