/* SPDX-License-Identifier: MIT */
#include "inproc/library/firing.h"

#include "inproc/engine/hit_clock.h"
#include "inproc/library/binding.h"
#include "inproc/library/evaluate.h"
#include "inproc/library/function_probe.h"
#include "inproc/library/instrument_error.h"
#include "inproc/library/instrument_manager.h"
#include "inproc/library/merge_tags.h"

/* ---- value and tags ---- */

/* Borrowed; NULL with an exception. */
static PyObject *names_of(struct diag_firing *firing) {
    if (firing->names == NULL)
        firing->names = firing->made_names = diag_hit_namespace(firing->hit);
    return firing->names;
}

/* Of the namespaces, by the method evaluate if that is overridden. A new reference. */
static PyObject *evaluate(struct diag_firing *firing, PyObject *text) {
    struct diag_instrument_object *instrument = firing->instrument;
    PyObject *names = names_of(firing);

    if (names == NULL)
        return NULL;
    if (!diag_overrides_of(instrument)->has_evaluate)
        return diag_evaluate(instrument, text, firing->globals, names);
    return PyObject_CallMethodObjArgs((PyObject *)instrument,
                                      instrument->library->names[DIAG_NAME_EVALUATE], text,
                                      firing->globals, names, NULL);
}

/* True if the engine's own expressions give what is wanted. */
static bool is_compiled(struct diag_firing *firing) {
    return firing->hit != NULL && !firing->is_stale &&
           !diag_overrides_of(firing->instrument)->has_evaluate;
}

PyObject *diag_firing_value(struct diag_firing *firing) {
    PyObject *text, *value;

    if (is_compiled(firing))
        return diag_hit_value(firing->hit);
    text = Py_NewRef(firing->instrument->value); /* may be replaced meanwhile */
    value = evaluate(firing, text);
    Py_DECREF(text);
    return value;
}

/* What the tags expression gives; NULL without an exception: there is none, or `*is_left_out`. */
static PyObject *own_tags(struct diag_firing *firing, bool *is_left_out) {
    PyObject *text, *tags;

    *is_left_out = false;
    if (is_compiled(firing)) {
        if (!diag_hit_has_tags(firing->hit))
            return NULL;
        tags = diag_hit_tags(firing->hit);
        *is_left_out = tags == NULL;
        return tags;
    }
    text = Py_XNewRef(diag_instrument_tags(firing->instrument));
    if (text == NULL)
        return NULL;
    if (PyUnicode_Check(text))
        tags = evaluate(firing, text);
    else
        tags = PyErr_Format(PyExc_TypeError, DIAG_TAGS_KEY ": must be a str, not %.200s",
                            Py_TYPE(text)->tp_name);
    Py_DECREF(text);
    return tags;
}

static PyObject *merged_tags(struct diag_firing *firing) {
    struct diag_instrument_object *instrument = firing->instrument;
    bool is_left_out;
    PyObject *own = own_tags(firing, &is_left_out), *common, *manager, *tags = NULL;

    if (is_left_out || PyErr_Occurred())
        return NULL;
    manager = Py_NewRef(diag_instrument_manager(instrument));
    common = diag_manager_get_tags(instrument->library, manager);
    if (common != NULL || !PyErr_Occurred())
        tags = diag_merge_tags(common, "get_tags()", own, DIAG_TAGS_KEY);
    Py_DECREF(manager);
    Py_XDECREF(common);
    Py_XDECREF(own);
    return tags;
}

PyObject *diag_firing_tags(struct diag_firing *firing) {
    struct diag_instrument_object *instrument = firing->instrument;
    PyObject *names;

    if (!diag_overrides_of(instrument)->has_merge_tags || firing->is_merging)
        return merged_tags(firing);
    names = names_of(firing);
    if (names == NULL)
        return NULL;
    return PyObject_CallMethodObjArgs((PyObject *)instrument,
                                      instrument->library->names[DIAG_NAME_MERGE_TAGS],
                                      firing->globals, names, NULL);
}

/* ---- output ---- */

static int emit(struct diag_instrument_object *instrument, PyObject *value, PyObject *tags) {
    diag_emit_fn *own = diag_overrides_of(instrument)->emit;
    PyObject *name = Py_NewRef(instrument->name), *result;

    if (own != NULL) {
        int status = own(instrument, name, value, tags);

        Py_DECREF(name);
        return status;
    }
    result = PyObject_CallMethodObjArgs((PyObject *)instrument,
                                        instrument->library->names[DIAG_NAME_EMIT], name, value,
                                        tags, NULL);
    Py_XDECREF(result);
    Py_DECREF(name);
    return result == NULL ? -1 : 0;
}

