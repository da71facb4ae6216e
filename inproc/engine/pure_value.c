/* SPDX-License-Identifier: MIT */
#include "inproc/engine/pure_value.h"

#include "inproc/engine/pure_lookup.h"

/* Objects that are looked at to find out whether containers are plain: nested ones count all. */
#define PLAIN_ITEMS_MAX 256
#define PLAIN_DEPTH_MAX 8

bool diag_pure_is_number(PyObject *object) {
    return PyLong_CheckExact(object) || PyFloat_CheckExact(object) || PyBool_Check(object);
}

bool diag_pure_is_scalar(PyObject *object) {
    return PyUnicode_CheckExact(object) || diag_pure_is_number(object) || object == Py_None ||
           PyBytes_CheckExact(object);
}

/* True if == of this object is that of a scalar or that of `object`: identity. */
static bool has_known_equality(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);

    return diag_pure_is_scalar(object) || type->tp_richcompare == PyBaseObject_Type.tp_richcompare;
}

bool diag_pure_is_key(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);

    if (diag_pure_is_scalar(object))
        return true;
    if (PyTuple_CheckExact(object)) {
        if (PyTuple_GET_SIZE(object) > PLAIN_DEPTH_MAX)
            return false;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); i++)
            if (!diag_pure_is_scalar(PyTuple_GET_ITEM(object, i)))
                return false;
        return true;
    }
    return type->tp_richcompare == PyBaseObject_Type.tp_richcompare &&
           type->tp_hash == PyBaseObject_Type.tp_hash;
}

/* True if comparing it calls nothing but the comparisons of scalars. */
static bool is_plain(PyObject *object, int depth, int *budget) {
    PyObject *key, *value;
    Py_ssize_t at = 0;

    if (--*budget < 0)
        return false;
    if (has_known_equality(object))
        return true;
    if (depth == 0)
        return false;
    if (PyTuple_CheckExact(object) || PyList_CheckExact(object)) {
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(object); i++)
            if (!is_plain(PySequence_Fast_GET_ITEM(object, i), depth - 1, budget))
                return false;
        return true;
    }
    if (PyDict_CheckExact(object)) {
        while (PyDict_Next(object, &at, &key, &value))
            if (!diag_pure_is_key(key) || !is_plain(value, depth - 1, budget))
                return false;
        return true;
    }
    return false;
}

static bool compare_numbers(double a, double b, int operation) {
    switch (operation) {
    case Py_LT:
        return a < b;
    case Py_LE:
        return a <= b;
    case Py_EQ:
        return a == b;
    case Py_NE:
        return a != b;
    case Py_GT:
        return a > b;
    default:
        return a >= b;
    }
}

static __attribute__((noinline)) int compare_others(PyObject *a, PyObject *b, int operation) {
    int budget = PLAIN_ITEMS_MAX, result = -1;
    PyObject *value;

    if (!is_plain(a, PLAIN_DEPTH_MAX, &budget) || !is_plain(b, PLAIN_DEPTH_MAX, &budget))
        return -1;
    value = PyObject_RichCompare(a, b, operation);
    if (value == NULL)
        PyErr_Clear();
    else if (PyBool_Check(value))
        result = value == Py_True;
    Py_XDECREF(value);
    return result;
}

int diag_pure_compare(PyObject *a, PyObject *b, int operation) {
    long left, right;

    if (PyLong_CheckExact(a) && PyLong_CheckExact(b) && diag_py_small_int(a, &left) &&
        diag_py_small_int(b, &right)) /* small enough for a double */
        return compare_numbers((double)left, (double)right, operation);
    if (PyFloat_CheckExact(a)) {
        if (PyFloat_CheckExact(b))
            return compare_numbers(PyFloat_AS_DOUBLE(a), PyFloat_AS_DOUBLE(b), operation);
        if (PyLong_CheckExact(b) && diag_py_small_int(b, &right))
            return compare_numbers(PyFloat_AS_DOUBLE(a), (double)right, operation);
    }
    if (PyUnicode_CheckExact(a) && PyUnicode_CheckExact(b) && a == b)
        return operation == Py_EQ || operation == Py_LE || operation == Py_GE;
    return compare_others(a, b, operation);
}

/* The functions of a builtin type's slots are its subclasses' too, if they have no own. */
static lenfunc sequence_length_slot(PyTypeObject *type) {
    return type->tp_as_sequence == NULL ? NULL : type->tp_as_sequence->sq_length;
}

static lenfunc mapping_length_slot(PyTypeObject *type) {
    return type->tp_as_mapping == NULL ? NULL : type->tp_as_mapping->mp_length;
}

static bool has_known_length(PyTypeObject *type) {
    static PyTypeObject *const sequences[] = {&PyList_Type,      &PyTuple_Type, &PyUnicode_Type,
                                              &PyBytes_Type,     &PySet_Type,   &PyFrozenSet_Type,
                                              &PyByteArray_Type, &PyRange_Type};
    lenfunc slot = sequence_length_slot(type);

    for (size_t i = 0; slot != NULL && i < DIAG_ARRAY_SIZE(sequences); i++)
        if (slot == sequence_length_slot(sequences[i]))
            return true;
    return slot == NULL && mapping_length_slot(type) == mapping_length_slot(&PyDict_Type);
}

