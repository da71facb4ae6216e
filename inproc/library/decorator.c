/* SPDX-License-Identifier: MIT */
/* How it works: when a decorator is called, no name leads to the function yet. So the probe, whose
 * target is what the names will be, is given the function itself. Functions within functions are
 * another thing: each call of the outer one makes a new one, and the names stand for all of them.
 */
#include "inproc/library/decorator.h"

#include <string.h>

#include "inproc/engine/target.h"
#include "inproc/library/instrument_map.h"
#include "inproc/library/probe_start.h"

/* A new reference to what lies in a static or class method; else to the object itself. */
static PyObject *unwrap(struct diag_library *library, PyObject *function) {
    if (PyObject_TypeCheck(function, &PyStaticMethod_Type) ||
        PyObject_TypeCheck(function, &PyClassMethod_Type))
        return PyObject_GetAttr(function, library->names[DIAG_NAME_FUNC]);
    return Py_NewRef(function);
}

/* "module.qualname" of the function. A new reference. */
static PyObject *target_of(struct diag_library *library, PyObject *function) {
    PyObject *module = PyObject_GetAttr(function, library->names[DIAG_NAME_MODULE]);
    PyObject *qualname =
        module == NULL ? NULL : PyObject_GetAttr(function, library->names[DIAG_NAME_QUALNAME]);
    PyObject *target = NULL;

    if (module != NULL && qualname != NULL && PyUnicode_Check(module) && PyUnicode_Check(qualname))
        target = PyUnicode_FromFormat("%U.%U", module, qualname);
    else if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Format(PyExc_TypeError, "an instrument is a decorator of functions, not of %.200s",
                     Py_TYPE(function)->tp_name);
    Py_XDECREF(module);
    Py_XDECREF(qualname);
    return target;
}

/* True if the names of a function within a function lead to its code. */
static bool is_found_by_names(PyObject *target) {
    const char *text = PyUnicode_AsUTF8(target);
    struct diag_target found;
    bool is_found;

    if (text == NULL || strstr(text, ".<locals>.") == NULL) {
        PyErr_Clear();
        return false;
    }
    diag_target_resolve(text, DIAG_POINT_CALL, false, &found);
    is_found = found.outcome == DIAG_TARGET_FOUND;
    diag_target_done(&found);
    return is_found;
}

static int attach(struct diag_instrument_object *instrument, PyObject *function, PyObject *target) {
    PyObject *object = diag_probe_attach(instrument->library, target), *key;
    struct diag_probe_object *probe = (struct diag_probe_object *)object;
    int result = -1;

    if (object == NULL)
        return -1;
    if (!PyObject_TypeCheck(object, instrument->library->probe_type)) {
        PyErr_Format(PyExc_TypeError, "active_probes[%R]: is a %.200s, not a FunctionProbe", target,
                     Py_TYPE(object)->tp_name);
        Py_DECREF(object);
        return -1;
    }
    /* only calls of a function object can be altered */
    if (!diag_instrument_alters(instrument) && is_found_by_names(target))
        Py_CLEAR(probe->callable);
    else
        Py_XSETREF(probe->callable, Py_NewRef(function));
    key = diag_probe_key_for(probe, instrument);
    if (key != NULL && diag_probe_put(probe, key, (PyObject *)instrument) == 0)
        result = diag_probe_start(probe);
    Py_XDECREF(key);
    Py_DECREF(object);
    return result;
}

PyObject *diag_decorator_call(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char function_keyword[] = "function";
    static char *keywords[] = {function_keyword, NULL};
    struct diag_instrument_object *self = (struct diag_instrument_object *)object;
    PyObject *function, *inner, *target, *result = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Instrument.__call__", keywords, &function))
        return NULL;
    if (!self->is_complete) {
        PyErr_Format(PyExc_TypeError, "the __init__ of %.200s has not called super().__init__()",
                     Py_TYPE(object)->tp_name);
        return NULL;
    }
    inner = unwrap(self->library, function);
    target = inner == NULL ? NULL : target_of(self->library, inner);
    if (target != NULL && attach(self, inner, target) == 0)
        result = Py_NewRef(function);
    Py_XDECREF(target);
    Py_XDECREF(inner);
    return result;
}
