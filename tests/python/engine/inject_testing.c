/* SPDX-License-Identifier: MIT */
/* inject_testing - the injector, its backend and the search for functions, without an engine. */
#include "inproc/engine/code_users.h"
#include "inproc/engine/inject.h"
#include "inproc/engine/observer.h"
#include "inproc/engine/thread_state.h"

static PyObject *functions_of(PyObject *self, PyObject *code) {
    (void)self;
    return diag_code_users_functions((PyCodeObject *)code);
}

static bool count_one(void *context, PyObject *function) {
    Py_ssize_t *left = context;

    (void)function;
    return --*left > 0;
}

/* How many functions were visited, if the visitor stops after `limit`. */
static PyObject *visit_functions(PyObject *self, PyObject *limit) {
    Py_ssize_t left = PyLong_AsSsize_t(limit), before = left;

    (void)self;
    diag_code_users_each_function(count_one, &left);
    return PyLong_FromSsize_t(before - left);
}

struct search {
    PyCodeObject *code;
    bool is_found;
};

static void compare_code(void *context, PyCodeObject *code) {
    struct search *search = context;

    search->is_found |= search->code == code;
}

static PyObject *is_reached(PyObject *self, PyObject *code) {
    struct search search = {(PyCodeObject *)code, false};

    (void)self;
    diag_code_users_each_code(compare_code, &search);
    return PyBool_FromLong(search.is_found);
}

static PyObject *is_only(PyObject *self, PyObject *args) {
    PyObject *code, *function;
    Py_ssize_t others;

    (void)self;
    if (!PyArg_ParseTuple(args, "OOn", &code, &function, &others))
        return NULL;
    return PyBool_FromLong(diag_code_users_is_only((PyCodeObject *)code,
                                                   function == Py_None ? NULL : function, others));
}

static PyObject *is_collecting(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    return PyBool_FromLong(diag_code_users_is_collecting());
}

#if PY_VERSION_HEX < 0x030C0000

#include <stdlib.h>

#define CAPSULE "inject_testing.observer"

struct recorder {
    struct diag_observer observer;
    PyObject *code;
    PyObject *events; /* NULL: they are only counted */
    PyObject *hook;   /* called at each event; may be NULL */
    uint64_t count;
};

static PyObject *raise_error(const struct diag_error *error) {
    PyErr_Format(PyExc_RuntimeError, "%s: %s", diag_status_name(error->status), error->message);
    return NULL;
}

/* As a guard does that is up for all greenlets (guard.h). */
static void set_in_probe(bool is_in_probe) {
    struct diag_thread_state *state = diag_thread_state_get();

    state->is_in_probe = state->has_probe_stack = is_in_probe;
    state->probe_stack = NULL;
}

static void record(struct diag_observer *observer, diag_py_frame *frame, const char *kind,
                   PyObject *value) {
    struct recorder *recorder = (struct recorder *)observer;
    PyObject *event;
    int line;

    recorder->count++;
    if (recorder->events == NULL)
        return;
    line = PyCode_Addr2Line(frame->f_code, _PyInterpreterFrame_LASTI(frame) * 2);
    set_in_probe(true);
    event = Py_BuildValue("(siO)", kind, line, value == NULL ? Py_None : value);
    if (event != NULL && PyList_Append(recorder->events, event) < 0)
        PyErr_Clear();
    if (recorder->hook != NULL) /* what it raises stays set, for the backend to see to */
        Py_XDECREF(PyObject_CallOneArg(recorder->hook, event));
    Py_XDECREF(event);
    set_in_probe(false);
}

static void start(struct diag_observer *observer, diag_py_frame *frame) {
    record(observer, frame, "start", NULL);
}

static void returned(struct diag_observer *observer, diag_py_frame *frame, PyObject *result) {
    record(observer, frame, "returned", result);
}

static void raised(struct diag_observer *observer, diag_py_frame *frame, PyObject *exception) {
    record(observer, frame, "raised", exception);
}

static void suspended(struct diag_observer *observer, diag_py_frame *frame) {
    record(observer, frame, "suspended", NULL);
}

static void resumed(struct diag_observer *observer, diag_py_frame *frame) {
    record(observer, frame, "resumed", NULL);
}

static void at_line(struct diag_observer *observer, diag_py_frame *frame, int line) {
    struct recorder *recorder = (struct recorder *)observer;
    PyObject *number;

    recorder->count++;
    if (recorder->events == NULL)
        return;
    recorder->count--;
    number = PyLong_FromLong(line);
    record(observer, frame, "line", number);
    Py_DECREF(number);
}

static const struct diag_observer callbacks = {
    .start = start,
    .returned = returned,
    .raised = raised,
    .suspended = suspended,
    .resumed = resumed,
    .line = at_line,
};

static void recorder_free(struct recorder *recorder) {
    if (recorder == NULL)
        return;
    free(recorder->observer.lines);
    Py_XDECREF(recorder->code);
    Py_XDECREF(recorder->events);
    Py_XDECREF(recorder->hook);
    free(recorder);
}

static void capsule_free(PyObject *capsule) {
    recorder_free(PyCapsule_GetPointer(capsule, CAPSULE));
}

static struct recorder *recorder_of(PyObject *capsule) {
    return PyCapsule_GetPointer(capsule, CAPSULE);
}

static void set_wishes(struct recorder *recorder, unsigned events, PyObject *lines) {
    size_t count = (size_t)PyList_Size(lines);

    free(recorder->observer.lines);
    recorder->observer.events = events;
    recorder->observer.lines = calloc(count + 1, sizeof *recorder->observer.lines);
    recorder->observer.line_count = count;
    for (size_t i = 0; i < count; i++)
        recorder->observer.lines[i] = (int)PyLong_AsLong(PyList_GetItem(lines, (Py_ssize_t)i));
}

