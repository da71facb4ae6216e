/* SPDX-License-Identifier: MIT */
/* How it works: when a decorator is called, no name leads to the function yet. So the probe, whose
 * target is what the names will be, is given the function itself. Functions within functions are
 * another thing: each call of the outer one makes a new one, and the names stand for all of them.
 *
 * A function that is defined again (a module that is reloaded, the outer function called again)
 * calls its decorators again: each takes the place of the one that was there for the former.  */
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

/* True if another function's decorator has put it there: that one was of the same name in the
 * source, and has been defined again. */
static bool is_superseded(const struct diag_binding *binding, PyObject *function) {
    PyObject *decorated;

    if (binding->decorated == NULL)
        return false;
    decorated = PyObject_CallNoArgs(binding->decorated);
    Py_XDECREF(decorated);
    return decorated != NULL && decorated != function;
}

/* The name, made unique by a number in brackets. A new reference; NULL with an exception. */
static PyObject *key_for(struct diag_probe_object *probe, struct diag_instrument_object *instrument,
                         PyObject *function) {
    PyObject *key = Py_NewRef(instrument->name);

    for (int number = 2; key != NULL; number++) {
        struct diag_binding *present = diag_probe_binding(probe, key);
        bool is_free = present == NULL || present->instrument == instrument ||
                       is_superseded(present, function);

        Py_XDECREF((PyObject *)present);
        if (is_free)
            break;
        Py_SETREF(key, PyUnicode_FromFormat("%U (%d)", instrument->name, number));
    }
    if (PyErr_Occurred())
        Py_CLEAR(key);
    return key;
}

/* Remembers what the instrument under this key decorates. */
static int note_decorated(struct diag_probe_object *probe, PyObject *key, PyObject *function) {
    struct diag_binding *binding = diag_probe_binding(probe, key);
    PyObject *reference;

    if (binding == NULL) /* taken out meanwhile */
        return PyErr_Occurred() ? -1 : 0;
    reference = PyWeakref_NewRef(function, NULL);
    if (reference == NULL && PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Clear(); /* some callables in C cannot have any: theirs stay */
    Py_XSETREF(binding->decorated, reference);
    Py_DECREF((PyObject *)binding);
    return PyErr_Occurred() ? -1 : 0;
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
    key = key_for(probe, instrument, function);
    if (key != NULL && diag_probe_put(probe, key, (PyObject *)instrument) == 0 &&
        note_decorated(probe, key, function) == 0)
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
