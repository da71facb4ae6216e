/* SPDX-License-Identifier: MIT */
#include "inproc/engine/c_callable.h"

#include <string.h>

#define CYTHON_TYPE_NAME "cython_function_or_method"

/* Each module that Cython translated may have a type of its own: it is told by its name, and by a
 * field that only Cython sets like this. */
bool diag_c_is_cython(PyObject *callable) {
    const char *name = Py_TYPE(callable)->tp_name, *dot = strrchr(name, '.');

    return strcmp(dot == NULL ? name : dot + 1, CYTHON_TYPE_NAME) == 0 &&
           (size_t)Py_TYPE(callable)->tp_basicsize >= sizeof(PyCFunctionObject) &&
           ((PyCFunctionObject *)callable)->m_self == callable;
}

PyMethodDef *diag_c_definition(PyObject *callable) {
    if (PyCFunction_Check(callable) || diag_c_is_cython(callable))
        return ((PyCFunctionObject *)callable)->m_ml;
    if (Py_IS_TYPE(callable, &PyMethodDescr_Type) || Py_IS_TYPE(callable, &PyClassMethodDescr_Type))
        return ((PyMethodDescrObject *)callable)->d_method;
    return NULL;
}

static enum diag_status refuse(struct diag_error *err, const char *why) {
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0, "%s", why);
}

/* True for object.__getstate__. */
static bool is_object_getstate(const PyMethodDef *definition) {
    PyObject *name = PyUnicode_InternFromString("__getstate__");
    PyObject *method = name == NULL ? NULL : _PyType_Lookup(&PyBaseObject_Type, name);

    Py_XDECREF(name);
    PyErr_Clear();
    return method != NULL && diag_c_definition(method) == definition;
}

static enum diag_status classify_definition(PyObject *object, struct diag_c_callable *out,
                                            struct diag_error *err) {
    PyMethodDef *definition = out->definition;
    PyObject *self;

    if (definition == NULL || definition->ml_meth == NULL)
        return refuse(err, "a built-in function without an implementation");
    if (is_object_getstate(definition))
        return refuse(err, "object.__getstate__: pickling tells by the address of its function "
                           "whether a class has its own, and would change");
    out->kind = DIAG_C_KIND_DEFINITION;
    out->is_cython = diag_c_is_cython(object);
    if (!PyCFunction_Check(object) && !out->is_cython)
        return DIAG_OK;
    self = ((PyCFunctionObject *)object)->m_self;
    if (self != NULL && PyType_Check(self) && strcmp(definition->ml_name, "__new__") == 0)
        return refuse(err, "__new__ of a class in C: classes reach their slot tp_new directly, "
                           "calls would be missed silently");
    out->is_self_hidden =
        self == NULL || PyModule_Check(self) || (definition->ml_flags & METH_STATIC);
    if (!out->is_self_hidden)
        out->only_self = self;
    return DIAG_OK;
}

/* True if calls of the type's instances go through a __call__ in Python. */
static bool has_call_in_python(PyTypeObject *type) {
    PyObject *name = PyUnicode_InternFromString("__call__");
    PyObject *call = name == NULL ? NULL : _PyType_Lookup(type, name);

    Py_XDECREF(name);
    PyErr_Clear();
    return call != NULL && !Py_IS_TYPE(call, &PyWrapperDescr_Type);
}

static enum diag_status classify_instance(PyObject *object, struct diag_c_callable *out,
                                          struct diag_error *err) {
    PyTypeObject *type = Py_TYPE(object);

    if (type->tp_call == NULL)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "an instance of %.100s, which is not callable", type->tp_name);
    if (has_call_in_python(type))
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "an instance of %.100s, whose __call__ is not in C: probe that",
                              type->tp_name);
    out->kind = DIAG_C_KIND_INSTANCE;
    return DIAG_OK;
}

enum diag_status diag_c_classify(PyObject *object, struct diag_c_callable *out,
                                 struct diag_error *err) {
    PyTypeObject *type = Py_TYPE(object);
    struct diag_c_callable found = {.kind = DIAG_C_KIND_INSTANCE};
    enum diag_status status;

    if (PyType_Check(object))
        return refuse(err, "a class: probe its __init__ or __new__");
    if (diag_py_is_function(object))
        return refuse(err, "a function in Python, not in C");
    if (type == &PyMethod_Type)
        return refuse(err, "a bound method: probe its function");
    /* the latter's type is not exported everywhere */
    if (type == &PyWrapperDescr_Type || strcmp(type->tp_name, "method-wrapper") == 0)
        return refuse(err, "a wrapper of a type's slot: operators reach the type's slot directly, "
                           "calls would be missed silently");
    if (type == &PyGetSetDescr_Type || type == &PyMemberDescr_Type)
        return refuse(err, "an attribute in C (a getset or member descriptor), which is never "
                           "called through an object");
    if (type == &PyStaticMethod_Type || type == &PyClassMethod_Type)
        return refuse(err, "a staticmethod or classmethod object: probe its function");
    found.definition = diag_c_definition(object);
    status = found.definition != NULL || PyCFunction_Check(object)
                 ? classify_definition(object, &found, err)
                 : classify_instance(object, &found, err);
    if (status == DIAG_OK)
        *out = found;
    return status;
}
