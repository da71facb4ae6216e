/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inproc/engine/pure_attribute.h"
#include "inproc/engine/pure_value.h"

#define INT_TEXT_MAX 18 /* digits that certainly fit 64 bits */
#define TYPES_MAX 16    /* in the tuple of an isinstance() */

/* Not by str(), which looks for signals between the digits of an int. */
static PyObject *int_text(PyObject *number) {
    char text[32];
    int64_t value;

    if (!diag_pure_int64(number, &value))
        return NULL;
    snprintf(text, sizeof text, "%lld", (long long)value);
    return PyUnicode_FromString(text);
}

PyObject *diag_pure_text(PyObject *object, bool is_repr) {
    PyObject *text = NULL;

    if (PyLong_CheckExact(object))
        text = int_text(object);
    else if (PyUnicode_CheckExact(object) && PyUnicode_GET_LENGTH(object) <= DIAG_PURE_LENGTH_MAX)
        text = is_repr ? PyObject_Repr(object) : Py_NewRef(object);
    else if (PyFloat_CheckExact(object) || PyBool_Check(object) || object == Py_None)
        text = PyObject_Repr(object);
    if (text == NULL)
        PyErr_Clear();
    return text;
}

static struct diag_operand call_len(PyObject *const *arguments, Py_ssize_t count) {
    Py_ssize_t length = diag_pure_length(arguments[0]);

    (void)count;
    return length < 0 ? diag_operand_borrowed(NULL) : diag_operand_made(PyLong_FromSsize_t(length));
}

static struct diag_operand call_abs(PyObject *const *arguments, Py_ssize_t count) {
    PyObject *number = arguments[0];
    int64_t value;

    (void)count;
    if (PyFloat_CheckExact(number))
        return diag_operand_made(PyFloat_FromDouble(fabs(PyFloat_AS_DOUBLE(number))));
    if (!diag_pure_int64(number, &value) || value == INT64_MIN)
        return diag_operand_borrowed(NULL);
    return diag_operand_made(PyLong_FromLongLong(value < 0 ? -value : value));
}

/* The first of those that none of the others is `operation` than. */
static struct diag_operand extreme(PyObject *const *items, Py_ssize_t count, int operation) {
    PyObject *best = NULL;

    if (count == 1 && (PyTuple_CheckExact(items[0]) || PyList_CheckExact(items[0]))) {
        count = PySequence_Fast_GET_SIZE(items[0]);
        items = PySequence_Fast_ITEMS(items[0]);
    } else if (count == 1)
        return diag_operand_borrowed(NULL);
    if (count == 0 || count > DIAG_PURE_ITEMS_MAX)
        return diag_operand_borrowed(NULL);
    best = items[0];
    for (Py_ssize_t i = 1; i < count; i++) {
        int is_better = diag_pure_compare(items[i], best, operation);

        if (is_better < 0)
            return diag_operand_borrowed(NULL);
        if (is_better)
            best = items[i];
    }
    return diag_operand_borrowed(best);
}

static struct diag_operand call_min(PyObject *const *arguments, Py_ssize_t count) {
    return extreme(arguments, count, Py_LT);
}

static struct diag_operand call_max(PyObject *const *arguments, Py_ssize_t count) {
    return extreme(arguments, count, Py_GT);
}

/* 1, 0, -1: an object may claim another class by its __class__, a class may have a say by its
 * metaclass. */
static int is_instance(PyObject *object, PyObject *type) {
    PyTypeObject *own = Py_TYPE(object);

    if (!Py_IS_TYPE(type, &PyType_Type))
        return -1;
    if (PyType_IsSubtype(own, (PyTypeObject *)type))
        return 1;
    if (own == &PyType_Type || own == &PyModule_Type || diag_pure_is_scalar(object))
        return 0;
    if (own->tp_getattro != PyObject_GenericGetAttr)
        return -1;
    return diag_pure_has_plain_class(own) ? 0 : -1;
}

static struct diag_operand call_isinstance(PyObject *const *arguments, Py_ssize_t count) {
    PyObject *const *types = &arguments[1];
    int result = 0;

    count = 1;
    if (PyTuple_CheckExact(arguments[1])) {
        types = PySequence_Fast_ITEMS(arguments[1]);
        count = PyTuple_GET_SIZE(arguments[1]);
    }
    if (count > TYPES_MAX)
        return diag_operand_borrowed(NULL);
    for (Py_ssize_t i = 0; i < count && result == 0; i++)
        result = is_instance(arguments[0], types[i]);
    return diag_operand_borrowed(result < 0 ? NULL : result ? Py_True : Py_False);
}

static struct diag_operand call_type(PyObject *const *arguments, Py_ssize_t count) {
    (void)count;
    return diag_operand_borrowed((PyObject *)Py_TYPE(arguments[0]));
}