int diag_firing_output(struct diag_firing *firing) {
    PyObject *value = diag_firing_value(firing), *tags;
    int result = -1;

    if (value == NULL)
        return PyErr_Occurred() ? -1 : 0;
    if (value == Py_None) {
        Py_DECREF(value);
        return 0;
    }
    tags = diag_firing_tags(firing);
    if (tags != NULL)
        result = emit(firing->instrument, value, tags);
    else if (!PyErr_Occurred())
        result = 0;
    Py_XDECREF(tags);
    Py_DECREF(value);
    return result;
}

/* ---- fire, of a class in Python ---- */

/* 1: the class is among those that were warned of; -1 with an exception. */
static int was_warned_of(struct diag_library *library, PyTypeObject *type) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(library->warned_types); i++) {
        PyObject *known = PyObject_CallNoArgs(PyList_GET_ITEM(library->warned_types, i));

        Py_XDECREF(known);
        if (known == NULL || known == (PyObject *)type)
            return known == NULL ? -1 : 1;
    }
    return 0;
}

/* Once for each class. */
static int warn(struct diag_library *library, PyTypeObject *type, PyObject *result) {
    int was_warned = was_warned_of(library, type);
    PyObject *reference;

    if (was_warned != 0)
        return was_warned < 0 ? -1 : 0;
    reference = PyWeakref_NewRef((PyObject *)type, NULL);
    if (reference == NULL || PyList_Append(library->warned_types, reference) < 0) {
        Py_XDECREF(reference);
        return -1;
    }
    Py_DECREF(reference);
    return PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                            "%.200s.fire has returned something (%.200s): it is ignored",
                            type->tp_name, Py_TYPE(result)->tp_name);
}

/* What a fire() of this thread was given, while it runs. Borrowed, compared only. */
static __thread struct {
    const struct diag_instrument_object *instrument;
    const PyObject *globals, *names;
} firing_now __attribute__((tls_model("initial-exec")));

bool diag_firing_has_namespace(const struct diag_instrument_object *instrument,
                               const PyObject *globals, const PyObject *names) {
    return firing_now.instrument == instrument && firing_now.globals == globals &&
           firing_now.names == names;
}

/* What the namespaces of this hit are is known to `evaluate` meanwhile. */
static int call_fire(struct diag_firing *firing) {
    struct diag_instrument_object *instrument = firing->instrument;
    const __typeof__(firing_now) former = firing_now;
    PyObject *names = names_of(firing), *result;
    int status = -1;

    if (names == NULL)
        return -1;
    if (!firing->is_stale) {
        firing_now.instrument = instrument;
        firing_now.globals = firing->globals;
        firing_now.names = names;
    }
    result = PyObject_CallMethodObjArgs((PyObject *)instrument,
                                        instrument->library->names[DIAG_NAME_FIRE], firing->globals,
                                        names, NULL);
    firing_now = former;
    if (result == Py_None)
        status = 0;
    else if (result != NULL)
        status = warn(instrument->library, Py_TYPE(instrument), result);
    Py_XDECREF(result);
    return status;
}

/* ---- a hit ---- */

static int call_check_call(struct diag_binding *binding, PyObject *args, PyObject *kwargs) {
    struct diag_instrument_object *instrument = binding->instrument;
    PyObject *answer;
    int is_true;

    if (!diag_overrides_of(instrument)->has_check_call) {
        PyObject *manager = Py_NewRef(diag_instrument_manager(instrument));

        is_true = diag_manager_check_call(binding->library, manager, (PyObject *)binding->probe,
                                          (PyObject *)instrument, args, kwargs);
        Py_DECREF(manager);
        return is_true;
    }
    answer = diag_call_method((PyObject *)instrument, binding->library->names[DIAG_NAME_CHECK_CALL],
                              (PyObject *)binding->probe, NULL, args, kwargs);
    is_true = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return is_true;
}

int diag_firing_check_call(struct diag_binding *binding, PyObject *args, PyObject *kwargs) {
    int is_allowed = call_check_call(binding, args, kwargs);

    if (is_allowed == 0)
        binding->declined++;
    return is_allowed;
}

