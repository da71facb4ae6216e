/* SPDX-License-Identifier: MIT */
/* How a probe is started before it has the instrument: what start() raises may be about other
 * instruments of the same target, but what a running probe raises when an instrument is added is
 * about that one, which then is not added. */
#include "inproc/library/manager_placement.h"

#define KEYS_TRIED_MAX 10000
#define MADE "_probes_made"

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

PyObject *diag_placement_made(PyTypeObject *type) {
    return PyObject_GetAttrString((PyObject *)type, MADE);
}

int diag_placement_share(PyObject *manager_type, PyObject *sensor_type) {
    PyObject *made = PyDict_New();
    int outcome = made == NULL || PyObject_SetAttrString(manager_type, MADE, made) < 0 ||
                          PyObject_SetAttrString(sensor_type, MADE, made) < 0
                      ? -1
                      : 0;

    Py_XDECREF(made);
    return outcome;
}

/* 1: diagnose.probes.active_probes has this probe under the target; 0: it has another or none; -1
 * with an exception. `active` gets a new reference to the dict in the first two cases. */
static int is_active(PyObject *target, PyObject *probe, PyObject **active) {
    PyObject *probes = PyImport_ImportModule("diagnose.probes");
    PyObject *dict = probes == NULL ? NULL : PyObject_GetAttrString(probes, "active_probes");
    PyObject *found;
    int outcome = -1;

    Py_XDECREF(probes);
    if (dict == NULL)
        return -1;
    found = PyObject_GetItem(dict, target);
    if (found != NULL || PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear();
        outcome = found != NULL && (probe == NULL || found == probe);
        *active = Py_NewRef(dict);
    }
    Py_XDECREF(found);
    Py_DECREF(dict);
    return outcome;
}

