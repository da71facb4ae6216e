/* SPDX-License-Identifier: MIT */
/* How it works: any class may have taken any function for its __init__, under whatever name, or
 * have inherited it; so all classes are visited, from object downwards. Most have no subclasses,
 * and are looked at in passing. */
#include "inproc/engine/init_cache.h"

#if PY_VERSION_HEX >= 0x030D0000

static void forget(PyTypeObject *type, const PyObject *function) {
    PyHeapTypeObject *heap_type = (PyHeapTypeObject *)type;

    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE) || heap_type->_spec_cache.init != function)
        return;
    PyType_Modified(type);
    heap_type->_spec_cache.init = NULL;
    /* A class that has used up its versions is never specialised again: do not take one from it
     * each time that a probe comes. */
    if (type->tp_versions_used > 0)
        type->tp_versions_used--;
}

/* Built-in types keep their subclasses elsewhere. */
static bool may_have_subclasses(const PyTypeObject *type) {
    return (type->tp_flags & DIAG_PY_TPFLAGS_BUILTIN) || type->tp_subclasses != NULL;
}

static bool is_first_base(const PyTypeObject *type, const PyObject *base) {
    PyObject *bases = type->tp_bases;

    return bases != NULL && PyTuple_GET_SIZE(bases) > 0 && PyTuple_GET_ITEM(bases, 0) == base;
}

/* Appends to the list `types` the subclasses that have `type` for their first base; so each comes
 * up once. `get_subclasses` is type's own: a metaclass of the program may have another one. */
static int append_subclasses(PyObject *types, PyObject *get_subclasses, PyObject *type) {
    PyObject *subclasses = PyObject_CallOneArg(get_subclasses, type);
    int result = subclasses == NULL ? -1 : 0;

    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(subclasses); i++) {
        PyObject *subclass = PyList_GET_ITEM(subclasses, i);

        if (is_first_base((PyTypeObject *)subclass, type))
            result = PyList_Append(types, subclass);
    }
    Py_XDECREF(subclasses);
    return result;
}

enum diag_status diag_init_cache_forget(const PyObject *function, struct diag_error *err) {
    PyObject *get_subclasses =
        PyDict_GetItemString(diag_py_type_dict(&PyType_Type), "__subclasses__");
    PyObject *types = PyList_New(1);
    int result = get_subclasses == NULL || types == NULL ? -1 : 0;

    if (types != NULL)
        PyList_SET_ITEM(types, 0, Py_NewRef((PyObject *)&PyBaseObject_Type));
    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(types); i++) {
        PyObject *type = PyList_GET_ITEM(types, i);

        forget((PyTypeObject *)type, function);
        if (may_have_subclasses((PyTypeObject *)type))
            result = append_subclasses(types, get_subclasses, type);
    }
    Py_XDECREF(types);
    if (result == 0)
        return DIAG_OK;
    PyErr_Clear();
    return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "classes that know the function");
}

#endif