static struct recorder *recorder_new(PyObject *code, unsigned events, PyObject *lines) {
    struct recorder *recorder = calloc(1, sizeof *recorder);

    recorder->observer = callbacks;
    recorder->code = Py_NewRef(code);
    set_wishes(recorder, events, lines);
    return recorder;
}

/* (code, events, sorted list of lines): the injected code, whose callbacks do nothing. */
static PyObject *inject(PyObject *self, PyObject *args) {
    PyObject *code, *lines;
    PyCodeObject *injected;
    struct recorder *recorder;
    struct diag_inject_link *link;
    struct diag_error error;
    enum diag_status status;
    unsigned events;

    (void)self;
    if (!PyArg_ParseTuple(args, "O!IO!", &PyCode_Type, &code, &events, &PyList_Type, &lines))
        return NULL;
    diag_inject_probe_init();
    recorder = recorder_new(code, events, lines);
    link = diag_inject_link_new((PyCodeObject *)code, &recorder->observer);
    status = diag_inject(link, &injected, &error);
    link->observer = NULL;
    diag_inject_link_unref(link);
    recorder_free(recorder);
    return status == DIAG_OK ? (PyObject *)injected : raise_error(&error);
}

/* (code, events, lines, function or None, references, is_counting, hook or None): the observer, and
 * what it covers. */
static PyObject *attach(PyObject *self, PyObject *args) {
    PyObject *code, *lines, *function, *hook, *capsule;
    struct diag_observer_coverage coverage;
    struct recorder *recorder;
    struct diag_error error;
    Py_ssize_t references;
    unsigned events;
    int is_counting;

    (void)self;
    if (!PyArg_ParseTuple(args, "O!IO!OnpO", &PyCode_Type, &code, &events, &PyList_Type, &lines,
                          &function, &references, &is_counting, &hook))
        return NULL;
    recorder = recorder_new(code, events, lines);
    recorder->observer.function = function == Py_None ? NULL : function;
    recorder->observer.references = references + 1; /* the recorder's */
    recorder->events = is_counting ? NULL : PyList_New(0);
    recorder->hook = hook == Py_None ? NULL : Py_NewRef(hook);
    if (diag_observer_backend_injection.attach((PyCodeObject *)code, &recorder->observer, &coverage,
                                               &error) != DIAG_OK) {
        recorder_free(recorder);
        return raise_error(&error);
    }
    capsule = PyCapsule_New(recorder, CAPSULE, capsule_free);
    return Py_BuildValue("(NIs)", capsule, coverage.functions, coverage.excluded);
}

static PyObject *update(PyObject *self, PyObject *args) {
    PyObject *capsule, *lines;
    struct recorder *recorder;
    struct diag_error error;
    unsigned events;

    (void)self;
    if (!PyArg_ParseTuple(args, "OIO!", &capsule, &events, &PyList_Type, &lines))
        return NULL;
    recorder = recorder_of(capsule);
    set_wishes(recorder, events, lines);
    if (diag_observer_backend_injection.update((PyCodeObject *)recorder->code, &recorder->observer,
                                               &error) != DIAG_OK)
        return raise_error(&error);
    Py_RETURN_NONE;
}

static PyObject *detach(PyObject *self, PyObject *capsule) {
    struct recorder *recorder = recorder_of(capsule);

    (void)self;
    diag_observer_backend_injection.detach((PyCodeObject *)recorder->code, &recorder->observer);
    Py_RETURN_NONE;
}

/* The events since the last call. */
static PyObject *take(PyObject *self, PyObject *capsule) {
    struct recorder *recorder = recorder_of(capsule);
    PyObject *events = recorder->events;

    (void)self;
    recorder->events = PyList_New(0);
    return events;
}

/* Number of events, and of those that came while another one was seen to. */
static PyObject *counts(PyObject *self, PyObject *capsule) {
    struct recorder *recorder = recorder_of(capsule);

    (void)self;
    return Py_BuildValue("(KK)", (unsigned long long)recorder->count,
                         (unsigned long long)recorder->observer.reentrant);
}

static PyObject *original(PyObject *self, PyObject *code) {
    (void)self;
    return Py_NewRef((PyObject *)diag_injection_original((PyCodeObject *)code));
}

static PyMethodDef injection_methods[] = {
    {"inject", inject, METH_VARARGS, NULL}, {"attach", attach, METH_VARARGS, NULL},
    {"update", update, METH_VARARGS, NULL}, {"detach", detach, METH_O, NULL},
    {"take", take, METH_O, NULL},           {"counts", counts, METH_O, NULL},
    {"original", original, METH_O, NULL},   {NULL, NULL, 0, NULL},
};

#endif

static PyMethodDef methods[] = {
    {"functions_of", functions_of, METH_O, NULL},
    {"visit_functions", visit_functions, METH_O, NULL},
    {"is_reached", is_reached, METH_O, NULL},
    {"is_only", is_only, METH_VARARGS, NULL},
    {"is_collecting", is_collecting, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "inject_testing", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_inject_testing(void);

PyMODINIT_FUNC PyInit_inject_testing(void) {
    PyObject *module = PyModule_Create(&definition);

#if PY_VERSION_HEX < 0x030C0000
    if (module != NULL && PyModule_AddFunctions(module, injection_methods) < 0)
        Py_CLEAR(module);
#endif
    return module;
}
