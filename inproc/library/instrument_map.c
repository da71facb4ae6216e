/* SPDX-License-Identifier: MIT */
#include "inproc/library/instrument_map.h"

struct instrument_map {
    PyDictObject dict;
    struct diag_probe_object *probe;
};

static struct diag_probe_object *probe_of(PyObject *map) {
    return ((struct instrument_map *)map)->probe;
}

/* Destructors may come upon one that the garbage collector has taken apart. */
static bool has_probe(PyObject *map) {
    if (probe_of(map) != NULL)
        return true;
    PyErr_SetString(PyExc_RuntimeError, "instruments: the probe is gone");
    return false;
}

/* ---- changes ---- */

static int check_items(PyObject *map, PyObject *items) {
    struct diag_library *library = probe_of(map)->library;
    PyObject *key, *instrument;
    Py_ssize_t position = 0;

    while (PyDict_Next(items, &position, &key, &instrument))
        if (diag_probe_check(library, key, instrument) < 0)
            return -1;
    return 0;
}

int diag_instrument_map_update(PyObject *map, PyObject *items) {
    PyObject *pairs = !has_probe(map) || check_items(map, items) < 0 ? NULL : PyDict_Items(items);
    int result = pairs == NULL ? -1 : 0;

    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(pairs); i++) {
        PyObject *pair = PyList_GET_ITEM(pairs, i);

        result =
            diag_probe_put(probe_of(map), PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    }
    Py_XDECREF(pairs);
    return result;
}

/* Takes out all keys that `kept` (a dict, NULL: nothing) has not. */
static int take_all_but(PyObject *map, PyObject *kept) {
    PyObject *keys = has_probe(map) ? PyDict_Keys(map) : NULL;
    int result = keys == NULL ? -1 : 0;

    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(keys); i++) {
        PyObject *key = PyList_GET_ITEM(keys, i);
        int is_kept = kept == NULL ? 0 : PyDict_Contains(kept, key);

        if (is_kept < 0)
            result = -1;
        else if (!is_kept && PyDict_Contains(map, key) > 0)
            result = diag_probe_take(probe_of(map), key);
    }
    Py_XDECREF(keys);
    return result;
}

int diag_instrument_map_replace(PyObject *map, PyObject *items) {
    if (diag_instrument_map_update(map, items) < 0)
        return -1;
    return take_all_but(map, items);
}

static int assign(PyObject *map, PyObject *key, PyObject *instrument) {
    if (!has_probe(map))
        return -1;
    return instrument == NULL ? diag_probe_take(probe_of(map), key)
                              : diag_probe_put(probe_of(map), key, instrument);
}

/* ---- the methods of dict that change it ---- */

static PyObject *update(PyObject *map, PyObject *args, PyObject *kwargs) {
    PyObject *items = PyDict_New(), *method = NULL, *result = NULL;

    if (items != NULL)
        method = PyObject_GetAttrString(items, "update");
    if (method != NULL)
        result = PyObject_Call(method, args, kwargs);
    if (result != NULL && diag_instrument_map_update(map, items) < 0)
        Py_CLEAR(result);
    Py_XDECREF(method);
    Py_XDECREF(items);
    return result;
}

static PyObject *pop(PyObject *map, PyObject *args) {
    PyObject *key, *otherwise = NULL, *instrument;

    if (!PyArg_ParseTuple(args, "O|O:pop", &key, &otherwise) || !has_probe(map))
        return NULL;
    instrument = PyDict_GetItemWithError(map, key);
    if (instrument == NULL) {
        if (PyErr_Occurred())
            return NULL;
        if (otherwise == NULL)
            PyErr_SetObject(PyExc_KeyError, key);
        return Py_XNewRef(otherwise);
    }
    Py_INCREF(instrument);
    if (diag_probe_take(probe_of(map), key) < 0)
        Py_CLEAR(instrument);
    return instrument;
}

static PyObject *popitem(PyObject *map, PyObject *Py_UNUSED(unused)) {
    PyObject *items = has_probe(map) ? PyDict_Items(map) : NULL, *last;

    if (items == NULL)
        return NULL;
    if (PyList_GET_SIZE(items) == 0) {
        Py_DECREF(items);
        PyErr_SetString(PyExc_KeyError, "popitem(): there are no instruments");
        return NULL;
    }
    last = Py_NewRef(PyList_GET_ITEM(items, PyList_GET_SIZE(items) - 1));
    Py_DECREF(items);
    if (diag_probe_take(probe_of(map), PyTuple_GET_ITEM(last, 0)) < 0)
        Py_CLEAR(last);
    return last;
}

