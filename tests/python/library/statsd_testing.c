/* SPDX-License-Identifier: MIT */
/* statsd_testing - an extension module with the type StatsD, and the functions that instruments in
 * C call. */
#include "inproc/library/statsd_object.h"

/* (statsd, type, name, value, tags); tags may be missing. */
static PyObject *send(PyObject *self, PyObject *args) {
    PyObject *statsd, *name, *value, *tags = NULL;
    int type;

    (void)self;
    if (!PyArg_ParseTuple(args, "OiOO|O", &statsd, &type, &name, &value, &tags))
        return NULL;
    if (diag_statsd_object_send(statsd, (enum diag_statsd_type)type, name, value, tags) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *is_exact(PyObject *self, PyObject *object) {
    (void)self;
    return PyBool_FromLong(diag_statsd_object_is_exact(object));
}

static int module_exec(PyObject *module) {
    if (PyModule_AddIntConstant(module, "COUNTER", DIAG_STATSD_COUNTER) < 0 ||
        PyModule_AddIntConstant(module, "HISTOGRAM", DIAG_STATSD_HISTOGRAM) < 0)
        return -1;
    return diag_statsd_object_add_type(module);
}

static PyMethodDef methods[] = {
    {"send", send, METH_VARARGS, NULL},
    {"is_exact", is_exact, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, __extension__(void *) module_exec},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "statsd_testing",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit_statsd_testing(void);
PyMODINIT_FUNC PyInit_statsd_testing(void) {
    return PyModuleDef_Init(&definition);
}
