/* SPDX-License-Identifier: MIT */
/* engine_testing - an extension module that drives one engine from Python tests; events go into a
 * list, aggregates into a segment. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>
#include <string.h>

#include "inproc/engine/engine.h"
#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/shm/aggregate_reader.h"
#include "lib/shm/aggregate_writer.h"
#include "tests/python/engine/engine_testing.h"
#include "tests/python/engine/expression_testing.h"

struct recorder {
    struct diag_engine *engine;
    struct diag_bytes *events; /* the bytes are owned */
    size_t event_count, capacity;
    size_t event_limit; /* further ones are refused, as by a full ring; 0: none */
    unsigned long status_changes;
    unsigned long long hits; /* that were not kept */
    struct diag_segment segment;
    struct diag_aggregate_writer writer;
    struct diag_aggregate_reader reader;
};

static struct recorder recorder;

static enum diag_status emit(void *context, struct diag_bytes event, bool is_kept) {
    struct recorder *to = context;
    uint8_t *copy;

    if (!is_kept && to->event_limit != 0 && to->event_count >= to->event_limit)
        return DIAG_ERR_FULL;
    if (to->event_count == to->capacity) {
        size_t capacity = to->capacity == 0 ? 64 : to->capacity * 2;
        struct diag_bytes *events = realloc(to->events, capacity * sizeof *events);

        if (events == NULL)
            return DIAG_ERR_NO_MEMORY;
        to->events = events;
        to->capacity = capacity;
    }
    copy = malloc(event.size);
    if (copy == NULL)
        return DIAG_ERR_NO_MEMORY;
    memcpy(copy, event.data, event.size);
    to->events[to->event_count++] = diag_bytes_make(copy, event.size);
    return DIAG_OK;
}

/* In place of `emit`, if no events are kept: values are evaluated, and not asked for their repr().
 */
static void count_hit(void *context, const char *spec_id, PyObject *value, PyObject *tags) {
    (void)spec_id;
    (void)value;
    (void)tags;
    ((struct recorder *)context)->hits++;
}

static enum diag_status drop_event(void *context, struct diag_bytes event, bool is_kept) {
    (void)context;
    (void)event;
    (void)is_kept;
    return DIAG_OK;
}

static void status_changed(void *context) {
    ((struct recorder *)context)->status_changes++;
}

static enum diag_status aggregate_open(void *context, const struct diag_engine_aggregate *which,
                                       uint64_t *handle, bool *is_overflow) {
    struct diag_aggregate_key key = {which->spec, which->tags, which->overflow, which->is_overflow};

    return diag_aggregate_writer_open(&((struct recorder *)context)->writer, which->is_histogram,
                                      &key, handle, is_overflow);
}

static enum diag_status aggregate_update(void *context, uint64_t handle, double number) {
    return diag_aggregate_writer_update(&((struct recorder *)context)->writer, handle, number);
}

static void aggregate_retire(void *context, struct diag_bytes spec) {
    diag_aggregate_writer_retire(&((struct recorder *)context)->writer, spec);
}

static PyObject *raise(const struct diag_error *error) {
    PyErr_SetString(PyExc_RuntimeError, error->message);
    return NULL;
}

/* start(keep_events=True) */
static PyObject *start(PyObject *self, PyObject *args) {
    struct diag_engine_sink sink = {
        .context = &recorder,
        .emit = emit,
        .status_changed = status_changed,
        .aggregate_open = aggregate_open,
        .aggregate_update = aggregate_update,
        .aggregate_retire = aggregate_retire,
    };
    struct diag_error error;
    int keep_events = 1;

    (void)self;
    if (!PyArg_ParseTuple(args, "|p", &keep_events))
        return NULL;
    if (!keep_events) {
        sink.hit = count_hit;
        sink.emit = drop_event;
    }
    if (diag_segment_create("0123456789abcdef0123456789abcdef", DIAG_SHM_RING_SIZE_MIN,
                            &recorder.segment, &error) != DIAG_OK)
        return raise(&error);
    diag_aggregate_writer_init(&recorder.writer, &recorder.segment);
    diag_aggregate_reader_init(&recorder.reader, &recorder.segment);
    if (diag_engine_new(&sink, &recorder.engine, &error) != DIAG_OK) {
        diag_aggregate_writer_done(&recorder.writer);
        diag_segment_done(&recorder.segment);
        return raise(&error);
    }
    Py_RETURN_NONE;
}

