/* SPDX-License-Identifier: MIT */
/* How it works: integers are reckoned with in 64 bits, and results that do not fit are left to
 * Python. That bounds the time, and keeps away from CPython's loops over the digits of integers:
 * those look for signals, whose handlers are code of the program. */
#include "inproc/engine/pure_value.h"

#define EXACT_DOUBLE_MAX (INT64_C(1) << 53)

bool diag_pure_int64(PyObject *number, int64_t *value) {
    int overflow;
    long small;

    if (PyLong_CheckExact(number) && diag_py_small_int(number, &small)) {
        *value = small;
        return true;
    }
    if (!PyLong_CheckExact(number) && !PyBool_Check(number))
        return false;
    *value = PyLong_AsLongLongAndOverflow(number, &overflow);
    return overflow == 0;
}

static bool as_double(PyObject *number, double *value) {
    int64_t integer;

    if (PyFloat_CheckExact(number)) {
        *value = PyFloat_AS_DOUBLE(number);
        return true;
    }
    if (!diag_pure_int64(number, &integer))
        return false;
    *value = (double)integer; /* rounded as CPython does */
    return true;
}

static PyObject *made(PyObject *object) {
    if (object == NULL)
        PyErr_Clear();
    return object;
}

static PyObject *true_divide(int64_t a, int64_t b) {
    if (b == 0 || a > EXACT_DOUBLE_MAX || a < -EXACT_DOUBLE_MAX || b > EXACT_DOUBLE_MAX ||
        b < -EXACT_DOUBLE_MAX)
        return NULL;
    return made(PyFloat_FromDouble((double)a / (double)b));
}

/* Rounded down, as Python does. */
static bool floor_divide(int64_t a, int64_t b, int64_t *quotient, int64_t *remainder) {
    if (b == 0 || (b == -1 && a == INT64_MIN))
        return false;
    *quotient = a / b;
    *remainder = a % b;
    if (*remainder != 0 && (*remainder < 0) != (b < 0)) {
        *remainder += b;
        *quotient -= 1;
    }
    return true;
}

static bool power(int64_t base, int64_t exponent, int64_t *result) {
    if (exponent < 0 || exponent > 64)
        return false;
    *result = 1;
    for (int64_t i = 0; i < exponent; i++)
        if (__builtin_mul_overflow(*result, base, result))
            return false;
    return true;
}

static bool left_shift(int64_t a, int64_t by, int64_t *result) {
    return by >= 0 && by < 63 && !__builtin_mul_overflow(a, INT64_C(1) << by, result);
}

static bool right_shift(int64_t a, int64_t by, int64_t *result) {
    if (by < 0)
        return false;
    *result = a >> (by > 63 ? 63 : by);
    return true;
}

/* All but the true division. */
static bool calculate(enum diag_pure_operation operation, int64_t a, int64_t b, int64_t *result) {
    int64_t other;

    switch (operation) {
    case DIAG_PURE_ADD:
        return !__builtin_add_overflow(a, b, result);
    case DIAG_PURE_SUBTRACT:
        return !__builtin_sub_overflow(a, b, result);
    case DIAG_PURE_MULTIPLY:
        return !__builtin_mul_overflow(a, b, result);
    case DIAG_PURE_FLOOR_DIVIDE:
        return floor_divide(a, b, result, &other);
    case DIAG_PURE_REMAINDER:
        return floor_divide(a, b, &other, result);
    case DIAG_PURE_POWER:
        return power(a, b, result);
    case DIAG_PURE_AND:
        *result = a & b;
        return true;
    case DIAG_PURE_OR:
        *result = a | b;
        return true;
    case DIAG_PURE_XOR:
        *result = a ^ b;
        return true;
    case DIAG_PURE_LEFT_SHIFT:
        return left_shift(a, b, result);
    case DIAG_PURE_RIGHT_SHIFT:
        return right_shift(a, b, result);
    default:
        return false;
    }
}

static bool is_bitwise(enum diag_pure_operation operation) {
    return operation >= DIAG_PURE_AND && operation <= DIAG_PURE_XOR;
}

static PyObject *integers(enum diag_pure_operation operation, PyObject *left, PyObject *right) {
    int64_t a, b, result;

    if (!diag_pure_int64(left, &a) || !diag_pure_int64(right, &b))
        return NULL;
    if (operation == DIAG_PURE_DIVIDE)
        return true_divide(a, b);
    if (operation == DIAG_PURE_POWER && b < 0)
        return made(PyNumber_Power(left, right, Py_None)); /* of floats */
    if (!calculate(operation, a, b, &result))
        return NULL;
    if (is_bitwise(operation) && PyBool_Check(left) && PyBool_Check(right))
        return Py_NewRef(result ? Py_True : Py_False);
    return made(PyLong_FromLongLong(result));
}