static PyObject *clear_items(PyObject *map, PyObject *Py_UNUSED(unused)) {
    if (take_all_but(map, NULL) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *setdefault(PyObject *map, PyObject *args) {
    PyObject *key, *instrument = Py_None, *present;

    if (!PyArg_ParseTuple(args, "O|O:setdefault", &key, &instrument) || !has_probe(map))
        return NULL;
    present = PyDict_GetItemWithError(map, key);
    if (present != NULL || PyErr_Occurred())
        return Py_XNewRef(present);
    if (diag_probe_put(probe_of(map), key, instrument) < 0)
        return NULL;
    return Py_NewRef(instrument);
}

static PyObject *inplace_or(PyObject *map, PyObject *other) {
    PyObject *args = PyTuple_Pack(1, other);
    PyObject *result = args == NULL ? NULL : update(map, args, NULL);

    Py_XDECREF(args);
    if (result == NULL)
        return NULL;
    Py_DECREF(result);
    return Py_NewRef(map);
}

/* As a plain dict. */
static PyObject *reduce(PyObject *map, PyObject *Py_UNUSED(unused)) {
    return Py_BuildValue("O(N)", &PyDict_Type, PyDict_Copy(map));
}

static int init(PyObject *Py_UNUSED(map), PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs)) {
    PyErr_SetString(PyExc_TypeError, "instruments: belongs to its probe, and is not to be made");
    return -1;
}

/* ---- the type ---- */

static int traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(probe_of(self));
    return PyDict_Type.tp_traverse(self, visit, arg);
}

static int clear(PyObject *self) {
    Py_CLEAR(((struct instrument_map *)self)->probe);
    return PyDict_Type.tp_clear(self);
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_CLEAR(((struct instrument_map *)self)->probe);
    PyDict_Type.tp_dealloc(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"update", (PyCFunction)(void (*)(void))update, METH_VARARGS | METH_KEYWORDS,
     "update([other], **kwargs)\n\nAs that of dict; each instrument is at work at once."},
    {"pop", pop, METH_VARARGS, "pop(key[, default])\n\nAs that of dict; it stops working at once."},
    {"popitem", popitem, METH_NOARGS, "popitem($self, /)\n--\n\nAs that of dict."},
    {"clear", clear_items, METH_NOARGS, "clear($self, /)\n--\n\nAs that of dict."},
    {"setdefault", setdefault, METH_VARARGS, "setdefault(key, default)\n\nAs that of dict."},
    {"__reduce__", reduce, METH_NOARGS, "Pickled and copied as a plain dict."},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(doc, "The instruments of a probe by name: a dict whose keys are str and whose values\n"
                  "are of Instrument, else TypeError. While the probe runs, an instrument is at\n"
                  "work as soon as it is in here; one that cannot be armed is not taken in, and\n"
                  "what is wrong with it is raised: see FunctionProbe.start.");

int diag_instrument_map_add_type(struct diag_library *library) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)doc},
        {Py_tp_init, DIAG_PY_SLOT(init)},
        {Py_tp_methods, methods},
        {Py_tp_traverse, DIAG_PY_SLOT(traverse)},
        {Py_tp_clear, DIAG_PY_SLOT(clear)},
        {Py_tp_dealloc, DIAG_PY_SLOT(dealloc)},
        {Py_mp_ass_subscript, DIAG_PY_SLOT(assign)},
        {Py_nb_inplace_or, DIAG_PY_SLOT(inplace_or)},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.probes.Instruments",
        .basicsize = sizeof(struct instrument_map),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                 Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };

    library->instrument_map_type = diag_library_add_type(library, NULL, &spec, &PyDict_Type);
    return library->instrument_map_type == NULL ? -1 : 0;
}

PyObject *diag_instrument_map_new(struct diag_probe_object *probe) {
    PyObject *no_arguments = PyTuple_New(0);
    PyObject *map = no_arguments == NULL ? NULL
                                         : PyDict_Type.tp_new(probe->library->instrument_map_type,
                                                              no_arguments, NULL);

    Py_XDECREF(no_arguments);
    if (map != NULL)
        ((struct instrument_map *)map)->probe =
            (struct diag_probe_object *)Py_NewRef((PyObject *)probe);
    return map;
}