/* 1: the mapping has this instrument under the key; 0: not; -1 with an exception. */
static int has(PyObject *instruments, PyObject *key, PyObject *instrument) {
    PyObject *found = PyObject_GetItem(instruments, key);

    if (found == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_KeyError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    Py_DECREF(found);
    return found == instrument;
}

static int put_under_free_key(struct diag_placement *placement, PyObject *instruments,
                              PyObject *name) {
    PyObject *key = Py_NewRef(name);

    for (int i = 2; key != NULL; i++) {
        PyObject *found;

        Py_XSETREF(placement->key, key);
        found = PyObject_CallMethod(instruments, "setdefault", "OO", key, placement->instrument);
        Py_XDECREF(found);
        if (found == NULL || found == placement->instrument)
            return found == NULL ? -1 : 0;
        if (i > KEYS_TRIED_MAX) {
            PyErr_Format(PyExc_RuntimeError, "instruments: %R and %d keys like it are taken", name,
                         KEYS_TRIED_MAX);
            return -1;
        }
        key = PyUnicode_FromFormat("%U (%d)", name, i);
    }
    return -1;
}

static int put(struct diag_placement *placement, const struct diag_placement *former,
               PyObject *instruments, PyObject *name) {
    int is_ours = 0;

    if (former != NULL && former->probe == placement->probe)
        is_ours = has(instruments, former->key, former->instrument);
    if (is_ours < 0)
        return -1;
    if (!is_ours)
        return put_under_free_key(placement, instruments, name);
    placement->key = Py_NewRef(former->key);
    return PyObject_SetItem(instruments, placement->key, placement->instrument);
}

/* Starts it; 0 also if others' instruments are what is wrong with it. */
static int start(PyObject *probe, PyObject *instruments) {
    PyObject *result = PyObject_CallMethod(probe, "start", NULL);
    PyObject *error;

    Py_XDECREF(result);
    if (result != NULL)
        return 0;
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    error = diag_py_take_exception();
    if (PyObject_Size(instruments) > 0) {
        Py_DECREF(error);
        return 0;
    }
    PyErr_Clear();
    diag_py_set_exception(error);
    return -1;
}

/* Gives the probe up if it is one of `made` and has no instruments left. */
static int give_up_if_empty(PyObject *probe, PyObject *instruments, PyObject *made) {
    PyObject *target = PyObject_GetAttrString(probe, "target");
    PyObject *active = NULL, *stopped = NULL;
    Py_ssize_t count = target == NULL ? -1 : PyObject_Size(instruments);
    int outcome = count < 0 ? -1 : 0;

    if (count != 0 || PyDict_GetItemWithError(made, target) != probe)
        goto done;
    outcome = PyDict_DelItem(made, target);
    if (outcome == 0 && (outcome = is_active(target, probe, &active)) == 1)
        outcome = PyObject_DelItem(active, target);
    if ((count = PyObject_Size(instruments)) == 0) {
        stopped = PyObject_CallMethod(probe, "stop", NULL);
        outcome = stopped == NULL ? -1 : outcome;
    } else if (count > 0 && active != NULL) { /* somebody was quick */
        stopped = PyObject_CallMethod(active, "setdefault", "OO", target, probe);
        outcome = stopped == NULL ? -1 : outcome;
    }
done:
    Py_XDECREF(target);
    Py_XDECREF(active);
    Py_XDECREF(stopped);
    return PyErr_Occurred() ? -1 : outcome;
}

/* The target's probe, a new reference; NULL with an exception. */
static PyObject *attach(PyObject *target, PyObject *made) {
    PyObject *probes = PyImport_ImportModule("diagnose.probes");
    PyObject *active = NULL, *probe = NULL;
    int was_active = probes == NULL ? -1 : is_active(target, NULL, &active);

    if (was_active >= 0)
        probe = PyObject_CallMethod(probes, "attach_to", "O", target);
    if (probe != NULL && was_active == 0 && PyDict_SetItem(made, target, probe) < 0)
        Py_CLEAR(probe);
    Py_XDECREF(active);
    Py_XDECREF(probes);
    return probe;
}

int diag_placement_put(struct diag_placement *placement, const struct diag_placement *former,
                       PyObject *target, PyObject *name, PyObject *instrument, PyObject *made) {
    PyObject *probe = attach(target, made), *instruments, *error;
    int outcome = -1;

    if (probe == NULL)
        return -1;
    instruments = PyObject_GetAttrString(probe, "instruments");
    if (instruments != NULL && start(probe, instruments) == 0) {
        placement->probe = Py_NewRef(probe);
        placement->instrument = Py_NewRef(instrument);
        outcome = put(placement, former, instruments, name);
    }
    if (outcome < 0) {
        error = diag_py_take_exception();
        diag_placement_done(placement);
        if (instruments != NULL && give_up_if_empty(probe, instruments, made) < 0)
            PyErr_Clear(); /* the first error is the one to tell */
        diag_py_set_exception(error);
    }
    Py_XDECREF(instruments);
    Py_DECREF(probe);
    return outcome;
}

int diag_placement_remove(struct diag_placement *placement, PyObject *made) {
    PyObject *instruments, *first = NULL;
    int is_ours;

    if (diag_placement_is_empty(placement))
        return 0;
    instruments = PyObject_GetAttrString(placement->probe, "instruments");
    if (instruments == NULL)
        goto done;
    is_ours = has(instruments, placement->key, placement->instrument);
    if (is_ours == 1 && PyObject_DelItem(instruments, placement->key) < 0 &&
        PyErr_ExceptionMatches(PyExc_KeyError))
        PyErr_Clear(); /* somebody else was quicker */
    first = diag_py_take_exception();
    if (give_up_if_empty(placement->probe, instruments, made) < 0 && first != NULL)
        PyErr_Clear();
    Py_DECREF(instruments);
    if (first != NULL)
        diag_py_set_exception(first);
done:
    first = diag_py_take_exception(); /* letting go may run code of the program */
    diag_placement_done(placement);
    if (first == NULL)
        return 0;
    diag_py_set_exception(first);
    return -1;
}