/* At least one is a float. */
static PyObject *floats(enum diag_pure_operation operation, PyObject *left, PyObject *right) {
    double a, b;

    if (!as_double(left, &a) || !as_double(right, &b))
        return NULL;
    switch (operation) {
    case DIAG_PURE_ADD:
        return made(PyFloat_FromDouble(a + b));
    case DIAG_PURE_SUBTRACT:
        return made(PyFloat_FromDouble(a - b));
    case DIAG_PURE_MULTIPLY:
        return made(PyFloat_FromDouble(a * b));
    case DIAG_PURE_DIVIDE:
        return b == 0 ? NULL : made(PyFloat_FromDouble(a / b));
    case DIAG_PURE_FLOOR_DIVIDE:
        return made(PyNumber_FloorDivide(left, right));
    case DIAG_PURE_REMAINDER:
        return made(PyNumber_Remainder(left, right));
    case DIAG_PURE_POWER:
        return made(PyNumber_Power(left, right, Py_None));
    default:
        return NULL;
    }
}

static bool is_sequence(PyObject *object) {
    return PyUnicode_CheckExact(object) || PyBytes_CheckExact(object) ||
           PyList_CheckExact(object) || PyTuple_CheckExact(object);
}

static PyObject *concatenate(PyObject *a, PyObject *b) {
    PyObject *result;
    int gc;

    if (PyObject_Size(a) + PyObject_Size(b) > DIAG_PURE_LENGTH_MAX)
        return NULL;
    gc = diag_py_pause_gc();
    result = made(PySequence_Concat(a, b));
    diag_py_resume_gc(gc);
    return result;
}

static PyObject *repeat(PyObject *sequence, PyObject *number) {
    Py_ssize_t length = PyObject_Size(sequence);
    PyObject *result;
    int64_t count;
    int gc;

    if (!diag_pure_int64(number, &count) ||
        (count > 0 && length > 0 && count > DIAG_PURE_LENGTH_MAX / length))
        return NULL;
    gc = diag_py_pause_gc();
    result = made(PySequence_Repeat(sequence, (Py_ssize_t)count));
    diag_py_resume_gc(gc);
    return result;
}

static bool is_integer(PyObject *object) {
    return PyLong_CheckExact(object) || PyBool_Check(object);
}

PyObject *diag_pure_binary(enum diag_pure_operation operation, PyObject *a, PyObject *b) {
    long left, right;

    if (operation <= DIAG_PURE_SUBTRACT && PyLong_CheckExact(a) && PyLong_CheckExact(b) &&
        diag_py_small_int(a, &left) && diag_py_small_int(b, &right)) /* the commonest */
        return made(PyLong_FromLong(operation == DIAG_PURE_ADD ? left + right : left - right));
    if (is_integer(a) && is_integer(b))
        return integers(operation, a, b);
    if (diag_pure_is_number(a) && diag_pure_is_number(b))
        return floats(operation, a, b);
    if (operation == DIAG_PURE_ADD && is_sequence(a) && Py_TYPE(a) == Py_TYPE(b))
        return concatenate(a, b);
    if (operation == DIAG_PURE_MULTIPLY && is_sequence(a) && is_integer(b))
        return repeat(a, b);
    if (operation == DIAG_PURE_MULTIPLY && is_integer(a) && is_sequence(b))
        return repeat(b, a);
    return NULL;
}

PyObject *diag_pure_unary(enum diag_pure_operation operation, PyObject *a) {
    int64_t value, result;

    if (PyFloat_CheckExact(a) && operation == DIAG_PURE_NEGATIVE)
        return made(PyFloat_FromDouble(-PyFloat_AS_DOUBLE(a)));
    if (PyFloat_CheckExact(a) && operation == DIAG_PURE_POSITIVE)
        return Py_NewRef(a);
    if (!diag_pure_int64(a, &value))
        return NULL;
    if (operation == DIAG_PURE_POSITIVE)
        return made(PyLong_FromLongLong(value));
    if (operation == DIAG_PURE_INVERT) /* that of bool warns from 3.12 on */
        return PyBool_Check(a) ? NULL : made(PyLong_FromLongLong(~value));
    if (__builtin_sub_overflow(0, value, &result))
        return NULL;
    return made(PyLong_FromLongLong(result));
}
