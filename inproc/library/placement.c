/* SPDX-License-Identifier: MIT */
/* How two threads on one target do not lose an instrument: who gives a probe up looks whether it is
 * empty and takes it out of active_probes without letting go of the GIL in between; who places
 * something has the probe counted as in use from before the GIL may be released to arm it until it
 * is in; and the key is looked for when it is armed, in one step with taking it. */
#include "inproc/library/placement.h"

#include "inproc/engine/engine.h"
#include "inproc/library/binding.h"
#include "inproc/library/function_probe.h"
#include "inproc/library/probe_start.h"

void diag_placement_done(struct diag_placement *placement) {
    Py_CLEAR(placement->probe);
    Py_CLEAR(placement->key);
    Py_CLEAR(placement->instrument);
}

int diag_placement_traverse(const struct diag_placement *placement, visitproc visit, void *arg) {
    Py_VISIT(placement->probe);
    Py_VISIT(placement->key);
    Py_VISIT(placement->instrument);
    return 0;
}

/* The library of this interpreter, with a reference; NULL with an exception. */
static struct diag_library *get_library(void) {
    PyObject *module = PyImport_ImportModule("diagnose._native");
    PyObject *type = module == NULL ? NULL : PyObject_GetAttrString(module, "FunctionProbe");
    struct diag_library *library = NULL;

    if (type != NULL && PyType_Check(type))
        library = diag_library_of_type((PyTypeObject *)type);
    else if (type != NULL)
        PyErr_SetString(PyExc_TypeError, "diagnose._native.FunctionProbe is no class any more");
    if (library != NULL)
        diag_library_ref(library);
    Py_XDECREF(type);
    Py_XDECREF(module);
    return library;
}

/* 1: the probe has this instrument under the key; 0: not; -1 with an exception. */
static int has(struct diag_probe_object *probe, PyObject *key, PyObject *instrument) {
    PyObject *found = PyDict_GetItemWithError(probe->instruments, key);

    return PyErr_Occurred() ? -1 : found == instrument;
}

/* ---- the probe ---- */

/* The target's probe, counted as in use; NULL with an exception. */
static struct diag_probe_object *attach(struct diag_library *library, PyObject *target) {
    bool is_there = PyDict_GetItemWithError(library->active_probes, target) != NULL;
    PyObject *found = PyErr_Occurred() ? NULL : diag_probe_attach(library, target);
    struct diag_probe_object *probe = (struct diag_probe_object *)found;

    if (found == NULL)
        return NULL;
    if (!PyObject_TypeCheck(found, library->probe_type) || probe->target == NULL) {
        PyErr_Format(PyExc_TypeError, "active_probes[%R]: must be a FunctionProbe, not %.200s",
                     target, Py_TYPE(found)->tp_name);
        Py_DECREF(found);
        return NULL;
    }
    probe->is_spare = probe->is_spare || !is_there;
    probe->users++;
    return probe;
}

/* Gives the probe up if it was made for a placement and nobody has any use for it. */
static int give_up_if_empty(struct diag_probe_object *probe) {
    PyObject *active = probe->library->active_probes;

    if (!probe->is_spare || probe->users > 0 || PyDict_GET_SIZE(probe->bindings) > 0)
        return 0;
    probe->is_running = false;
    if (PyDict_GetItemWithError(active, probe->target) == (PyObject *)probe)
        return PyDict_DelItem(active, probe->target);
    return PyErr_Occurred() ? -1 : 0;
}

/* ---- the instrument ---- */

/* The key for it: that of `former`, or a free one, or one that has it already. A new reference;
 * NULL with an exception. */
static PyObject *find_key(struct diag_probe_object *probe, const struct diag_placement *former,
                          PyObject *name, PyObject *instrument) {
    PyObject *key = Py_NewRef(name);
    int is_ours = 0;

    if (former != NULL && former->probe == (PyObject *)probe)
        is_ours = has(probe, former->key, former->instrument);
    if (is_ours != 0) {
        Py_DECREF(key);
        return is_ours < 0 ? NULL : Py_NewRef(former->key);
    }
    for (int number = 2; key != NULL; number++) {
        PyObject *found = PyDict_GetItemWithError(probe->instruments, key);

        if (PyErr_Occurred())
            Py_CLEAR(key);
        if (found == NULL || found == instrument)
            break;
        Py_SETREF(key, PyUnicode_FromFormat("%U (%d)", name, number));
    }
    return key;
}

