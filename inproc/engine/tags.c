/* SPDX-License-Identifier: MIT */
#include "inproc/engine/tags.h"

#include "inproc/engine/bounded_repr.h"
#include "inproc/engine/describe.h"
#include "lib/event/event_encoder.h"

static int check_count(Py_ssize_t count) {
    if (count <= DIAG_TAGS_MAX)
        return 0;
    PyErr_Format(PyExc_ValueError, "%zd tags, at most %d", count, DIAG_TAGS_MAX);
    return -1;
}

/* What str() gives of key or value; containers only as far as there is room. */
static int put_text(PyObject *object, char *out, size_t capacity, size_t *size) {
    PyObject *text;
    uint64_t full_size;

    if (PyList_CheckExact(object) || PyTuple_CheckExact(object) || PyDict_CheckExact(object) ||
        PyAnySet_CheckExact(object))
        return diag_bounded_repr(object, out, capacity, size, &full_size);
    text = PyObject_Str(object);
    if (text == NULL)
        return -1;
    *size = diag_describe_str(text, out, capacity, NULL);
    Py_DECREF(text);
    return 0;
}

static int encode_pair(struct diag_wire_writer *writer, PyObject *key, PyObject *value) {
    char text[DIAG_TAG_SIZE_MAX];
    size_t key_size, value_size;

    if (put_text(key, text, sizeof text, &key_size) < 0 ||
        put_text(value, text + key_size, sizeof text - key_size, &value_size) < 0)
        return -1;
    diag_event_put_tag(writer, diag_bytes_make(text, key_size),
                       diag_bytes_make(text + key_size, value_size));
    return 0;
}

static int encode_dict(struct diag_wire_writer *writer, PyObject *tags) {
    Py_ssize_t position = 0;
    PyObject *key, *value;

    if (check_count(PyDict_GET_SIZE(tags)) < 0)
        return -1;
    for (int count = 0; count < DIAG_TAGS_MAX && PyDict_Next(tags, &position, &key, &value);
         count++) {
        int result;

        Py_INCREF(key);
        Py_INCREF(value);
        result = encode_pair(writer, key, value);
        Py_DECREF(key);
        Py_DECREF(value);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int encode_item(struct diag_wire_writer *writer, PyObject *item) {
    char text[DIAG_TAG_SIZE_MAX];
    const char *colon;
    size_t size, key_size;

    if (!PyUnicode_Check(item)) {
        PyErr_Format(PyExc_TypeError, "a tag in a list must be str, not %.200s",
                     Py_TYPE(item)->tp_name);
        return -1;
    }
    size = diag_describe_str(item, text, sizeof text, NULL);
    colon = memchr(text, ':', size);
    key_size = colon == NULL ? size : (size_t)(colon - text);
    diag_event_put_tag(writer, diag_bytes_make(text, key_size),
                       colon == NULL ? diag_bytes_make(NULL, 0)
                                     : diag_bytes_make(colon + 1, size - key_size - 1));
    return 0;
}

static int encode_items(struct diag_wire_writer *writer, PyObject *tags) {
    PyObject *items = PySequence_Tuple(tags);
    int result;

    if (items == NULL)
        return -1;
    result = check_count(PyTuple_GET_SIZE(items));
    for (Py_ssize_t i = 0; result == 0 && i < PyTuple_GET_SIZE(items); i++)
        result = encode_item(writer, PyTuple_GET_ITEM(items, i));
    Py_DECREF(items);
    return result;
}

int diag_tags_encode(struct diag_wire_writer *writer, PyObject *tags) {
    if (PyDict_Check(tags))
        return encode_dict(writer, tags);
    if (PyList_Check(tags) || PyTuple_Check(tags) || PyAnySet_Check(tags))
        return encode_items(writer, tags);
    PyErr_Format(PyExc_TypeError, "a dict or a list of str is expected, not %.200s",
                 Py_TYPE(tags)->tp_name);
    return -1;
}
