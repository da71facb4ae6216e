/* SPDX-License-Identifier: MIT */
#include "inproc/engine/bounded_repr.h"

#include <string.h>

#include "inproc/engine/describe.h"

#define DEPTH_MAX 32

struct text {
    char *data;
    size_t capacity;
    size_t size;
    uint64_t full_size;
    unsigned depth;
};

static int write_value(struct text *text, PyObject *value);

static bool is_full(const struct text *text) {
    return text->full_size > text->size;
}

static void append(struct text *text, const char *characters) {
    size_t length = strlen(characters), room = text->capacity - text->size;
    size_t written = is_full(text) ? 0 : length < room ? length : room;

    memcpy(text->data + text->size, characters, written);
    text->size += written;
    text->full_size += length;
}

static void append_str(struct text *text, PyObject *characters) {
    uint64_t full_size;
    size_t room = is_full(text) ? 0 : text->capacity - text->size;

    text->size += diag_describe_str(characters, text->data + text->size, room, &full_size);
    text->full_size += full_size;
}

/* Its own repr(). */
static int write_object(struct text *text, PyObject *value) {
    PyObject *repr = PyObject_Repr(value);

    if (repr == NULL)
        return -1;
    append_str(text, repr);
    Py_DECREF(repr);
    return 0;
}

/* Of a long str or bytes only the beginning is looked at; its repr() is no shorter than that. */
static int write_beginning(struct text *text, PyObject *value) {
    Py_ssize_t end = (Py_ssize_t)text->capacity + 1;
    PyObject *beginning = PySequence_GetSlice(value, 0, end);
    int result;

    if (beginning == NULL)
        return -1;
    result = write_object(text, beginning);
    Py_DECREF(beginning);
    return result;
}

static int write_item(struct text *text, PyObject *item, bool is_first) {
    int result;

    if (!is_first)
        append(text, ", ");
    Py_INCREF(item);
    result = write_value(text, item);
    Py_DECREF(item);
    return result;
}

static int write_list(struct text *text, PyObject *list) {
    append(text, "[");
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list) && !is_full(text); i++)
        if (write_item(text, PyList_GET_ITEM(list, i), i == 0) < 0)
            return -1;
    append(text, "]");
    return 0;
}

static int write_tuple(struct text *text, PyObject *tuple) {
    append(text, "(");
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple) && !is_full(text); i++)
        if (write_item(text, PyTuple_GET_ITEM(tuple, i), i == 0) < 0)
            return -1;
    append(text, PyTuple_GET_SIZE(tuple) == 1 ? ",)" : ")");
    return 0;
}

static int write_dict(struct text *text, PyObject *dict) {
    Py_ssize_t position = 0;
    PyObject *key, *value;
    bool is_first = true;

    append(text, "{");
    while (!is_full(text) && PyDict_Next(dict, &position, &key, &value)) {
        int result;

        Py_INCREF(value);
        result = write_item(text, key, is_first);
        if (result == 0) {
            append(text, ": ");
            result = write_value(text, value);
        }
        Py_DECREF(value);
        if (result < 0)
            return -1;
        is_first = false;
    }
    append(text, "}");
    return 0;
}

static int write_set(struct text *text, PyObject *set) {
    bool is_frozen = PyFrozenSet_CheckExact(set), is_first = true;
    PyObject *iterator, *item;

    if (PySet_GET_SIZE(set) == 0) {
        append(text, is_frozen ? "frozenset()" : "set()");
        return 0;
    }
    iterator = PyObject_GetIter(set);
    if (iterator == NULL)
        return -1;
    append(text, is_frozen ? "frozenset({" : "{");
    while (!is_full(text) && (item = PyIter_Next(iterator)) != NULL) {
        int result = write_item(text, item, is_first);

        Py_DECREF(item);
        if (result < 0)
            break;
        is_first = false;
    }
    append(text, is_frozen ? "})" : "}");
    Py_DECREF(iterator);
    return PyErr_Occurred() ? -1 : 0;
}

/* How the contents of a built-in container are written; NULL: `type` is none. Subclasses that
 * keep the repr() of their base count as their base. */
static int (*container_writer(PyTypeObject *type))(struct text *, PyObject *) {
    if (type->tp_repr == PyList_Type.tp_repr)
        return write_list;
    if (type->tp_repr == PyTuple_Type.tp_repr)
        return write_tuple;
    if (type->tp_repr == PyDict_Type.tp_repr)
        return write_dict;
    return type == &PySet_Type || type == &PyFrozenSet_Type ? write_set : NULL;
}

static int write_value(struct text *text, PyObject *value) {
    int (*writer)(struct text *, PyObject *) = container_writer(Py_TYPE(value));
    int entered, result;

    if (is_full(text))
        return 0;
    if (writer == NULL)
        return PyUnicode_CheckExact(value) || PyBytes_CheckExact(value)
                   ? write_beginning(text, value)
                   : write_object(text, value);
    if (text->depth == DEPTH_MAX) {
        append(text, "...");
        return 0;
    }
    entered = Py_ReprEnter(value);
    if (entered < 0)
        return -1;
    if (entered > 0) {
        append(text, writer == write_list ? "[...]" : writer == write_dict ? "{...}" : "(...)");
        return 0;
    }
    text->depth++;
    result = writer(text, value);
    text->depth--;
    Py_ReprLeave(value);
    return result;
}

int diag_bounded_repr(PyObject *value, char *out, size_t capacity, size_t *size,
                      uint64_t *full_size) {
    struct text text = {out, capacity, 0, 0, 0};

    if (write_value(&text, value) < 0)
        return -1;
    *size = text.size;
    *full_size = text.full_size;
    return 0;
}
