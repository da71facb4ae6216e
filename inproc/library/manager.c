/* SPDX-License-Identifier: MIT */
#include "inproc/library/manager.h"

#include "inproc/engine/pycompat.h"

#include <structmember.h> /* __dictoffset__ */

#include "inproc/library/manager_background.h"
#include "inproc/library/manager_defaults.h"
#include "inproc/library/manager_mongodb.h"
#include "inproc/library/manager_pass.h"
#include "inproc/library/manager_process.h"
#include "inproc/library/manager_report.h"
#include "inproc/library/sensor.h"

static PyObject *manager_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                             PyObject *Py_UNUSED(kwargs)) {
    struct diag_manager *manager = (struct diag_manager *)type->tp_alloc(type, 0);

    if (manager == NULL)
        return NULL;
    manager->dict = PyDict_New();
    if (manager->dict == NULL || diag_manager_records_init(&manager->records) < 0 ||
        diag_spec_keys_init(&manager->keys) < 0 || diag_manager_defaults_copy(manager) < 0)
        Py_CLEAR(manager);
    return (PyObject *)manager;
}

static int manager_init(PyObject *self, PyObject *args, PyObject *kwargs) {
    static char process_id_keyword[] = "process_id";
    static char *keywords[] = {process_id_keyword, NULL};
    PyObject *process_id = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:InstrumentManager", keywords, &process_id))
        return -1;
    return diag_manager_set_process_id(self, process_id, NULL);
}

static int manager_traverse(PyObject *self, visitproc visit, void *arg) {
    struct diag_manager *manager = diag_manager_of(self);

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(manager->dict);
    Py_VISIT(manager->background.event);
    Py_VISIT(manager->store.collection);
    Py_VISIT(manager->store.told);
    return diag_manager_records_traverse(&manager->records, visit, arg);
}

static int manager_clear(PyObject *self) {
    struct diag_manager *manager = diag_manager_of(self);

    Py_CLEAR(manager->dict);
    Py_CLEAR(manager->background.event);
    Py_CLEAR(manager->store.collection);
    Py_CLEAR(manager->store.told);
    diag_manager_records_done(&manager->records);
    return 0;
}

