/* SPDX-License-Identifier: MIT */
#include "inproc/library/probe_start.h"

#include "inproc/engine/engine.h"
#include "inproc/engine/interrupt.h"
#include "inproc/engine/target.h"
#include "lib/spec/spec.h"

/* ---- problems, collected ---- */

/* What is raised at the end: the type of the first problem and the texts of all, or an exception
 * that is none of ours, as it is. */
struct problems {
    PyObject *type;      /* borrowed; NULL: none yet */
    PyObject *texts;     /* list of str */
    PyObject *interrupt; /* of a signal handler */
};

/* A type that a text alone makes an exception of. */
static PyObject *type_for(PyObject *error) {
    PyObject *const types[] = {PyExc_KeyboardInterrupt, PyExc_SystemExit,         PyExc_ValueError,
                               PyExc_TypeError,         PyExc_AttributeError,     PyExc_MemoryError,
                               PyExc_OSError,           PyExc_NotImplementedError};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(types); i++)
        if (PyErr_GivenExceptionMatches(error, types[i]))
            return types[i];
    return PyExc_RuntimeError;
}

/* Takes the exception that is set. A problem of the target comes from each instrument: once. */
static void collect(struct problems *problems, PyObject *key) {
    PyObject *error, *text, *prefix;

    if (diag_interrupt_is_set()) {
        Py_XSETREF(problems->interrupt, diag_py_take_exception());
        return;
    }
    error = diag_py_take_exception();
    text = PyObject_Str(error);
    prefix = PyUnicode_FromString("target:");
    if (problems->texts == NULL)
        problems->texts = PyList_New(0);
    if (text != NULL && prefix != NULL && key != NULL &&
        PyUnicode_Tailmatch(text, prefix, 0, PY_SSIZE_T_MAX, -1) != 1)
        Py_SETREF(text, PyUnicode_FromFormat("instruments[%R]: %U", key, text));
    if (text != NULL && problems->texts != NULL &&
        PySequence_Contains(problems->texts, text) == 0 &&
        PyList_Append(problems->texts, text) == 0 && problems->type == NULL)
        problems->type = type_for(error);
    PyErr_Clear();
    Py_XDECREF(prefix);
    Py_XDECREF(text);
    Py_DECREF(error);
}

static int raise_problems(struct problems *problems) {
    PyObject *separator, *text = NULL;
    int result = problems->type == NULL && problems->interrupt == NULL ? 0 : -1;

    if (problems->interrupt != NULL) {
        diag_py_set_exception(problems->interrupt);
    } else if (problems->type != NULL) {
        separator = PyUnicode_FromString("; ");
        if (separator != NULL)
            text = PyUnicode_Join(separator, problems->texts);
        if (text != NULL)
            PyErr_SetObject(problems->type, text);
        Py_XDECREF(text);
        Py_XDECREF(separator);
    }
    Py_CLEAR(problems->texts);
    return result;
}

/* ---- probes ---- */

static enum diag_status check_form(const char *target, struct diag_error *err) {
    struct diag_spec spec = {
        .id = (char[]){"probe"},
        .target = (char *)target,
        .instrument = {.type = (char[]){"log"},
                       .name = (char[]){"probe"},
                       .value = (char[]){"None"},
                       .event = (char[]){"call"}},
        .lifespan_ms = 1,
    };

    return diag_spec_validate(&spec, err);
}

/* The target by itself, of a probe that has nothing to arm. */
static int check_target(struct diag_probe_object *probe) {
    const char *text = PyUnicode_AsUTF8(probe->target);
    struct diag_target target;
    struct diag_error err;

    if (text == NULL || diag_library_engine(probe->library) == NULL)
        return -1;
    if (probe->callable != NULL)
        return 0;
    if (check_form(text, &err) != DIAG_OK) {
        diag_library_raise(&err);
        return -1;
    }
    diag_target_resolve(text, DIAG_POINT_CALL, true, &target);
    err = target.error;
    diag_target_done(&target);
    if (target.outcome == DIAG_TARGET_FOUND ||
        (target.outcome == DIAG_TARGET_PENDING && err.status != DIAG_ERR_NOT_FOUND))
        return 0;
    if (target.outcome == DIAG_TARGET_PENDING)
        diag_error_prefix(&err, "target");
    diag_library_raise(&err);
    return -1;
}

