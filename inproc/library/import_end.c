/* SPDX-License-Identifier: MIT */
/* How it works: while a module is imported, importlib keeps a lock for it, which nobody else does:
 * when that object is gone, so is the import. A weak reference tells. */
#include "inproc/library/import_end.h"

#include "inproc/engine/engine.h"
#include "inproc/engine/target_walk.h"
#include "lib/base/clock.h"

/* The callback of the weak references; `self`: the module of the library. */
static PyObject *ended(PyObject *self, PyObject *reference) {
    struct diag_library *library = PyModule_GetState(self);
    Py_ssize_t index = PySequence_Index(library->import_watches, reference);

    if (index < 0 || PySequence_DelItem(library->import_watches, index) < 0)
        PyErr_Clear();
    if (library->engine != NULL && !library->is_stopped)
        diag_engine_tick(library->engine, diag_clock_unix_ns());
    Py_RETURN_NONE;
}

static PyMethodDef ended_definition = {"import_ended", ended, METH_O, NULL};

/* A new reference to importlib's lock of a module; NULL: there is none, perhaps with an exception.
 */
static PyObject *lock_of(PyObject *name) {
    PyObject *importlib =
        PyDict_GetItemString(PyImport_GetModuleDict(), "_frozen_importlib"); /* always there */
    PyObject *locks = importlib == NULL ? NULL : PyObject_GetAttrString(importlib, "_module_locks");
    PyObject *reference = locks == NULL ? NULL : PyObject_GetItem(locks, name);
    PyObject *lock = reference == NULL ? NULL : PyObject_CallNoArgs(reference);

    Py_XDECREF(locks);
    Py_XDECREF(reference);
    return lock;
}

static void watch(struct diag_library *library, PyObject *name) {
    PyObject *lock = lock_of(name);
    PyObject *callback = PyCFunction_New(&ended_definition, library->module);
    PyObject *reference = NULL;

    if (lock != NULL && lock != Py_None && callback != NULL)
        reference = PyWeakref_NewRef(lock, callback);
    if (reference != NULL && PyList_Append(library->import_watches, reference) < 0)
        PyErr_Clear();
    Py_XDECREF(reference);
    Py_XDECREF(callback);
    Py_XDECREF(lock);
    PyErr_Clear();
}

void diag_import_end_watch(struct diag_library *library, PyObject *target) {
    Py_ssize_t end = PyUnicode_GET_LENGTH(target);

    for (;;) {
        PyObject *name, *module;
        bool is_being_imported;

        end = PyUnicode_FindChar(target, '.', 0, end, -1);
        name = end < 1 ? NULL : PyUnicode_Substring(target, 0, end);
        if (name == NULL)
            break;
        module = PyDict_GetItemWithError(PyImport_GetModuleDict(), name);
        is_being_imported = module != NULL && diag_target_is_being_imported(module);
        if (is_being_imported)
            watch(library, name);
        Py_DECREF(name);
        if (is_being_imported)
            break;
    }
    PyErr_Clear();
}