static void manager_dealloc(PyObject *self) {
    struct diag_manager *manager = diag_manager_of(self);
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (manager->weak_references != NULL)
        PyObject_ClearWeakRefs(self);
    manager_clear(self);
    Py_CLEAR(manager->process_id);
    Py_CLEAR(manager->store.id_field);
    diag_spec_keys_done(&manager->keys);
    diag_manager_turn_done(&manager->turn);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *manager_repr(PyObject *self) {
    PyObject *process_id = PyObject_GetAttrString(self, "process_id"), *text;

    if (process_id == NULL)
        return NULL;
    text = PyUnicode_FromFormat("<%s process_id=%R>", Py_TYPE(self)->tp_name, process_id);
    Py_DECREF(process_id);
    return text;
}

PyDoc_STRVAR(
    apply_doc,
    "apply($self)\n--\n\n"
    "Makes what is armed in this process what `specs` says: new specs get an instrument,\n"
    "edited ones another, those that are gone or have expired lose theirs. Costs next to\n"
    "nothing for specs that are as they were.\n\n"
    "What is wrong with a spec goes into its `applied` and to handle_error, once as long as\n"
    "it stays the same, and leaves the other specs alone; it is tried again by each apply.\n"
    "If `specs` cannot be had, that goes to handle_error, and everything stays as it is.\n\n"
    "Functions that have been replaced (importlib.reload) are followed: what is there now is\n"
    "probed. The program's own instruments on a target are left as they are.\n\n"
    "Any thread may call it; one waits for the other. Called from within itself, it has the\n"
    "one that is under way repeated, and returns at once.");

static PyObject *apply(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    struct diag_manager *manager = diag_manager_of(self);
    int outcome = diag_manager_turn_take(&manager->turn);

    if (outcome < 0)
        return NULL;
    if (outcome == 0)
        Py_RETURN_NONE;
    outcome = diag_manager_pass(manager);
    for (bool is_first = true;
         outcome == 0 && diag_manager_turn_is_wanted_again(&manager->turn, is_first);
         is_first = false)
        outcome = diag_manager_pass(manager);
    if (outcome == 0)
        diag_placement_follow_targets();
    diag_manager_turn_end(&manager->turn);
    if (outcome < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    apply_in_background_doc,
    "apply_in_background($self, period=60)\n--\n\n"
    "Has a daemon thread, \"diagnose.manager\", call apply() at once and then every `period`\n"
    "seconds (int or float, more than 0). Called again, it changes the period, and applies.\n"
    "A forked child gets a thread of its own. The thread holds up no exit.\n\n"
    "Raises TypeError or ValueError that names the period, RuntimeError if there can be no\n"
    "more threads.");

static PyObject *apply_in_background(PyObject *self, PyObject *args, PyObject *kwargs) {
    static char period_keyword[] = "period";
    static char *keywords[] = {period_keyword, NULL};
    PyObject *period = NULL, *minute;
    int outcome;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:apply_in_background", keywords, &period))
        return NULL;
    minute = period == NULL ? PyLong_FromLong(60) : Py_NewRef(period);
    if (minute == NULL)
        return NULL;
    outcome = diag_manager_background_start(diag_manager_of(self), minute);
    Py_DECREF(minute);
    if (outcome < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    stop_background_doc,
    "stop_background($self)\n--\n\n"
    "Ends the thread of apply_in_background, once it is done with an apply() that is under\n"
    "way; does not wait for it. What is applied stays so. Idempotent.");

static PyObject *stop_background(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    if (diag_manager_background_stop(diag_manager_of(self)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    check_call_doc,
    "check_call($self, probe, instrument, *args, **kwargs)\n--\n\n"
    "Whether this call of the probe's target is one for the instrument: True. For subclasses\n"
    "to override; args and kwargs are those of the call.");

static PyObject *check_call(PyObject *Py_UNUSED(self), PyObject *args,
                            PyObject *Py_UNUSED(kwargs)) {
    if (PyTuple_GET_SIZE(args) < 2) {
        PyErr_SetString(PyExc_TypeError, "check_call() takes a probe and an instrument at least");
        return NULL;
    }
    Py_RETURN_TRUE;
}

PyDoc_STRVAR(
    get_tags_doc,
    "get_tags($self)\n--\n\n"
    "Tags that every instrument of this manager adds to its own, as a dict or a list of str:\n"
    "{}. For subclasses to override.");

static PyObject *get_tags(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) {
    return PyDict_New();
}

PyDoc_STRVAR(
    handle_error_doc,
    "handle_error($self, probe=None, instrument=None)\n--\n\n"
    "Called while sys.exc_info() is an error in an instrument (of which probe and instrument\n"
    "tell), in a spec, or in the store of the specs. Prints the traceback to sys.stderr. For\n"
    "subclasses to override.");

static PyObject *handle_error(PyObject *Py_UNUSED(self), PyObject *args, PyObject *kwargs) {
    static char probe_keyword[] = "probe", instrument_keyword[] = "instrument";
    static char *keywords[] = {probe_keyword, instrument_keyword, NULL};
    PyObject *probe = Py_None, *instrument = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:handle_error", keywords, &probe,
                                     &instrument))
        return NULL;
    diag_manager_print_handled(probe, instrument);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    mark_doc,
    "mark($self, id, lastmodified, error=None)\n--\n\n"
    "Called by apply() when `applied` of the spec does not say yet what came of it in this\n"
    "process: that this `lastmodified` (None if the spec has none) was applied, with this\n"
    "`error` (str, or None). Writes it into specs[id][\"applied\"]. For subclasses with stores\n"
    "of their own to override; what it raises goes to handle_error.");

static PyObject *mark(PyObject *self, PyObject *args, PyObject *kwargs) {
    static char id_keyword[] = "id", lastmodified_keyword[] = "lastmodified",
                error_keyword[] = "error";
    static char *keywords[] = {id_keyword, lastmodified_keyword, error_keyword, NULL};
    PyObject *id, *lastmodified, *error = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O:mark", keywords, &id, &lastmodified,
                                     &error))
        return NULL;
    if (diag_manager_mark_in_specs(self, id, lastmodified, error) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"apply", apply, METH_NOARGS, apply_doc},
    {"apply_in_background", (PyCFunction)(void (*)(void))apply_in_background,
     METH_VARARGS | METH_KEYWORDS, apply_in_background_doc},
    {"stop_background", stop_background, METH_NOARGS, stop_background_doc},
    {"check_call", (PyCFunction)(void (*)(void))check_call, METH_VARARGS | METH_KEYWORDS,
     check_call_doc},
    {"get_tags", get_tags, METH_NOARGS, get_tags_doc},
    {"handle_error", (PyCFunction)(void (*)(void))handle_error, METH_VARARGS | METH_KEYWORDS,
     handle_error_doc},
    {"mark", (PyCFunction)(void (*)(void))mark, METH_VARARGS | METH_KEYWORDS, mark_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(struct diag_manager, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct diag_manager, weak_references), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"process_id", diag_manager_get_process_id, diag_manager_set_process_id,
     "str: under which the specs' `applied` has this process. By default \"host:pid\" of the "
     "moment,\n"
     "so that the children of a fork differ; None goes back to that.",
     NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(
    manager_doc,
    "InstrumentManager(process_id=None)\n--\n\n"
    "Arms in this process what its dict of specs says.\n\n"
    "specs: dict of id -> spec, a dict with these keys; further ones are left alone:\n"
    "    target: str, \"module.Class.function\".\n"
    "    instrument: dict: type, a key of instrument_classes; name and value, str; event,\n"
    "        str, and custom, dict or None, may be left out; the rest goes to the class.\n"
    "    lifespan: minutes from lastmodified, int or float. None: it does not expire. 0 or\n"
    "        less: it has expired from the start.\n"
    "    lastmodified: datetime; a naive one is UTC.\n"
    "    applied: dict of process id -> {\"lm\": the lastmodified that was applied, \"err\":\n"
    "        None or str}, which apply() fills; made if there is none.\n"
    "instrument_classes: dict of type -> class.\n"
    "global_namespace: dict of names that the instruments' expressions see besides those of\n"
    "    the call: the modules datetime, math and time, and mag.\n"
    "The instances of a class each have a copy of its class attributes instrument_classes and\n"
    "global_namespace; subclasses may have properties in their place, and in that of specs.\n\n"
    "process_id: str, see there.");

static PyObject *add_manager_type(PyObject *module) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)(uintptr_t)manager_doc},
        {Py_tp_new, DIAG_PY_SLOT(manager_new)},
        {Py_tp_init, DIAG_PY_SLOT(manager_init)},
        {Py_tp_traverse, DIAG_PY_SLOT(manager_traverse)},
        {Py_tp_clear, DIAG_PY_SLOT(manager_clear)},
        {Py_tp_dealloc, DIAG_PY_SLOT(manager_dealloc)},
        {Py_tp_repr, DIAG_PY_SLOT(manager_repr)},
        {Py_tp_methods, methods},
        {Py_tp_members, members},
        {Py_tp_getset, properties},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.managers.InstrumentManager",
        .basicsize = sizeof(struct diag_manager),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);

    if (type != NULL && (PyModule_AddType(module, (PyTypeObject *)type) < 0 ||
                         diag_manager_defaults_add_to(module, type) < 0))
        Py_CLEAR(type);
    return type;
}

int diag_manager_add_to(PyObject *module) {
    PyObject *manager_type = add_manager_type(module);
    PyObject *sensor_type = manager_type == NULL ? NULL : diag_sensor_add_to(module);
    int outcome = -1;

    if (sensor_type != NULL)
        outcome = diag_manager_mongodb_add_to(module, manager_type);
    Py_XDECREF(manager_type);
    Py_XDECREF(sensor_type);
    return outcome;
}
