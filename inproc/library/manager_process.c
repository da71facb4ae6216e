/* SPDX-License-Identifier: MIT */
#include "inproc/library/manager_process.h"

#include <unistd.h>

#define HOST_NAME_MAX_BYTES 256

PyObject *diag_manager_get_process_id(PyObject *self, void *Py_UNUSED(closure)) {
    PyObject *process_id = diag_manager_of(self)->process_id, *host, *text;
    char name[HOST_NAME_MAX_BYTES + 1] = "";

    if (process_id != NULL)
        return Py_NewRef(process_id);
    if (gethostname(name, HOST_NAME_MAX_BYTES) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    host = PyUnicode_DecodeFSDefault(name);
    if (host == NULL)
        return NULL;
    text = PyUnicode_FromFormat("%U:%ld", host, (long)getpid());
    Py_DECREF(host);
    return text;
}

int diag_manager_set_process_id(PyObject *self, PyObject *value, void *Py_UNUSED(closure)) {
    struct diag_manager *manager = diag_manager_of(self);

    if (value == NULL || value == Py_None) {
        Py_CLEAR(manager->process_id);
        return 0;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "process_id: must be a str or None, not %s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    if (PyUnicode_GET_LENGTH(value) == 0) {
        PyErr_SetString(PyExc_ValueError, "process_id: is empty");
        return -1;
    }
    Py_XSETREF(manager->process_id, Py_NewRef(value));
    return 0;
}

/* container[key], made a new dict if there is none. A new reference; NULL with an exception. */
static PyObject *item_or_new_dict(PyObject *container, PyObject *key) {
    PyObject *item = PyObject_GetItem(container, key);

    if (item != NULL || !PyErr_ExceptionMatches(PyExc_KeyError))
        return item;
    PyErr_Clear();
    item = PyDict_New();
    if (item != NULL && PyObject_SetItem(container, key, item) < 0)
        Py_CLEAR(item);
    return item;
}

int diag_manager_mark_in_specs(PyObject *self, PyObject *id, PyObject *lastmodified,
                               PyObject *error) {
    struct diag_manager *manager = diag_manager_of(self);
    PyObject *specs = PyObject_GetAttrString(self, "specs");
    PyObject *document = specs == NULL ? NULL : PyObject_GetItem(specs, id);
    PyObject *process_id = NULL, *applied = NULL, *entry = NULL;
    int outcome = -1;

    if (document == NULL) {
        Py_XDECREF(specs);
        if (specs == NULL || !PyErr_ExceptionMatches(PyExc_KeyError))
            return -1;
        PyErr_Clear(); /* somebody has removed it */
        return 0;
    }
    process_id = PyObject_GetAttrString(self, "process_id");
    entry = PyDict_New();
    if (process_id != NULL && entry != NULL &&
        PyDict_SetItem(entry, manager->keys.lm, lastmodified) == 0 &&
        PyDict_SetItem(entry, manager->keys.err, error) == 0 &&
        (applied = item_or_new_dict(document, manager->keys.applied)) != NULL)
        outcome = PyObject_SetItem(applied, process_id, entry);
    Py_DECREF(specs);
    Py_DECREF(document);
    Py_XDECREF(process_id);
    Py_XDECREF(applied);
    Py_XDECREF(entry);
    return outcome;
}
