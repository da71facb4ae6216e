/* SPDX-License-Identifier: MIT */
#include "inproc/library/function_probe.h"

#include <string.h>

#include "inproc/library/instrument_map.h"
#include "inproc/library/probe_start.h"

#if PY_VERSION_HEX < 0x030C0000
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_T_BOOL T_BOOL
#define Py_READONLY READONLY
#endif

/* ---- instruments ---- */

int diag_probe_check(struct diag_library *library, PyObject *key, PyObject *instrument) {
    if (PyUnicode_Check(key))
        return diag_instrument_check(library, key, instrument) ? 0 : -1;
    PyErr_Format(PyExc_TypeError, "instruments[%R]: a key must be a str, not %.200s", key,
                 Py_TYPE(key)->tp_name);
    return -1;
}

struct diag_binding *diag_probe_binding(struct diag_probe_object *probe, PyObject *key) {
    return (struct diag_binding *)Py_XNewRef(PyDict_GetItemWithError(probe->bindings, key));
}

/* It is armed before what it replaces is disarmed, so that no call is missed. */
static int put_new(struct diag_probe_object *probe, PyObject *key, PyObject *instrument,
                   struct diag_binding *binding) {
    struct diag_binding *former;
    int result;

    if (probe->is_running && diag_binding_want(binding, true) < 0)
        return -1;
    former = diag_probe_binding(probe, key);
    result = PyDict_SetItem(probe->bindings, key, (PyObject *)binding);
    if (result == 0)
        result = PyDict_SetItem(probe->instruments, key, instrument);
    if (former != NULL)
        diag_binding_give_up(former);
    Py_XDECREF((PyObject *)former);
    if (result == 0 && !probe->is_running) /* stopped meanwhile */
        result = diag_binding_want(binding, false);
    return result;
}

int diag_probe_put(struct diag_probe_object *probe, PyObject *key, PyObject *instrument) {
    struct diag_binding *binding;
    int result = 0;

    if (diag_probe_check(probe->library, key, instrument) < 0)
        return -1;
    binding = diag_probe_binding(probe, key);
    if (binding == NULL && PyErr_Occurred()) /* the key cannot be hashed */
        return -1;
    if (binding != NULL && (PyObject *)binding->instrument == instrument) {
        if (probe->is_running)
            result = diag_binding_want(binding, true);
        Py_DECREF((PyObject *)binding);
        return result;
    }
    Py_XDECREF((PyObject *)binding);
    binding = diag_binding_new(probe->library, probe, (struct diag_instrument_object *)instrument);
    if (binding == NULL)
        return -1;
    result = put_new(probe, key, instrument, binding);
    if (result < 0)
        diag_binding_give_up(binding);
    Py_DECREF((PyObject *)binding);
    return result;
}

int diag_probe_take(struct diag_probe_object *probe, PyObject *key) {
    struct diag_binding *binding = diag_probe_binding(probe, key);
    int result;

    if (binding == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetObject(PyExc_KeyError, key);
        return -1;
    }
    result = PyDict_DelItem(probe->bindings, key);
    if (result == 0)
        result = PyDict_DelItem(probe->instruments, key);
    if (result == 0)
        result = diag_binding_want(binding, false);
    Py_DECREF((PyObject *)binding);
    return result;
}

/* ---- construction ---- */

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    struct diag_library *library = diag_library_of_type(type);
    struct diag_probe_object *self =
        library == NULL ? NULL : (struct diag_probe_object *)type->tp_alloc(type, 0);

    (void)args;
    (void)kwargs;
    if (self == NULL)
        return NULL;
    self->library = diag_library_ref(library);
    self->bindings = PyDict_New();
    self->instruments = diag_instrument_map_new(self);
    if (self->bindings == NULL || self->instruments == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int check_target(struct diag_probe_object *self, PyObject *target) {
    if (!PyUnicode_Check(target)) {
        PyErr_Format(PyExc_TypeError, "target: must be a str, not %.200s",
                     Py_TYPE(target)->tp_name);
        return -1;
    }
    switch (PyDict_Contains(self->library->active_probes, target)) {
    case 0:
        return 0;
    case 1:
        PyErr_Format(PyExc_RuntimeError, "there is a probe on %R already: attach_to(%R) returns it",
                     target, target);
        break;
    }
    return -1;
}

/* `instruments`: NULL, None, or what dict() takes. */
static int set_instruments(struct diag_probe_object *self, PyObject *instruments) {
    PyObject *items;
    int result;

    if (instruments == NULL || instruments == Py_None)
        return 0;
    items = PyObject_CallOneArg((PyObject *)&PyDict_Type, instruments);
    if (items == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_ValueError))
            PyErr_Format(PyExc_TypeError, "instruments: must be a dict, not %.200s",
                         Py_TYPE(instruments)->tp_name);
        return -1;
    }
    result = diag_instrument_map_replace(self->instruments, items);
    Py_DECREF(items);
    return result;
}

