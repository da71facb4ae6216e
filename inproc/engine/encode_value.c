/* SPDX-License-Identifier: MIT */
#include "inproc/engine/encode_value.h"

#include <stdio.h>

#include "inproc/engine/bounded_repr.h"
#include "inproc/engine/describe.h"
#include "inproc/engine/interrupt.h"
#include "lib/event/event_encoder.h"

#define TYPE_MAX 200

struct limits {
    size_t text_max;
    Py_ssize_t items_max;
    unsigned depth_max;
};

/* Tried in this order until the value fits. */
static const struct limits limits_by_attempt[] = {
    {DIAG_ENCODE_TEXT_MAX, DIAG_ENCODE_ITEMS_MAX, DIAG_ENCODE_DEPTH_MAX},
    {500, 30, 4},
    {100, 15, 3},
    {1000, 0, 0}, /* a container becomes its repr */
    {100, 0, 0},
};

static void encode(struct diag_wire_writer *writer, uint32_t number, PyObject *value,
                   const struct limits *limits, unsigned depth);

static uint64_t cut_size(uint64_t full_size, size_t written) {
    return full_size > written ? full_size : 0;
}

static __attribute__((noinline)) void encode_str(struct diag_wire_writer *writer, uint32_t number,
                                                 PyObject *value, const struct limits *limits) {
    char text[DIAG_ENCODE_TEXT_MAX];
    uint64_t full_size;
    size_t size = diag_describe_str(value, text, limits->text_max, &full_size);

    diag_value_put_str(writer, number, diag_bytes_make(text, size), cut_size(full_size, size));
}

static void encode_bytes(struct diag_wire_writer *writer, uint32_t number, const char *data,
                         Py_ssize_t full_size, const struct limits *limits) {
    size_t size = (size_t)full_size < limits->text_max ? (size_t)full_size : limits->text_max;

    diag_value_put_bytes(writer, number, diag_bytes_make(data, size),
                         cut_size((uint64_t)full_size, size));
}

static __attribute__((noinline)) void encode_repr(struct diag_wire_writer *writer, uint32_t number,
                                                  PyObject *value, const struct limits *limits) {
    char type[TYPE_MAX], text[DIAG_ENCODE_TEXT_MAX];
    uint64_t full_size;
    size_t size;

    if (diag_bounded_repr(value, text, limits->text_max, &size, &full_size) < 0) {
        char reason[DIAG_ENCODE_TEXT_MAX / 4];
        int length;

        if (diag_interrupt_take(true))
            snprintf(reason, sizeof reason, "interrupted by a signal");
        else
            diag_describe_exception(reason, sizeof reason);
        length = snprintf(text, sizeof text, "<repr failed: %s>", reason);
        full_size = (uint64_t)length;
        size = diag_bytes_utf8_cut(diag_bytes_make(text, (size_t)length), limits->text_max);
    }
    diag_describe_type(Py_TYPE(value), type, sizeof type);
    diag_value_put_repr(writer, number, diag_bytes_from_text(type), diag_bytes_make(text, size),
                        cut_size(full_size, size));
}

static void encode_sequence(struct diag_wire_writer *writer, uint32_t number, PyObject *value,
                            const struct limits *limits, unsigned depth) {
    struct diag_value_mark mark = diag_value_begin(writer, number, DIAG_VALUE_FIELD_LIST);
    Py_ssize_t full_size = Py_SIZE(value), i;

    for (i = 0; i < limits->items_max && !writer->has_overflowed; i++) {
        PyObject *item;

        if (i >= Py_SIZE(value))
            break;
        item = PyList_Check(value) ? PyList_GET_ITEM(value, i) : PyTuple_GET_ITEM(value, i);
        if (item == NULL)
            break; /* a tuple still being filled by its builder */
        Py_INCREF(item);
        encode(writer, DIAG_LIST_FIELD_ITEMS, item, limits, depth + 1);
        Py_DECREF(item);
    }
    diag_value_end(writer, mark, cut_size((uint64_t)full_size, (size_t)i));
}

static void encode_dict(struct diag_wire_writer *writer, uint32_t number, PyObject *value,
                        const struct limits *limits, unsigned depth) {
    struct diag_value_mark mark = diag_value_begin(writer, number, DIAG_VALUE_FIELD_DICT);
    Py_ssize_t full_size = PyDict_GET_SIZE(value), count = 0, position = 0;
    PyObject *key, *item;

    while (count < limits->items_max && !writer->has_overflowed &&
           PyDict_Next(value, &position, &key, &item)) {
        size_t entry = diag_wire_begin(writer, DIAG_DICT_FIELD_ENTRIES);

        Py_INCREF(key);
        Py_INCREF(item);
        encode(writer, DIAG_DICT_ENTRY_FIELD_KEY, key, limits, depth + 1);
        encode(writer, DIAG_DICT_ENTRY_FIELD_VALUE, item, limits, depth + 1);
        Py_DECREF(key);
        Py_DECREF(item);
        diag_wire_end(writer, entry);
        count++;
    }
    diag_value_end(writer, mark, cut_size((uint64_t)full_size, (size_t)count));
}

static void encode_int(struct diag_wire_writer *writer, uint32_t number, PyObject *value,
                       const struct limits *limits) {
    int overflow;
    long long integer = PyLong_AsLongLongAndOverflow(value, &overflow);

    if (overflow != 0)
        encode_repr(writer, number, value, limits);
    else
        diag_value_put_int(writer, number, integer);
}

static void encode(struct diag_wire_writer *writer, uint32_t number, PyObject *value,
                   const struct limits *limits, unsigned depth) {
    bool is_container_allowed = depth < limits->depth_max;

    if (value == Py_None)
        diag_value_put_none(writer, number);
    else if (PyBool_Check(value))
        diag_value_put_bool(writer, number, value == Py_True);
    else if (PyLong_Check(value))
        encode_int(writer, number, value, limits);
    else if (PyFloat_Check(value))
        diag_value_put_float(writer, number, PyFloat_AS_DOUBLE(value));
    else if (PyUnicode_Check(value))
        encode_str(writer, number, value, limits);
    else if (PyBytes_Check(value))
        encode_bytes(writer, number, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), limits);
    else if (PyByteArray_Check(value))
        encode_bytes(writer, number, PyByteArray_AS_STRING(value), PyByteArray_GET_SIZE(value),
                     limits);
    else if (is_container_allowed && (PyList_Check(value) || PyTuple_Check(value)))
        encode_sequence(writer, number, value, limits, depth);
    else if (is_container_allowed && PyDict_Check(value))
        encode_dict(writer, number, value, limits, depth);
    else
        encode_repr(writer, number, value, limits);
}

bool diag_encode_value(struct diag_wire_writer *writer, uint32_t number, PyObject *value) {
    size_t start = diag_wire_size(writer);

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(limits_by_attempt); i++) {
        encode(writer, number, value, &limits_by_attempt[i], 0);
        if (!writer->has_overflowed)
            return true;
        diag_wire_rewind(writer, start);
    }
    return false;
}
