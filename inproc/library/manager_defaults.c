/* SPDX-License-Identifier: MIT */
#include "inproc/library/manager_defaults.h"

#include <math.h>

PyDoc_STRVAR(
    mag_doc,
    "mag(number, base=10)\n--\n\n"
    "The magnitude of a number: the largest power of `base` that is not above it, for tags\n"
    "that group values by size. mag(1234) is 1000, mag(0.02) is 0.01, mag(-70) is -10,\n"
    "mag(0) is 0.\n\n"
    "number: int or float, finite. base: int or float, more than 1.\n"
    "Returns an int for an int number and an int base, else a float.\n\n"
    "Raises TypeError or ValueError that names what is wrong, OverflowError for an int that\n"
    "no float can hold.");

/* The exponent of the largest power of base that is not above `number`, which is positive. The
 * logarithm may be off by one where a power is hit. */
static double floor_exponent(double number, double base) {
    double exponent = floor(log(number) / log(base));

    if (pow(base, exponent + 1) <= number)
        return exponent + 1;
    return pow(base, exponent) > number ? exponent - 1 : exponent;
}

static int check_number(PyObject *object, const char *name, double *number) {
    if (!PyLong_Check(object) && !PyFloat_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s: must be a number, not %s", name,
                     Py_TYPE(object)->tp_name);
        return -1;
    }
    *number = PyFloat_AsDouble(object);
    if (*number == -1.0 && PyErr_Occurred())
        return -1;
    if (isfinite(*number))
        return 0;
    PyErr_Format(PyExc_ValueError, "%s: must be finite, not %R", name, object);
    return -1;
}

/* `sign` times `base` to a power of 0 or more. */
static PyObject *int_power(PyObject *base, double exponent, bool is_negative) {
    PyObject *power = PyLong_FromDouble(exponent), *result = NULL;

    if (power != NULL)
        result = PyNumber_Power(base, power, Py_None);
    Py_XDECREF(power);
    if (result != NULL && is_negative)
        Py_SETREF(result, PyNumber_Negative(result));
    return result;
}

static PyObject *mag(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs) {
    static char number_keyword[] = "number", base_keyword[] = "base";
    static char *keywords[] = {number_keyword, base_keyword, NULL};
    PyObject *number_object, *base_object = NULL;
    double number, base = 10, exponent;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:mag", keywords, &number_object,
                                     &base_object) ||
        check_number(number_object, "number", &number) < 0 ||
        (base_object != NULL && check_number(base_object, "base", &base) < 0))
        return NULL;
    if (base <= 1) {
        PyErr_Format(PyExc_ValueError, "base: must be more than 1, not %R", base_object);
        return NULL;
    }
    if (number == 0)
        return Py_NewRef(number_object);
    exponent = floor_exponent(fabs(number), base);
    if (PyLong_Check(number_object) && (base_object == NULL || PyLong_Check(base_object))) {
        PyObject *whole = base_object == NULL ? PyLong_FromLong(10) : Py_NewRef(base_object);
        PyObject *result = whole == NULL ? NULL : int_power(whole, exponent, number < 0);

        Py_XDECREF(whole);
        return result;
    }
    return PyFloat_FromDouble(copysign(pow(base, exponent), number));
}

static PyMethodDef mag_definition = {"mag", (PyCFunction)(void (*)(void))mag,
                                     METH_VARARGS | METH_KEYWORDS, mag_doc};

static PyObject *default_namespace(PyObject *module) {
    static const char *const modules[] = {"datetime", "math", "time"};
    PyObject *namespace = PyDict_New(), *function = PyObject_GetAttrString(module, "mag");

    if (namespace == NULL || function == NULL ||
        PyDict_SetItemString(namespace, "mag", function) < 0)
        Py_CLEAR(namespace);
    for (size_t i = 0; namespace != NULL && i < DIAG_ARRAY_SIZE(modules); i++) {
        PyObject *imported = PyImport_ImportModule(modules[i]);

        if (imported == NULL || PyDict_SetItemString(namespace, modules[i], imported) < 0)
            Py_CLEAR(namespace);
        Py_XDECREF(imported);
    }
    Py_XDECREF(function);
    return namespace;
}

int diag_manager_defaults_add_to(PyObject *module, PyObject *type) {
    PyObject *function = PyCFunction_New(&mag_definition, NULL);
    PyObject *classes = PyDict_New(), *namespace = NULL;
    int outcome = -1;

    if (function != NULL && classes != NULL && PyModule_AddObjectRef(module, "mag", function) == 0)
    namespace = default_namespace(module);
    if (namespace != NULL && PyObject_SetAttrString(type, "instrument_classes", classes) == 0 &&
        PyObject_SetAttrString(type, "global_namespace", namespace) == 0)
        outcome = 0;
    Py_XDECREF(function);
    Py_XDECREF(classes);
    Py_XDECREF(namespace);
    return outcome;
}

int diag_manager_defaults_copy(struct diag_manager *manager) {
    static const char *const names[] = {"specs", "instrument_classes", "global_namespace"};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(names); i++) {
        PyObject *value = PyObject_GetAttrString((PyObject *)Py_TYPE(manager), names[i]);
        PyObject *copy = NULL;
        int outcome = 0;

        if (value == NULL && !PyErr_ExceptionMatches(PyExc_AttributeError))
            return -1;
        PyErr_Clear();
        if (value == NULL || PyDict_Check(value)) {
            copy = value == NULL ? PyDict_New() : PyDict_Copy(value);
            outcome = copy == NULL ? -1 : PyDict_SetItemString(manager->dict, names[i], copy);
        }
        Py_XDECREF(value);
        Py_XDECREF(copy);
        if (outcome < 0)
            return -1;
    }
    return 0;
}