static int init(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char target_keyword[] = "target", instruments_keyword[] = "instruments";
    static char *keywords[] = {target_keyword, instruments_keyword, NULL};
    struct diag_probe_object *self = (struct diag_probe_object *)object;
    PyObject *target, *instruments = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:FunctionProbe", keywords, &target,
                                     &instruments))
        return -1;
    if (self->target != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "__init__ of a probe has run already");
        return -1;
    }
    if (check_target(self, target) < 0)
        return -1;
    self->target = Py_NewRef(target);
    if (set_instruments(self, instruments) < 0 ||
        PyDict_SetItem(self->library->active_probes, target, object) < 0) {
        Py_CLEAR(self->target);
        return -1;
    }
    return 0;
}

static int traverse(PyObject *object, visitproc visit, void *arg) {
    struct diag_probe_object *self = (struct diag_probe_object *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->dict);
    Py_VISIT(self->callable);
    Py_VISIT(self->instruments);
    Py_VISIT(self->bindings);
    Py_VISIT(self->library->module);
    return 0;
}

/* The mapping and the dict of bindings let go of the probe when they are cleared themselves. */
static int clear(PyObject *object) {
    struct diag_probe_object *self = (struct diag_probe_object *)object;

    Py_CLEAR(self->dict);
    Py_CLEAR(self->callable);
    return 0;
}

static void dealloc(PyObject *object) {
    struct diag_probe_object *self = (struct diag_probe_object *)object;
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    if (self->weak_references != NULL)
        PyObject_ClearWeakRefs(object);
    clear(object);
    Py_CLEAR(self->instruments);
    Py_CLEAR(self->bindings);
    Py_CLEAR(self->target);
    diag_library_unref(self->library);
    type->tp_free(object);
    Py_DECREF(type);
}

/* ---- attributes and methods ---- */

static int require_init(const struct diag_probe_object *self) {
    if (self->target != NULL)
        return 0;
    PyErr_Format(PyExc_TypeError, "the __init__ of %.200s has not called super().__init__()",
                 Py_TYPE(self)->tp_name);
    return -1;
}

static PyObject *get_target(PyObject *object, void *Py_UNUSED(closure)) {
    struct diag_probe_object *self = (struct diag_probe_object *)object;

    return require_init(self) < 0 ? NULL : Py_NewRef(self->target);
}

static PyObject *get_instruments(PyObject *object, void *Py_UNUSED(closure)) {
    return Py_NewRef(((struct diag_probe_object *)object)->instruments);
}

static int assign_instruments(PyObject *object, PyObject *value, void *Py_UNUSED(closure)) {
    struct diag_probe_object *self = (struct diag_probe_object *)object;

    if (value == NULL || value == Py_None) {
        PyErr_SetString(PyExc_TypeError, "instruments: must be a dict");
        return -1;
    }
    /* `probe.instruments |= ...` assigns what is there */
    return value == self->instruments ? 0 : set_instruments(self, value);
}

PyDoc_STRVAR(start_doc,
             "start($self, /)\n--\n\n"
             "Arms every instrument that has not expired. Does nothing for those that are armed,\n"
             "but that a function which has been replaced (importlib.reload) is followed.\n"
             "A target whose module is not imported yet is armed when it is; nothing is imported\n"
             "on its behalf.\n\n"
             "Raises one exception for all that is wrong, having armed the rest: ValueError (the\n"
             "target is malformed or cannot be called, an expression does not fit),\n"
             "AttributeError (the module has no such name), NotImplementedError (it cannot be\n"
             "probed, or this interpreter is not supported). An instrument with a problem is\n"
             "tried again at the next start().");