/* Puts the binding, which is armed, under its key, and disarms what was there. */
static int put_in(struct diag_placement *placement, const struct diag_placement *former,
                  struct diag_probe_object *probe, PyObject *name, struct diag_binding *binding) {
    PyObject *instrument = (PyObject *)binding->instrument;
    PyObject *key = find_key(probe, former, name, instrument), *replaced = NULL;
    int outcome = -1;

    if (key != NULL)
        replaced = Py_XNewRef(PyDict_GetItemWithError(probe->bindings, key));
    if (key != NULL && !PyErr_Occurred() &&
        PyDict_SetItem(probe->bindings, key, (PyObject *)binding) == 0)
        outcome = PyDict_SetItem(probe->instruments, key, instrument);
    if (outcome == 0) {
        placement->probe = Py_NewRef((PyObject *)probe);
        placement->key = Py_NewRef(key);
        placement->instrument = Py_NewRef(instrument);
        if (replaced != NULL)
            diag_binding_give_up((struct diag_binding *)replaced);
    }
    Py_XDECREF(replaced);
    Py_XDECREF(key);
    return outcome;
}

/* Armed before it is in, so that what cannot be armed never is. */
static int place(struct diag_placement *placement, const struct diag_placement *former,
                 struct diag_probe_object *probe, PyObject *name, PyObject *instrument) {
    struct diag_binding *binding;
    int outcome;

    if (diag_probe_check(probe->library, name, instrument) < 0)
        return -1;
    binding = diag_binding_new(probe->library, probe, (struct diag_instrument_object *)instrument);
    if (binding == NULL)
        return -1;
    outcome = diag_binding_want(binding, true);
    if (outcome == 0)
        outcome = put_in(placement, former, probe, name, binding);
    if (outcome < 0)
        diag_binding_give_up(binding);
    Py_DECREF((PyObject *)binding);
    return outcome;
}

int diag_placement_put(struct diag_placement *placement, const struct diag_placement *former,
                       PyObject *target, PyObject *name, PyObject *instrument) {
    struct diag_library *library = get_library();
    struct diag_probe_object *probe = library == NULL ? NULL : attach(library, target);
    PyObject *error;
    int outcome = -1;

    if (probe != NULL) {
        outcome = place(placement, former, probe, name, instrument);
        if (probe->users > 0) /* the child of a fork has begun anew */
            probe->users--;
        error = diag_py_take_exception();
        if (give_up_if_empty(probe) < 0) /* somebody may have emptied it meanwhile */
            PyErr_Clear();
        if (error != NULL)
            diag_py_set_exception(error);
        Py_DECREF((PyObject *)probe);
    }
    diag_library_unref(library);
    return outcome;
}

int diag_placement_remove(struct diag_placement *placement) {
    struct diag_probe_object *probe = (struct diag_probe_object *)placement->probe;
    PyObject *first;
    int is_ours;

    if (diag_placement_is_empty(placement))
        return 0;
    is_ours = has(probe, placement->key, placement->instrument);
    if (is_ours == 1)
        is_ours = diag_probe_take(probe, placement->key);
    first = diag_py_take_exception();
    if (give_up_if_empty(probe) < 0 && first != NULL)
        PyErr_Clear();
    if (first == NULL)
        first = diag_py_take_exception();
    diag_placement_done(placement); /* letting go may run code of the program */
    if (first == NULL)
        return 0;
    diag_py_set_exception(first);
    return -1;
}

void diag_placement_follow_targets(void) {
    struct diag_library *library = get_library();

    if (library == NULL)
        PyErr_Clear();
    else if (library->engine != NULL && !library->is_stopped)
        diag_engine_follow_targets(library->engine);
    diag_library_unref(library);
}
