/* SPDX-License-Identifier: MIT */
#include "inproc/library/sensor.h"

#include "inproc/library/placement.h"

struct sensor {
    PyObject_HEAD PyObject *target;
    PyObject *keywords; /* dict: for ProbeTestInstrument */
    struct diag_placement placement;
    bool is_entered;
};

static struct sensor *sensor_of(PyObject *self) {
    return (struct sensor *)self;
}

static int set_default(PyObject *keywords, const char *name, PyObject *value) {
    PyObject *key = PyUnicode_FromString(name);
    int outcome = key == NULL || PyDict_SetDefault(keywords, key, value) == NULL ? -1 : 0;

    Py_XDECREF(key);
    return outcome;
}

static int set_default_text(PyObject *keywords, const char *name, const char *text) {
    PyObject *value = PyUnicode_FromString(text);
    int outcome = value == NULL ? -1 : set_default(keywords, name, value);

    Py_XDECREF(value);
    return outcome;
}

/* target, value, name, event and custom may be given by position. */
static int sensor_init(PyObject *self, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"target", "value", "name", "event", "custom"};
    struct sensor *sensor = sensor_of(self);
    PyObject *keywords = kwargs == NULL ? PyDict_New() : PyDict_Copy(kwargs), *target = NULL;

    if (keywords == NULL)
        return -1;
    if ((size_t)PyTuple_GET_SIZE(args) > DIAG_ARRAY_SIZE(names))
        PyErr_Format(PyExc_TypeError, "sensor() takes at most %zu positional arguments, not %zd",
                     DIAG_ARRAY_SIZE(names), PyTuple_GET_SIZE(args));
    for (Py_ssize_t i = 0; !PyErr_Occurred() && i < PyTuple_GET_SIZE(args); i++) {
        if (PyDict_GetItemString(keywords, names[i]) != NULL)
            PyErr_Format(PyExc_TypeError, "sensor() got multiple values for %s", names[i]);
        else if (PyDict_SetItemString(keywords, names[i], PyTuple_GET_ITEM(args, i)) < 0)
            break;
    }
    if (!PyErr_Occurred() && (target = PyDict_GetItemString(keywords, "target")) == NULL)
        PyErr_SetString(PyExc_TypeError, "sensor() needs a target");
    else if (target != NULL && !PyUnicode_Check(target))
        PyErr_Format(PyExc_TypeError, "target: must be a str, not %s", Py_TYPE(target)->tp_name);
    Py_XINCREF(target);
    if (PyErr_Occurred() || PyDict_DelItemString(keywords, "target") < 0 ||
        set_default_text(keywords, "value", "result") < 0 ||
        set_default_text(keywords, "name", "test_instrument") < 0 ||
        set_default_text(keywords, "event", "return") < 0) {
        Py_DECREF(keywords);
        Py_XDECREF(target);
        return -1;
    }
    Py_XSETREF(sensor->target, target);
    Py_XSETREF(sensor->keywords, keywords);
    return 0;
}

static PyObject *make_instrument(struct sensor *sensor) {
    PyObject *instruments = PyImport_ImportModule("diagnose.instruments"), *instrument = NULL;
    PyObject *class = NULL, *no_arguments = PyTuple_New(0);

    if (instruments != NULL)
        class = PyObject_GetAttrString(instruments, "ProbeTestInstrument");
    if (class != NULL && no_arguments != NULL)
        instrument = PyObject_Call(class, no_arguments, sensor->keywords);
    Py_XDECREF(instruments);
    Py_XDECREF(class);
    Py_XDECREF(no_arguments);
    return instrument;
}

static PyObject *enter(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    struct sensor *sensor = sensor_of(self);
    PyObject *instrument, *name;

    if (sensor->keywords == NULL || sensor->is_entered) {
        PyErr_SetString(PyExc_RuntimeError, sensor->is_entered
                                                ? "the sensor is in use already"
                                                : "the sensor's __init__ was not called");
        return NULL;
    }
    instrument = make_instrument(sensor);
    if (instrument == NULL)
        return NULL;
    sensor->is_entered = true;
    name = PyDict_GetItemString(sensor->keywords, "name");
    if (diag_placement_put(&sensor->placement, NULL, sensor->target, name, instrument) < 0) {
        sensor->is_entered = false;
        Py_CLEAR(instrument);
    }
    return instrument;
}

static PyObject *leave(PyObject *self, PyObject *Py_UNUSED(args)) {
    struct sensor *sensor = sensor_of(self);

    sensor->is_entered = false;
    if (diag_placement_remove(&sensor->placement) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int sensor_traverse(PyObject *self, visitproc visit, void *arg) {
    struct sensor *sensor = sensor_of(self);

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(sensor->target);
    Py_VISIT(sensor->keywords);
    return diag_placement_traverse(&sensor->placement, visit, arg);
}

static int sensor_clear(PyObject *self) {
    struct sensor *sensor = sensor_of(self);

    Py_CLEAR(sensor->target);
    Py_CLEAR(sensor->keywords);
    diag_placement_done(&sensor->placement);
    return 0;
}

static void sensor_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    sensor_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"__enter__", enter, METH_NOARGS, NULL},
    {"__exit__", leave, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    sensor_doc,
    "sensor(target, value=\"result\", name=\"test_instrument\", event=\"return\", custom=None,\n"
    "       **keywords)\n--\n\n"
    "A context manager for test suites: within it, the target has a ProbeTestInstrument, which\n"
    "it gives, with all further keywords.\n\n"
    "    with diagnose.sensor(\"shop.prices.convert\") as sensor:\n"
    "        shop.prices.convert(3)\n"
    "    assert sensor.results == [3.3]\n\n"
    "Raises what ProbeTestInstrument, attach_to() and start() raise; RuntimeError if it is in\n"
    "use already.");

PyObject *diag_sensor_add_to(PyObject *module) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)(uintptr_t)sensor_doc},
        {Py_tp_new, DIAG_PY_SLOT(PyType_GenericNew)},
        {Py_tp_init, DIAG_PY_SLOT(sensor_init)},
        {Py_tp_traverse, DIAG_PY_SLOT(sensor_traverse)},
        {Py_tp_clear, DIAG_PY_SLOT(sensor_clear)},
        {Py_tp_dealloc, DIAG_PY_SLOT(sensor_dealloc)},
        {Py_tp_methods, methods},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.managers.sensor",
        .basicsize = sizeof(struct sensor),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);

    if (type != NULL && PyModule_AddType(module, (PyTypeObject *)type) < 0)
        Py_CLEAR(type);
    return type;
}
