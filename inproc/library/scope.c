/* SPDX-License-Identifier: MIT */
#include "inproc/library/scope.h"

struct scope {
    PyDictObject dict; /* what the expression binds itself, by := */
    PyObject *globals;
    PyObject *locals;
};

/* A new reference; NULL without an exception: it has no such key. */
static PyObject *item_of(PyObject *mapping, PyObject *key) {
    PyObject *item = PyObject_GetItem(mapping, key);

    if (item == NULL && PyErr_ExceptionMatches(PyExc_KeyError))
        PyErr_Clear();
    return item;
}

static PyObject *missing(PyObject *self, PyObject *key) {
    struct scope *scope = (struct scope *)self;
    bool is_dict = PyDict_Check(scope->locals);
    PyObject *value = is_dict ? Py_XNewRef(PyDict_GetItemWithError(scope->locals, key))
                              : item_of(scope->locals, key);

    if (value == NULL && !PyErr_Occurred())
        value = Py_XNewRef(PyDict_GetItemWithError(scope->globals, key));
    if (value == NULL && !PyErr_Occurred() && is_dict && !PyDict_CheckExact(scope->locals))
        value = item_of(scope->locals, key);
    if (value == NULL && !PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, key);
    return value;
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((struct scope *)self)->globals);
    Py_VISIT(((struct scope *)self)->locals);
    return PyDict_Type.tp_traverse(self, visit, arg);
}

static int clear(PyObject *self) {
    Py_CLEAR(((struct scope *)self)->globals);
    Py_CLEAR(((struct scope *)self)->locals);
    return PyDict_Type.tp_clear(self);
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_CLEAR(((struct scope *)self)->globals);
    Py_CLEAR(((struct scope *)self)->locals);
    PyDict_Type.tp_dealloc(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"__missing__", missing, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

int diag_scope_add_type(struct diag_library *library) {
    PyType_Slot slots[] = {
        {Py_tp_methods, methods},
        {Py_tp_traverse, DIAG_PY_SLOT(traverse)},
        {Py_tp_clear, DIAG_PY_SLOT(clear)},
        {Py_tp_dealloc, DIAG_PY_SLOT(dealloc)},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.scope",
        .basicsize = sizeof(struct scope),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                 Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };

    library->scope_type = diag_library_add_type(library, NULL, &spec, &PyDict_Type);
    return library->scope_type == NULL ? -1 : 0;
}

PyObject *diag_scope_new(struct diag_library *library, PyObject *globals, PyObject *locals) {
    PyObject *no_arguments = PyTuple_New(0);
    PyObject *self =
        no_arguments == NULL ? NULL : PyDict_Type.tp_new(library->scope_type, no_arguments, NULL);

    Py_XDECREF(no_arguments);
    if (self == NULL)
        return NULL;
    ((struct scope *)self)->globals = Py_NewRef(globals);
    ((struct scope *)self)->locals = Py_NewRef(locals);
    return self;
}