static PyObject *start(PyObject *object, PyObject *Py_UNUSED(unused)) {
    struct diag_probe_object *self = (struct diag_probe_object *)object;

    if (require_init(self) < 0 || diag_probe_start(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(stop_doc, "stop($self, /)\n--\n\n"
                       "Disarms every instrument, and restores the function as it was. The\n"
                       "instruments stay. Does nothing if it is stopped.");

static PyObject *stop(PyObject *object, PyObject *Py_UNUSED(unused)) {
    if (diag_probe_stop((struct diag_probe_object *)object) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(status_doc,
             "status($self, /)\n--\n\n"
             "A dict of dicts by the instrument's key:\n\n"
             "state: 'ARMED', 'PENDING' (its target is not there yet), 'STOPPED', 'EXPIRED',\n"
             "    'FAILED' (the message says why), 'TRIPPED' (the C stack was used up).\n"
             "message: str. mechanism: str, how calls are seen while it is armed.\n"
             "hits, errors: int. skips: dict of causes and counts of calls that made no hit.\n\n"
             "In the child of a fork the counts begin anew.");

static PyObject *status(PyObject *object, PyObject *Py_UNUSED(unused)) {
    struct diag_probe_object *self = (struct diag_probe_object *)object;
    PyObject *result = PyDict_New(), *bindings = PyDict_Items(self->bindings);

    if (bindings == NULL)
        Py_CLEAR(result);
    for (Py_ssize_t i = 0; result != NULL && i < PyList_GET_SIZE(bindings); i++) {
        PyObject *item = PyList_GET_ITEM(bindings, i);
        PyObject *one = diag_binding_status((struct diag_binding *)PyTuple_GET_ITEM(item, 1));

        if (one == NULL || PyDict_SetItem(result, PyTuple_GET_ITEM(item, 0), one) < 0)
            Py_CLEAR(result);
        Py_XDECREF(one);
    }
    Py_XDECREF(bindings);
    return result;
}

static PyObject *repr(PyObject *object) {
    struct diag_probe_object *self = (struct diag_probe_object *)object;
    const char *name = Py_TYPE(object)->tp_name, *last = strrchr(name, '.');

    name = last == NULL ? name : last + 1;
    if (self->target == NULL)
        return PyUnicode_FromFormat("<%s without an __init__>", name);
    return PyUnicode_FromFormat("%s(target=%R, instruments=%R)", name, self->target,
                                self->instruments);
}

/* ---- the type ---- */

static PyMethodDef methods[] = {
    {"start", start, METH_NOARGS, start_doc},
    {"stop", stop, METH_NOARGS, stop_doc},
    {"status", status, METH_NOARGS, status_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"target", get_target, NULL, "str: what is probed.", NULL},
    {"instruments", get_instruments, assign_instruments,
     "The instruments by name: a dict in which every change takes effect at once.", NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"is_running", Py_T_BOOL, offsetof(struct diag_probe_object, is_running), Py_READONLY,
     "bool: start() was called, and stop() was not since."},
    {"__dictoffset__", Py_T_PYSSIZET, offsetof(struct diag_probe_object, dict), Py_READONLY, NULL},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(struct diag_probe_object, weak_references),
     Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(doc, "FunctionProbe(target, instruments=None)\n--\n\n"
                  "A function, and the instruments on it. There is one probe for each target:\n"
                  "attach_to(target) returns the one that there is.\n\n"
                  "target: str, 'package.module.function', 'package.module.Class.method',\n"
                  "    'package.module.f.<locals>.g', 'package/file.py:42'.\n"
                  "instruments: dict of str and Instrument.\n\n"
                  "Raises RuntimeError (there is a probe on the target), TypeError.");

int diag_function_probe_add_type(struct diag_library *library, PyObject *module) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)doc},
        {Py_tp_new, DIAG_PY_SLOT(new)},
        {Py_tp_init, DIAG_PY_SLOT(init)},
        {Py_tp_traverse, DIAG_PY_SLOT(traverse)},
        {Py_tp_clear, DIAG_PY_SLOT(clear)},
        {Py_tp_dealloc, DIAG_PY_SLOT(dealloc)},
        {Py_tp_repr, DIAG_PY_SLOT(repr)},
        {Py_tp_methods, methods},
        {Py_tp_getset, getset},
        {Py_tp_members, members},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.probes.FunctionProbe",
        .basicsize = sizeof(struct diag_probe_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };

    library->probe_type = diag_library_add_type(library, module, &spec, NULL);
    return library->probe_type == NULL ? -1 : 0;
}