/* Wants all of a snapshot on or off. */
static int want_all(struct diag_probe_object *probe, bool is_wanted) {
    PyObject *bindings = PyDict_Items(probe->bindings);
    struct problems problems = {0};

    if (bindings == NULL)
        return -1;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(bindings); i++) {
        PyObject *item = PyList_GET_ITEM(bindings, i);

        if (probe->is_running == is_wanted &&
            diag_binding_want((struct diag_binding *)PyTuple_GET_ITEM(item, 1), is_wanted) < 0)
            collect(&problems, PyTuple_GET_ITEM(item, 0));
    }
    Py_DECREF(bindings);
    return raise_problems(&problems);
}

int diag_probe_start(struct diag_probe_object *probe) {
    bool was_running = probe->is_running;

    probe->is_running = true;
    if (probe->library->is_stopped)
        return 0;
    if (was_running && probe->library->engine != NULL)
        diag_engine_follow_targets(probe->library->engine);
    if (PyDict_GET_SIZE(probe->bindings) == 0)
        return check_target(probe);
    return want_all(probe, true);
}

int diag_probe_stop(struct diag_probe_object *probe) {
    probe->is_running = false;
    return want_all(probe, false);
}

PyObject *diag_probe_attach(struct diag_library *library, PyObject *target) {
    PyObject *probe;

    if (PyUnicode_Check(target)) { /* else the constructor says what is wrong */
        probe = PyDict_GetItemWithError(library->active_probes, target);
        if (probe != NULL || PyErr_Occurred())
            return Py_XNewRef(probe);
    }
    return PyObject_CallOneArg((PyObject *)library->probe_type, target);
}

/* ---- functions of diagnose.probes ---- */

const char diag_probes_attach_to_doc[] = "attach_to($module, /, target)\n--\n\n"
                                         "The FunctionProbe of the target (a str, see "
                                         "FunctionProbe), made if there is none yet. It has\n"
                                         "no instruments then, and is not started.\n\n"
                                         "Raises TypeError (the target is no str).";

PyObject *diag_probes_attach_to(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char target_keyword[] = "target";
    static char *keywords[] = {target_keyword, NULL};
    struct diag_library *library = PyModule_GetState(module);
    PyObject *target, *probe;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:attach_to", keywords, &target))
        return NULL;
    probe = diag_probe_attach(library, target);
    if (probe != NULL && PyObject_TypeCheck(probe, library->probe_type))
        ((struct diag_probe_object *)probe)->is_spare = false; /* the program's own, from now on */
    return probe;
}

const char diag_probes_start_all_doc[] =
    "start_all($module, /)\n--\n\n"
    "Starts every probe of active_probes.\n\n"
    "Raises one exception for all that is wrong, see FunctionProbe.start; the rest is armed.";

PyObject *diag_probes_start_all(PyObject *module, PyObject *Py_UNUSED(unused)) {
    struct diag_library *library = PyModule_GetState(module);
    PyObject *probes = PyDict_Items(library->active_probes);
    struct problems problems = {0};

    for (Py_ssize_t i = 0; probes != NULL && i < PyList_GET_SIZE(probes); i++) {
        PyObject *probe = PyTuple_GET_ITEM(PyList_GET_ITEM(probes, i), 1);
        PyObject *result = PyObject_CallMethod(probe, "start", NULL);

        if (result == NULL)
            collect(&problems, NULL);
        Py_XDECREF(result);
    }
    if (probes == NULL || raise_problems(&problems) < 0) {
        Py_XDECREF(probes);
        return NULL;
    }
    Py_DECREF(probes);
    Py_RETURN_NONE;
}
