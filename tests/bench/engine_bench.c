/* SPDX-License-Identifier: MIT */
/* engine_bench - an extension module for tests/bench/engine: one engine, whose hits are kept and
 * counted in C, and tracing functions in C that do nothing. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>
#include <string.h>

#include "inproc/engine/engine.h"
#include "lib/base/clock.h"

#define LIFESPAN_MS UINT64_C(3600000)

struct sink {
    struct diag_engine *engine;
    unsigned long hit_count;
    PyObject *last_value; /* NULL: no hit yet */
};

static struct sink sink;

static void hit(void *context, const char *spec_id, PyObject *value, PyObject *tags) {
    struct sink *to = context;
    PyObject *old = to->last_value;

    (void)spec_id;
    (void)tags;
    to->hit_count++;
    to->last_value = Py_NewRef(value);
    Py_XDECREF(old);
}

/* Events of errors only: the status tells them as well. */
static enum diag_status emit(void *context, struct diag_bytes event, bool is_kept) {
    (void)context;
    (void)event;
    (void)is_kept;
    return DIAG_OK;
}

static void status_changed(void *context) {
    (void)context;
}

static PyObject *raise(const struct diag_error *error) {
    PyErr_SetString(PyExc_RuntimeError, error->message);
    return NULL;
}

static PyObject *start(PyObject *self, PyObject *unused) {
    struct diag_engine_sink to = {
        .context = &sink,
        .hit = hit,
        .emit = emit,
        .status_changed = status_changed,
    };
    struct diag_error error;

    (void)self;
    (void)unused;
    if (diag_engine_new(&to, &sink.engine, &error) != DIAG_OK)
        return raise(&error);
    Py_RETURN_NONE;
}

static PyObject *stop(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    diag_engine_free(sink.engine);
    sink.engine = NULL;
    Py_CLEAR(sink.last_value);
    Py_RETURN_NONE;
}

static char *text_of(PyObject *dict, const char *key) {
    PyObject *value = PyDict_GetItemString(dict, key);
    const char *text = value == NULL ? NULL : PyUnicode_AsUTF8(value);

    return strdup(text == NULL ? "" : text);
}

static struct diag_spec *spec_of(PyObject *dict) {
    struct diag_spec *spec = calloc(1, sizeof *spec);

    spec->id = text_of(dict, "id");
    spec->target = text_of(dict, "target");
    spec->instrument.type = strdup("log");
    spec->instrument.name = text_of(dict, "id");
    spec->instrument.event = text_of(dict, "event");
    spec->instrument.value = text_of(dict, "value");
    spec->lifespan_ms = LIFESPAN_MS;
    spec->expires_unix_ns = diag_clock_unix_ns() + LIFESPAN_MS * UINT64_C(1000000);
    spec->revision = 1;
    return spec;
}

/* A list of dicts: id, target, event, value. */
static PyObject *apply(PyObject *self, PyObject *list) {
    struct diag_spec *specs[256];
    struct diag_error error;
    Py_ssize_t count = PyList_Check(list) ? PyList_GET_SIZE(list) : -1;

    (void)self;
    if (count < 0 || count > (Py_ssize_t)(sizeof specs / sizeof specs[0])) {
        PyErr_SetString(PyExc_ValueError, "a list of at most 256 specs");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        specs[i] = spec_of(PyList_GET_ITEM(list, i));
    if (diag_engine_apply(sink.engine, specs, (size_t)count, &error) != DIAG_OK)
        return raise(&error);
    Py_RETURN_NONE;
}

static void add_status(void *context, const struct diag_spec_status *status) {
    PyObject *dict = Py_BuildValue(
        "{s:s,s:s,s:s,s:s,s:I,s:I,s:K,s:K}", "state", diag_spec_state_name(status->state),
        "message", status->message, "mechanism", status->mechanism, "excluded", status->excluded,
        "functions", (unsigned)status->functions, "codes", (unsigned)status->codes, "hits",
        (unsigned long long)status->hits, "errors", (unsigned long long)status->errors);

    if (dict != NULL && PyDict_SetItemString(context, status->spec_id, dict) < 0)
        PyErr_Clear();
    Py_XDECREF(dict);
}

static PyObject *statuses(PyObject *self, PyObject *unused) {
    PyObject *dict = PyDict_New();

    (void)self;
    (void)unused;
    if (dict != NULL)
        diag_engine_statuses(sink.engine, add_status, dict);
    return dict;
}

/* How many hits the sink has seen. */
static PyObject *hits(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    return PyLong_FromUnsignedLong(sink.hit_count);
}

/* The value of the last hit, or None. */
static PyObject *last_value(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    return Py_NewRef(sink.last_value == NULL ? Py_None : sink.last_value);
}

static int trace_nothing(PyObject *object, PyFrameObject *frame, int what, PyObject *argument) {
    (void)object;
    (void)frame;
    (void)what;
    (void)argument;
    return 0;
}

static PyObject *set_trace(PyObject *self, PyObject *is_on) {
    (void)self;
    PyEval_SetTrace(is_on == Py_True ? trace_nothing : NULL, NULL);
    Py_RETURN_NONE;
}

static PyObject *set_profile(PyObject *self, PyObject *is_on) {
    (void)self;
    PyEval_SetProfile(is_on == Py_True ? trace_nothing : NULL, NULL);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"start", start, METH_NOARGS, NULL},
    {"stop", stop, METH_NOARGS, NULL},
    {"apply", apply, METH_O, NULL},
    {"statuses", statuses, METH_NOARGS, NULL},
    {"hits", hits, METH_NOARGS, NULL},
    {"last_value", last_value, METH_NOARGS, NULL},
    {"set_trace", set_trace, METH_O, NULL},
    {"set_profile", set_profile, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "engine_bench",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit_engine_bench(void);

PyMODINIT_FUNC PyInit_engine_bench(void) {
    return PyModule_Create(&definition);
}