/* 1: go on; 0: declined; -1 with an exception. */
static int check_call(struct diag_binding *binding, const struct diag_hit *hit) {
    struct diag_instrument_object *instrument = binding->instrument;
    PyObject *args, *kwargs;
    int is_allowed;

    if (!diag_overrides_of(instrument)->has_check_call &&
        !diag_manager_wants_calls(binding->library, diag_instrument_manager(instrument)))
        return 1;
    if (diag_hit_arguments(hit, &args, &kwargs) < 0)
        return -1;
    is_allowed = diag_firing_check_call(binding, args, kwargs);
    Py_DECREF(args);
    Py_DECREF(kwargs);
    return is_allowed;
}

/* What the engine has compiled may have been overtaken by an assignment that it did not see. */
static int prepare(struct diag_binding *binding, struct diag_firing *firing) {
    firing->globals = diag_binding_globals(binding);
    if (firing->globals == NULL)
        return -1;
    firing->is_stale = firing->globals != binding->terms.globals ||
                       diag_instrument_tags(binding->instrument) != binding->terms.tags;
    if (firing->is_stale)
        diag_binding_update_soon(binding);
    return 0;
}

static int fire(struct diag_binding *binding, struct diag_firing *firing) {
    diag_fire_fn *own;
    int is_allowed = check_call(binding, firing->hit);

    if (is_allowed <= 0 || !binding->is_on)
        return is_allowed < 0 ? -1 : 0;
    if (prepare(binding, firing) < 0)
        return -1;
    own = diag_overrides_of(firing->instrument)->fire;
    if ((own == NULL ? call_fire(firing) : own(firing)) < 0)
        return -1;
    binding->hits++;
    return 0;
}

bool diag_firing_is_due(struct diag_binding *binding) {
    const struct diag_instrument_object *instrument = binding->instrument;

    if (!binding->is_on) {
        if (binding->is_due) /* if the queue of pending calls was full */
            diag_binding_update_soon(binding);
        return false;
    }
    if (instrument->expires_unix_ns != 0 &&
        diag_instrument_is_expired(instrument,
                                   diag_hit_clock_unix_ns(diag_hit_clock_monotonic_ns()))) {
        diag_binding_expire(binding);
        return false;
    }
    binding->is_serving = true;
    return true;
}

void diag_firing_run(PyObject *object, const struct diag_hit *hit) {
    struct diag_binding *binding = (struct diag_binding *)object;
    struct diag_firing firing = {.instrument = binding->instrument, .hit = hit};

    if (!diag_firing_is_due(binding))
        return;
    if (fire(binding, &firing) < 0 && diag_hit_count_error(hit))
        diag_instrument_error(binding);
    Py_XDECREF(firing.made_names);
    Py_XDECREF(firing.globals);
}

/* ---- as methods ---- */

int diag_firing_from_python(struct diag_firing *firing, PyObject *self, PyObject *args,
                            PyObject *kwargs, const char *format) {
    static char globals[] = "_globals", names[] = "_locals";
    static char *keywords[] = {globals, names, NULL};

    *firing = (struct diag_firing){.instrument = (struct diag_instrument_object *)self};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, format, keywords, &PyDict_Type, &firing->globals,
                                     &firing->names))
        return -1;
    if (firing->instrument->is_complete)
        return 0;
    PyErr_Format(PyExc_TypeError, "the __init__ of %.200s has not called super().__init__()",
                 Py_TYPE(self)->tp_name);
    return -1;
}

const char diag_firing_output_doc[] =
    "fire($self, /, _globals, _locals)\n--\n\n"
    "Evaluates value and tags, and hands them to emit(). A value of None is left out.\n\n"
    "_globals: the manager's global_namespace. _locals: all names that the expressions see.";

PyObject *diag_firing_output_method(PyObject *self, PyObject *args, PyObject *kwargs) {
    struct diag_firing firing;

    if (diag_firing_from_python(&firing, self, args, kwargs, "O!O:fire") < 0 ||
        diag_firing_output(&firing) < 0)
        return NULL;
    Py_RETURN_NONE;
}

int diag_firing_emit_arguments(PyObject *args, PyObject *kwargs, PyObject *given[3]) {
    static char name[] = "name", value[] = "value", tags[] = "tags";
    static char *keywords[] = {name, value, tags, NULL};

    return PyArg_ParseTupleAndKeywords(args, kwargs, "UOO:emit", keywords, &given[0], &given[1],
                                       &given[2])
               ? 0
               : -1;
}
