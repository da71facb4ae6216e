/* SPDX-License-Identifier: MIT */
#include "inproc/engine/describe.h"

#include <stdio.h>
#include <string.h>

#define TYPE_MAX 200

/* Bytes of one code point; a lone surrogate takes the six of its escape. */
static size_t utf8_size(Py_UCS4 character) {
    if (character < 0x80)
        return 1;
    if (character < 0x800)
        return 2;
    if (character >= 0xD800 && character <= 0xDFFF)
        return 6;
    return character < 0x10000 ? 3 : 4;
}

static void utf8_put(Py_UCS4 character, char *out) {
    static const char digits[] = "0123456789abcdef";

    switch (utf8_size(character)) {
    case 1:
        out[0] = (char)character;
        break;
    case 2:
        out[0] = (char)(0xC0 | character >> 6);
        out[1] = (char)(0x80 | (character & 0x3F));
        break;
    case 3:
        out[0] = (char)(0xE0 | character >> 12);
        out[1] = (char)(0x80 | (character >> 6 & 0x3F));
        out[2] = (char)(0x80 | (character & 0x3F));
        break;
    case 4:
        out[0] = (char)(0xF0 | character >> 18);
        out[1] = (char)(0x80 | (character >> 12 & 0x3F));
        out[2] = (char)(0x80 | (character >> 6 & 0x3F));
        out[3] = (char)(0x80 | (character & 0x3F));
        break;
    default:
        out[0] = '\\';
        out[1] = 'u';
        for (int i = 0; i < 4; i++)
            out[2 + i] = digits[character >> (12 - 4 * i) & 0xF];
    }
}

/* Characters that are counted only to say how much was cut. */
#define SIZE_EXACT_MAX 16384

size_t diag_describe_str(PyObject *text, char *out, size_t capacity, uint64_t *full_size) {
    Py_ssize_t length, i;
    const void *data;
    size_t written = 0;
    uint64_t size;
    int kind;

    if (PyUnicode_READY(text) < 0) {
        PyErr_Clear();
        length = 0;
    } else
        length = PyUnicode_GET_LENGTH(text);
    if (length == 0) {
        if (full_size != NULL)
            *full_size = 0;
        return 0;
    }
    kind = PyUnicode_KIND(text);
    data = PyUnicode_DATA(text);
    if (PyUnicode_IS_ASCII(text)) {
        written = (size_t)length < capacity ? (size_t)length : capacity;
        memcpy(out, data, written);
        if (full_size != NULL)
            *full_size = (uint64_t)length;
        return written;
    }
    for (i = 0; i < length; i++) {
        Py_UCS4 character = PyUnicode_READ(kind, data, i);

        if (utf8_size(character) > capacity - written)
            break;
        utf8_put(character, out + written);
        written += utf8_size(character);
    }
    size = written;
    if (full_size == NULL)
        return written;
    if (length - i > SIZE_EXACT_MAX) { /* counting would take as long as the text is */
        *full_size = size + (uint64_t)(length - i);
        return written;
    }
    for (; i < length; i++)
        size += utf8_size(PyUnicode_READ(kind, data, i));
    *full_size = size;
    return written;
}

/* Appends a str, and keeps the text terminated. */
static size_t append(PyObject *text, char *out, size_t capacity, size_t at) {
    if (at + 1 < capacity)
        at += diag_describe_str(text, out + at, capacity - at - 1, NULL);
    out[at] = '\0';
    return at;
}

void diag_describe_type(PyTypeObject *type, char *out, size_t capacity) {
    PyObject *module, *dict = diag_py_type_dict(type);
    size_t at = 0;

    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        snprintf(out, capacity, "%s", type->tp_name);
        return;
    }
    module = dict == NULL ? NULL : PyDict_GetItemString(dict, "__module__");
    if (module != NULL && PyUnicode_Check(module) &&
        PyUnicode_CompareWithASCIIString(module, "builtins") != 0) {
        at = append(module, out, capacity, at);
        if (at + 1 < capacity)
            out[at++] = '.';
    }
    append(((PyHeapTypeObject *)type)->ht_qualname, out, capacity, at);
}

static long get_long(PyObject *object, const char *name) {
    PyObject *value = PyObject_GetAttrString(object, name);
    long number = value != NULL && PyLong_Check(value) ? PyLong_AsLong(value) : -1;

    Py_XDECREF(value);
    PyErr_Clear();
    return number;
}

/* str() of a SyntaxError names a file, which means nothing here. */
static void describe_syntax_error(PyObject *error, const char *type, char *out, size_t capacity) {
    PyObject *message = PyObject_GetAttrString(error, "msg");
    long line = get_long(error, "lineno"), column = get_long(error, "offset");
    size_t at = (size_t)snprintf(out, capacity, "%s: ", type);

    if (at < capacity && message != NULL && PyUnicode_Check(message))
        at = append(message, out, capacity, at);
    if (at < capacity && line > 0)
        snprintf(out + at, capacity - at, " (line %ld, column %ld)", line, column);
    Py_XDECREF(message);
    PyErr_Clear();
}

void diag_describe_exception(char *out, size_t capacity) {
    PyObject *type, *value, *traceback, *text;
    char name[TYPE_MAX];
    size_t at;

    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL) {
        snprintf(out, capacity, "unknown error");
        return;
    }
    PyErr_NormalizeException(&type, &value, &traceback);
    diag_describe_type((PyTypeObject *)type, name, sizeof name);
    if (PyErr_GivenExceptionMatches(type, PyExc_SyntaxError))
        describe_syntax_error(value, name, out, capacity);
    else {
        text = value == NULL ? NULL : PyObject_Str(value);
        at = (size_t)snprintf(out, capacity, "%s", name);
        if (text == NULL)
            snprintf(out + at, at < capacity ? capacity - at : 0, ": <str failed>");
        else if (PyUnicode_GET_LENGTH(text) > 0 && at + 3 < capacity) {
            memcpy(out + at, ": ", 3);
            append(text, out, capacity, at + 2);
        }
        Py_XDECREF(text);
        PyErr_Clear();
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    PyErr_Clear();
}