Py_ssize_t diag_pure_length(PyObject *object) {
    Py_ssize_t length;

    if (PyList_CheckExact(object) || PyTuple_CheckExact(object))
        return Py_SIZE(object);
    if (PyUnicode_CheckExact(object))
        return PyUnicode_GET_LENGTH(object);
    if (PyDict_CheckExact(object))
        return PyDict_GET_SIZE(object);
    if (!has_known_length(Py_TYPE(object)))
        return -1;
    length = PyObject_Size(object);
    if (length < 0)
        PyErr_Clear();
    return length;
}

int diag_pure_truth(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);

    if (object == Py_True)
        return 1;
    if (object == Py_False || object == Py_None)
        return 0;
    if (diag_pure_is_number(object))
        return PyObject_IsTrue(object);
    if (type->tp_as_number != NULL && type->tp_as_number->nb_bool != NULL)
        return -1;
    if (sequence_length_slot(type) == NULL && mapping_length_slot(type) == NULL)
        return 1;
    if (!has_known_length(type))
        return -1;
    return diag_pure_length(object) > 0;
}

static int is_among(PyObject *sequence, PyObject *item) {
    Py_ssize_t size = PySequence_Fast_GET_SIZE(sequence);

    if (size > DIAG_PURE_ITEMS_MAX)
        return -1;
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *other = PySequence_Fast_GET_ITEM(sequence, i);
        int result = other == item ? 1 : diag_pure_compare(other, item, Py_EQ);

        if (result != 0)
            return result;
    }
    return 0;
}

static int known(enum diag_pure_lookup result) {
    return result == DIAG_PURE_UNKNOWN ? -1 : result == DIAG_PURE_FOUND;
}

int diag_pure_contains(PyObject *container, PyObject *item) {
    PyObject *value;

    if (PyTuple_CheckExact(container) || PyList_CheckExact(container))
        return is_among(container, item);
    if (PyDict_CheckExact(container))
        return known(diag_pure_dict_find(container, item, &value));
    if (PyAnySet_CheckExact(container))
        return known(diag_pure_set_find(container, item));
    if (PyUnicode_CheckExact(container) && PyUnicode_CheckExact(item) &&
        PyUnicode_GET_LENGTH(container) <= DIAG_PURE_LENGTH_MAX) {
        int result = PyUnicode_Contains(container, item);

        if (result < 0)
            PyErr_Clear();
        return result;
    }
    return -1;
}

static binaryfunc subscript_slot(PyTypeObject *type) {
    return type->tp_as_mapping == NULL ? NULL : type->tp_as_mapping->mp_subscript;
}

/* The item `index`, counted from the end if it is negative; -1: there is none. */
static Py_ssize_t position(PyObject *key, Py_ssize_t length) {
    int64_t index;

    if (!diag_pure_int64(key, &index))
        return -1;
    if (index < 0)
        index += length;
    return index >= 0 && index < length ? (Py_ssize_t)index : -1;
}

struct diag_operand diag_pure_subscript(PyObject *container, PyObject *key) {
    binaryfunc slot = subscript_slot(Py_TYPE(container));
    PyObject *value;
    Py_ssize_t at;

    if (slot == subscript_slot(&PyDict_Type)) {
        if (diag_pure_dict_find(container, key, &value) != DIAG_PURE_FOUND)
            value = NULL;
        return diag_operand_borrowed(value);
    }
    if (slot == subscript_slot(&PyList_Type) || slot == subscript_slot(&PyTuple_Type)) {
        at = position(key, Py_SIZE(container));
        return diag_operand_borrowed(at < 0 ? NULL : PySequence_Fast_ITEMS(container)[at]);
    }
    if (!PyUnicode_CheckExact(container) && !PyBytes_CheckExact(container))
        return diag_operand_borrowed(NULL);
    at = position(key, PyObject_Size(container));
    return at < 0 ? diag_operand_borrowed(NULL)
                  : diag_operand_made(PySequence_GetItem(container, at));
}

static bool is_bound(PyObject *object) {
    int64_t value;

    return object == NULL || object == Py_None || diag_pure_int64(object, &value);
}

PyObject *diag_pure_slice(PyObject *container, PyObject *start, PyObject *stop, PyObject *step) {
    PyObject *slice, *result = NULL;
    Py_ssize_t first, last, stride;
    int gc;

    if (!PyList_CheckExact(container) && !PyTuple_CheckExact(container) &&
        !PyUnicode_CheckExact(container) && !PyBytes_CheckExact(container))
        return NULL;
    if (!is_bound(start) || !is_bound(stop) || !is_bound(step))
        return NULL;
    gc = diag_py_pause_gc();
    slice = PySlice_New(start, stop, step);
    if (slice != NULL && PySlice_Unpack(slice, &first, &last, &stride) == 0 &&
        PySlice_AdjustIndices(PyObject_Size(container), &first, &last, stride) <=
            DIAG_PURE_LENGTH_MAX)
        result = PyObject_GetItem(container, slice);
    Py_XDECREF(slice);
    diag_py_resume_gc(gc);
    if (result == NULL)
        PyErr_Clear();
    return result;
}
