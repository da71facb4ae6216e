/* SPDX-License-Identifier: MIT */
#include "inproc/engine/namespace.h"

struct namespace {
    PyDictObject dict;
    PyObject *fallbacks[DIAG_NAMESPACE_FALLBACKS];
};

/* Borrowed; NULL without an exception: none has it. */
static PyObject *find_in_fallbacks(const struct namespace *namespace, PyObject *key) {
    PyObject *value = NULL;

    for (int i = 0; i < DIAG_NAMESPACE_FALLBACKS && value == NULL && !PyErr_Occurred(); i++)
        if (namespace->fallbacks[i] != NULL)
            value = PyDict_GetItemWithError(namespace->fallbacks[i], key);
    return value;
}

static PyObject *missing(PyObject *self, PyObject *key) {
    PyObject *value = find_in_fallbacks((struct namespace *)self, key);

    if (value == NULL && !PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, key);
    return Py_XNewRef(value);
}

/* What dict's own would do, without looking for __missing__ at each global name. */
static PyObject *subscript(PyObject *self, PyObject *key) {
    PyObject *value = PyDict_GetItemWithError(self, key);

    if (value != NULL)
        return Py_NewRef(value);
    return PyErr_Occurred() ? NULL : missing(self, key);
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    for (int i = 0; i < DIAG_NAMESPACE_FALLBACKS; i++)
        Py_VISIT(((struct namespace *)self)->fallbacks[i]);
    return PyDict_Type.tp_traverse(self, visit, arg);
}

static void clear_fallbacks(PyObject *self) {
    for (int i = 0; i < DIAG_NAMESPACE_FALLBACKS; i++)
        Py_CLEAR(((struct namespace *)self)->fallbacks[i]);
}

static int clear(PyObject *self) {
    clear_fallbacks(self);
    return PyDict_Type.tp_clear(self);
}

/* dict's own dealloc untracks, and frees through tp_free. */
static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);

    clear_fallbacks(self);
    PyDict_Type.tp_dealloc(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"__missing__", missing, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

PyTypeObject *diag_namespace_type_new(void) {
    PyType_Slot slots[] = {
        {Py_tp_methods, methods},
        {Py_mp_subscript, DIAG_PY_SLOT(subscript)},
        {Py_tp_traverse, DIAG_PY_SLOT(traverse)},
        {Py_tp_clear, DIAG_PY_SLOT(clear)},
        {Py_tp_dealloc, DIAG_PY_SLOT(dealloc)},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.namespace",
        .basicsize = sizeof(struct namespace),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromSpecWithBases(&spec, (PyObject *)&PyDict_Type);
}

PyObject *diag_namespace_new(PyTypeObject *type, PyObject *names,
                             PyObject *const fallbacks[DIAG_NAMESPACE_FALLBACKS]) {
    PyObject *self = PyObject_CallNoArgs((PyObject *)type);

    if (self == NULL)
        return NULL;
    for (int i = 0; i < DIAG_NAMESPACE_FALLBACKS; i++)
        ((struct namespace *)self)->fallbacks[i] = Py_XNewRef(fallbacks[i]);
    if (PyDict_Update(self, names) < 0)
        Py_CLEAR(self);
    return self;
}
