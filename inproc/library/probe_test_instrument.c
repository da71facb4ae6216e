/* SPDX-License-Identifier: MIT */
#include "inproc/library/probe_test_instrument.h"

#include "inproc/library/firing.h"
#include "inproc/library/instrument.h"

/* Borrowed: the list, made at first use. */
static PyObject *log_of(struct diag_instrument_object *instrument) {
    if (instrument->log == NULL)
        instrument->log = PyList_New(0);
    return instrument->log;
}

static int append(struct diag_instrument_object *instrument, PyObject *tags, PyObject *value) {
    PyObject *log = log_of(instrument);
    PyObject *entry = log == NULL ? NULL : PyTuple_Pack(2, tags, value);
    int result = entry == NULL ? -1 : PyList_Append(log, entry);

    Py_XDECREF(entry);
    return result;
}

int diag_probe_test_fire(struct diag_firing *firing) {
    PyObject *value = diag_firing_value(firing), *tags = NULL;
    int result = 0;

    if (value != NULL)
        tags = diag_firing_tags(firing);
    if (tags != NULL)
        result = append(firing->instrument, tags, value);
    else if (PyErr_Occurred())
        result = -1;
    Py_XDECREF(tags);
    Py_XDECREF(value);
    return result;
}

PyObject *diag_probe_test_fire_method(PyObject *self, PyObject *args, PyObject *kwargs) {
    struct diag_firing firing;

    if (diag_firing_from_python(&firing, self, args, kwargs, "O!O:fire") < 0 ||
        diag_probe_test_fire(&firing) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *get_log(PyObject *self, void *Py_UNUSED(closure)) {
    return Py_XNewRef(log_of((struct diag_instrument_object *)self));
}

static int set_log(PyObject *self, PyObject *log, void *Py_UNUSED(closure)) {
    if (log == NULL || !PyList_Check(log)) {
        PyErr_SetString(PyExc_TypeError, "log: must be a list");
        return -1;
    }
    Py_XSETREF(((struct diag_instrument_object *)self)->log, Py_NewRef(log));
    return 0;
}

static PyObject *get_results(PyObject *self, void *Py_UNUSED(closure)) {
    PyObject *log = log_of((struct diag_instrument_object *)self);
    PyObject *results = log == NULL ? NULL : PyList_New(0);

    for (Py_ssize_t i = 0; results != NULL && i < PyList_GET_SIZE(log); i++) {
        PyObject *value = PySequence_GetItem(PyList_GET_ITEM(log, i), 1);

        if (value == NULL || PyList_Append(results, value) < 0)
            Py_CLEAR(results);
        Py_XDECREF(value);
    }
    return results;
}

PyDoc_STRVAR(fire_doc, "fire($self, /, _globals, _locals)\n--\n\n"
                       "Appends (tags, value) to log.");

static PyMethodDef methods[] = {
    {"fire", (PyCFunction)(void (*)(void))diag_probe_test_fire_method, METH_VARARGS | METH_KEYWORDS,
     fire_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"log", get_log, set_log, "list of (tags, value), one for each hit.", NULL},
    {"results", get_results, NULL, "list of the values, one for each hit; a new one each time.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(doc, "ProbeTestInstrument(name, value, event='return', expires=None, custom=None, "
                  "mgr=None)\n--\n\n"
                  "Keeps what it sees, for test suites; see diagnose.sensor.\n\n"
                  "The arguments are those of Instrument.");

int diag_probe_test_instrument_add_type(struct diag_library *library, PyObject *module) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)doc},
        {Py_tp_methods, methods},
        {Py_tp_getset, getset},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.instruments.ProbeTestInstrument",
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = slots,
    };

    library->probe_test_type =
        diag_library_add_type(library, module, &spec, library->instrument_type);
    return library->probe_test_type == NULL ? -1 : 0;
}