static struct diag_operand call_bool(PyObject *const *arguments, Py_ssize_t count) {
    int truth = count == 0 ? 0 : diag_pure_truth(arguments[0]);

    return diag_operand_borrowed(truth < 0 ? NULL : truth ? Py_True : Py_False);
}

/* Decimal digits and a sign only. */
static struct diag_operand int_of_text(PyObject *text) {
    Py_ssize_t length;
    const char *digits, *at;

    if (!PyUnicode_IS_COMPACT_ASCII(text))
        return diag_operand_borrowed(NULL);
    length = PyUnicode_GET_LENGTH(text);
    digits = at = (const char *)PyUnicode_1BYTE_DATA(text);
    if (*at == '-' || *at == '+')
        at++;
    if (*at == '\0' || length > INT_TEXT_MAX ||
        (Py_ssize_t)strspn(at, "0123456789") != length - (at - digits))
        return diag_operand_borrowed(NULL);
    return diag_operand_made(PyLong_FromLongLong(strtoll(digits, NULL, 10)));
}

static struct diag_operand call_int(PyObject *const *arguments, Py_ssize_t count) {
    PyObject *object = count == 0 ? Py_False : arguments[0];
    int64_t value;

    if (PyLong_CheckExact(object))
        return diag_operand_borrowed(object);
    if (PyUnicode_CheckExact(object))
        return int_of_text(object);
    if (PyFloat_CheckExact(object))
        return fabs(PyFloat_AS_DOUBLE(object)) < 9e18
                   ? diag_operand_made(PyLong_FromLongLong((int64_t)PyFloat_AS_DOUBLE(object)))
                   : diag_operand_borrowed(NULL);
    return diag_pure_int64(object, &value) ? diag_operand_made(PyLong_FromLongLong(value))
                                           : diag_operand_borrowed(NULL);
}

static struct diag_operand call_float(PyObject *const *arguments, Py_ssize_t count) {
    PyObject *object = count == 0 ? Py_False : arguments[0];
    int64_t value;

    if (PyFloat_CheckExact(object))
        return diag_operand_borrowed(object);
    if (PyUnicode_CheckExact(object) && PyUnicode_GET_LENGTH(object) <= DIAG_PURE_ITEMS_MAX)
        return diag_operand_made(PyFloat_FromString(object));
    return diag_pure_int64(object, &value) ? diag_operand_made(PyFloat_FromDouble((double)value))
                                           : diag_operand_borrowed(NULL);
}

static struct diag_operand call_str(PyObject *const *arguments, Py_ssize_t count) {
    return diag_operand_owned(count == 0 ? PyUnicode_New(0, 0)
                                         : diag_pure_text(arguments[0], false));
}

static struct diag_operand call_repr(PyObject *const *arguments, Py_ssize_t count) {
    (void)count;
    return diag_operand_owned(diag_pure_text(arguments[0], true));
}

static const struct diag_pure_builtin builtins[] = {
    {"len", 1, 1, NULL, call_len},
    {"abs", 1, 1, NULL, call_abs},
    {"min", 1, DIAG_PURE_ARGUMENTS_MAX, NULL, call_min},
    {"max", 1, DIAG_PURE_ARGUMENTS_MAX, NULL, call_max},
    {"isinstance", 2, 2, NULL, call_isinstance},
    {"repr", 1, 1, NULL, call_repr},
    {"type", 1, 1, &PyType_Type, call_type},
    {"bool", 0, 1, &PyBool_Type, call_bool},
    {"int", 0, 1, &PyLong_Type, call_int},
    {"float", 0, 1, &PyFloat_Type, call_float},
    {"str", 0, 1, &PyUnicode_Type, call_str},
};

const struct diag_pure_builtin *diag_pure_builtin_find(PyObject *name) {
    for (size_t i = 0; i < DIAG_ARRAY_SIZE(builtins); i++)
        if (PyUnicode_CompareWithASCIIString(name, builtins[i].name) == 0)
            return &builtins[i];
    return NULL;
}

bool diag_pure_builtin_is(const struct diag_pure_builtin *builtin, PyObject *callable) {
    PyObject *module;

    if (builtin->type != NULL)
        return callable == (PyObject *)builtin->type;
    if (!PyCFunction_CheckExact(callable))
        return false;
    module = PyCFunction_GET_SELF(callable);
    return module != NULL && PyModule_CheckExact(module) &&
           ((PyCFunctionObject *)callable)->m_module != NULL &&
           PyUnicode_Check(((PyCFunctionObject *)callable)->m_module) &&
           PyUnicode_CompareWithASCIIString(((PyCFunctionObject *)callable)->m_module,
                                            "builtins") == 0 &&
           strcmp(((PyCFunctionObject *)callable)->m_ml->ml_name, builtin->name) == 0;
}