static PyObject *stop(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    diag_engine_free(recorder.engine);
    recorder.engine = NULL;
    diag_aggregate_writer_done(&recorder.writer);
    diag_segment_done(&recorder.segment);
    Py_RETURN_NONE;
}

static char *text_of(PyObject *dict, const char *key, const char *otherwise) {
    PyObject *value = PyDict_GetItemString(dict, key);

    if (value == NULL || value == Py_None)
        return otherwise == NULL ? NULL : strdup(otherwise);
    return strdup(PyUnicode_AsUTF8(value));
}

static uint64_t number_of(PyObject *dict, const char *key, uint64_t otherwise) {
    PyObject *value = PyDict_GetItemString(dict, key);

    return value == NULL ? otherwise : PyLong_AsUnsignedLongLong(value);
}

struct diag_spec *diag_engine_testing_spec(PyObject *dict) {
    struct diag_spec *spec = calloc(1, sizeof *spec);

    spec->id = text_of(dict, "id", "spec");
    spec->target = text_of(dict, "target", "");
    spec->instrument.type = text_of(dict, "type", "log");
    spec->instrument.name = text_of(dict, "name", spec->id);
    spec->instrument.value = text_of(dict, "value", "result");
    spec->instrument.event = text_of(dict, "event", "return");
    spec->instrument.tags = text_of(dict, "tags", NULL);
    spec->lifespan_ms = 600000;
    spec->revision = number_of(dict, "revision", 1);
    spec->expires_unix_ns = number_of(dict, "expires", 0);
    return spec;
}

static PyObject *apply(PyObject *self, PyObject *list) {
    size_t count = (size_t)PyList_Size(list);
    struct diag_spec **specs = calloc(count + 1, sizeof *specs);
    struct diag_error error;
    enum diag_status status;

    (void)self;
    for (size_t i = 0; i < count; i++)
        specs[i] = diag_engine_testing_spec(PyList_GetItem(list, (Py_ssize_t)i));
    status = diag_engine_apply(recorder.engine, specs, count, &error);
    free(specs);
    if (status != DIAG_OK)
        return raise(&error);
    Py_RETURN_NONE;
}

static PyObject *tick(PyObject *self, PyObject *args) {
    unsigned long long now = diag_clock_unix_ns();

    (void)self;
    if (!PyArg_ParseTuple(args, "|K", &now))
        return NULL;
    diag_engine_tick(recorder.engine, now);
    Py_RETURN_NONE;
}

static PyObject *skips_of(const struct diag_spec_status *status) {
    PyObject *skips = PyDict_New();

    for (int i = 0; i < DIAG_SKIP_COUNT; i++) {
        PyObject *count = PyLong_FromUnsignedLongLong(status->skips[i]);

        PyDict_SetItemString(skips, diag_skip_name((enum diag_skip)i), count);
        Py_XDECREF(count);
    }
    return skips;
}

PyObject *diag_engine_testing_status(const struct diag_spec_status *status) {
    return Py_BuildValue(
        "{s:s,s:K,s:s,s:s,s:s,s:s,s:I,s:I,s:O,s:K,s:K,s:K,s:N}", "id", status->spec_id, "revision",
        (unsigned long long)status->spec_revision, "state", diag_spec_state_name(status->state),
        "message", status->message, "mechanism", status->mechanism, "excluded", status->excluded,
        "functions", (unsigned)status->functions, "codes", (unsigned)status->codes, "pure",
        status->is_pure ? Py_True : Py_False, "hits", (unsigned long long)status->hits, "errors",
        (unsigned long long)status->errors, "dropped", (unsigned long long)status->dropped, "skips",
        skips_of(status));
}

static void add_status(void *context, const struct diag_spec_status *status) {
    PyObject *dict = diag_engine_testing_status(status);

    PyDict_SetItemString(context, status->spec_id, dict);
    Py_XDECREF(dict);
}

static PyObject *statuses(PyObject *self, PyObject *unused) {
    PyObject *dict = PyDict_New();

    (void)self;
    (void)unused;
    diag_engine_statuses(recorder.engine, add_status, dict);
    return dict;
}

/* The events since the last call, as bytes. */
static PyObject *take_events(PyObject *self, PyObject *unused) {
    PyObject *list = PyList_New(0);

    (void)self;
    (void)unused;
    for (size_t i = 0; i < recorder.event_count; i++) {
        PyObject *bytes = PyBytes_FromStringAndSize((const char *)recorder.events[i].data,
                                                    (Py_ssize_t)recorder.events[i].size);

        PyList_Append(list, bytes);
        Py_DECREF(bytes);
        free((void *)(uintptr_t)recorder.events[i].data);
    }
    recorder.event_count = 0;
    return list;
}

/* What has changed since the last call: (key, is_histogram, sum, count, is_final). */
static PyObject *take_aggregates(PyObject *self, PyObject *unused) {
    PyObject *list = PyList_New(0);

    (void)self;
    (void)unused;
    for (uint32_t slot = 0; slot < DIAG_SHM_AGGREGATES; slot++) {
        struct diag_aggregate_value value;
        PyObject *item;

        if (diag_aggregate_reader_read(&recorder.reader, slot, false, &value) != DIAG_OK)
            continue;
        diag_aggregate_reader_accept(&recorder.reader, &value);
        item = Py_BuildValue("(y#OdKO)", (const char *)value.key, (Py_ssize_t)value.key_size,
                             value.is_histogram ? Py_True : Py_False, value.sum,
                             (unsigned long long)value.count, value.is_final ? Py_True : Py_False);
        PyList_Append(list, item);
        Py_DECREF(item);
    }
    return list;
}

/* As when a new sidecar hands out a new segment; `False`: there is none. */
static PyObject *renew_segment(PyObject *self, PyObject *has_one) {
    (void)self;
    diag_aggregate_writer_done(&recorder.writer);
    if (has_one == Py_True)
        diag_aggregate_writer_init(&recorder.writer, &recorder.segment);
    Py_RETURN_NONE;
}

static PyObject *limit_events(PyObject *self, PyObject *limit) {
    (void)self;
    recorder.event_limit = PyLong_AsSize_t(limit);
    Py_RETURN_NONE;
}

/* How many hits were not kept since the extension was loaded. */
static PyObject *hits(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    return PyLong_FromUnsignedLongLong(recorder.hits);
}

static PyObject *status_changes(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    return PyLong_FromUnsignedLong(recorder.status_changes);
}

static PyObject *next_expiry(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    return PyLong_FromUnsignedLongLong(diag_engine_next_expiry(recorder.engine));
}

static PyObject *after_fork(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    diag_engine_after_fork(recorder.engine);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"start", start, METH_VARARGS, NULL},
    {"stop", stop, METH_NOARGS, NULL},
    {"apply", apply, METH_O, NULL},
    {"tick", tick, METH_VARARGS, NULL},
    {"statuses", statuses, METH_NOARGS, NULL},
    {"take_events", take_events, METH_NOARGS, NULL},
    {"take_aggregates", take_aggregates, METH_NOARGS, NULL},
    {"renew_segment", renew_segment, METH_O, NULL},
    {"limit_events", limit_events, METH_O, NULL},
    {"hits", hits, METH_NOARGS, NULL},
    {"status_changes", status_changes, METH_NOARGS, NULL},
    {"next_expiry", next_expiry, METH_NOARGS, NULL},
    {"after_fork", after_fork, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (__extension__(void *)(diag_expression_testing_add))},
    {Py_mod_exec, (__extension__(void *)(diag_handler_testing_add))},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "engine_testing",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit_engine_testing(void);

PyMODINIT_FUNC PyInit_engine_testing(void) {
    return PyModuleDef_Init(&definition);
}
