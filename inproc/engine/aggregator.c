/* SPDX-License-Identifier: MIT */
#include "inproc/engine/aggregator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inproc/engine/tags.h"
#include "lib/event/aggregate_encoder.h"
#include "lib/event/event_encoder.h"

/* The tags expression's and those of one pair, before they are sorted and found too long. */
#define RAW_TAGS_MAX ((size_t)2 * DIAG_TAGS_MAX * (DIAG_TAG_SIZE_MAX + 16))

/* One number and the tags that it goes under. */
struct point {
    double number;
    bool is_too_long;
    uint16_t size;
    uint8_t tags[DIAG_AGGREGATE_TAGS_MAX];
};

struct diag_aggregator {
    const struct diag_engine_sink *sink;
    bool is_histogram;
    bool has_overflowed;
    bool has_handle;
    uint64_t handle;   /* of the tags of `last` */
    struct point last; /* its number does not matter */
    size_t spec_size, overflow_size;
    uint8_t spec[DIAG_AGGREGATE_SPEC_MAX];
    uint8_t overflow[DIAG_AGGREGATE_OVERFLOW_MAX];
};

bool diag_aggregator_is_for(const struct diag_spec *spec) {
    return strcmp(spec->instrument.type, "log") != 0;
}

enum diag_status diag_aggregator_new(const struct diag_spec *spec,
                                     const struct diag_engine_sink *sink,
                                     struct diag_aggregator **out, struct diag_error *err) {
    struct diag_aggregator *aggregator = calloc(1, sizeof *aggregator);

    if (aggregator == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "instrument");
    aggregator->sink = sink;
    aggregator->is_histogram = strcmp(spec->instrument.type, "hist") == 0;
    aggregator->spec_size =
        diag_aggregate_put_spec(aggregator->spec, spec->id, spec->revision, spec->instrument.name);
    aggregator->overflow_size = diag_aggregate_put_overflow(aggregator->overflow);
    *out = aggregator;
    return DIAG_OK;
}

void diag_aggregator_free(struct diag_aggregator *aggregator) {
    free(aggregator);
}

bool diag_aggregator_has_overflowed(const struct diag_aggregator *aggregator) {
    return aggregator->has_overflowed;
}

void diag_aggregator_retire(const struct diag_spec *spec, const struct diag_engine_sink *sink) {
    uint8_t bytes[DIAG_AGGREGATE_SPEC_MAX];
    size_t size = diag_aggregate_put_spec(bytes, spec->id, spec->revision, spec->instrument.name);

    sink->aggregate_retire(sink->context, diag_bytes_make(bytes, size));
}

/* ---- adding ---- */

static bool is_last(const struct diag_aggregator *aggregator, const struct point *point) {
    const struct point *last = &aggregator->last;

    return aggregator->has_handle && last->is_too_long == point->is_too_long &&
           last->size == point->size && memcmp(last->tags, point->tags, point->size) == 0;
}

static enum diag_status open_aggregate(struct diag_aggregator *aggregator,
                                       const struct point *point) {
    struct diag_engine_aggregate which = {
        .is_histogram = aggregator->is_histogram,
        .is_overflow = point->is_too_long,
        .spec = diag_bytes_make(aggregator->spec, aggregator->spec_size),
        .tags = diag_bytes_make(point->tags, point->size),
        .overflow = diag_bytes_make(aggregator->overflow, aggregator->overflow_size),
    };
    const struct diag_engine_sink *sink = aggregator->sink;
    bool is_overflow = false;
    enum diag_status status =
        sink->aggregate_open(sink->context, &which, &aggregator->handle, &is_overflow);

    aggregator->has_handle = status == DIAG_OK;
    if (status != DIAG_OK)
        return status;
    aggregator->last.is_too_long = point->is_too_long;
    aggregator->last.size = point->size;
    memcpy(aggregator->last.tags, point->tags, point->size);
    if (is_overflow)
        aggregator->has_overflowed = true;
    return DIAG_OK;
}

/* A handle goes stale when the sink gets a new place for its aggregates: once more then. */
static enum diag_status add(struct diag_aggregator *aggregator, const struct point *point) {
    const struct diag_engine_sink *sink = aggregator->sink;
    enum diag_status status = DIAG_ERR_NOT_FOUND;

    for (int i = 0; i < 2 && status == DIAG_ERR_NOT_FOUND; i++) {
        if (i > 0 || !is_last(aggregator, point)) {
            status = open_aggregate(aggregator, point);
            if (status != DIAG_OK)
                return status;
        }
        status = sink->aggregate_update(sink->context, aggregator->handle, point->number);
    }
    return status;
}

int diag_aggregator_put_number(struct diag_aggregator *aggregator, double number) {
    struct point point;

    point.number = number;
    point.is_too_long = false;
    point.size = 0;
    return add(aggregator, &point) == DIAG_OK ? 0 : 1;
}

/* ---- out of Python ---- */

/* 1: a number; 0: something else; -1 with an exception. Runs no user code. */
static int number_of(PyObject *object, double *number) {
    if (PyFloat_Check(object)) {
        *number = PyFloat_AS_DOUBLE(object);
        return 1;
    }
    if (!PyLong_Check(object))
        return 0;
    *number = PyLong_AsDouble(object);
    return *number == -1.0 && PyErr_Occurred() ? -1 : 1;
}

static int check_number(const struct diag_aggregator *aggregator, double number) {
    char text[96];

    if (isfinite(number) && (aggregator->is_histogram || number >= 0))
        return 0;
    if (isfinite(number))
        snprintf(text, sizeof text, "%.17g is negative, and a counter only goes up", number);
    else
        snprintf(text, sizeof text, "%s is not a finite number", isnan(number) ? "nan" : "inf");
    PyErr_SetString(PyExc_ValueError, text);
    return -1;
}

/* A single tag may stand for a list of one. */
static int put_tags(struct diag_wire_writer *writer, PyObject *tags) {
    PyObject *list;
    int result;

    if (!PyUnicode_Check(tags))
        return diag_tags_encode(writer, tags);
    list = PyTuple_Pack(1, tags);
    if (list == NULL)
        return -1;
    result = diag_tags_encode(writer, list);
    Py_DECREF(list);
    return result;
}

static void sort_tags(struct point *point, const struct diag_wire_writer *raw) {
    size_t size = 0;

    point->is_too_long =
        raw->has_overflowed ||
        diag_aggregate_sort_tags(diag_bytes_make(raw->start, diag_wire_size(raw)), point->tags,
                                 sizeof point->tags, &size) != DIAG_OK;
    point->size = point->is_too_long ? 0 : (uint16_t)size;
}

static __attribute__((noinline)) int take_tags(struct point *point, PyObject *tags) {
    uint8_t raw[RAW_TAGS_MAX];
    struct diag_wire_writer writer = diag_wire_writer_make(raw, sizeof raw);

    if (put_tags(&writer, tags) < 0)
        return -1;
    sort_tags(point, &writer);
    return 0;
}

/* What a list of values comes to before any of it is added. */
struct points {
    size_t count;
    struct point points[DIAG_AGGREGATOR_VALUES_MAX];
    size_t common_size; /* of the tags expression's tags, which `raw` begins with */
    uint8_t raw[RAW_TAGS_MAX];
};

static int refuse_item(size_t index, PyObject *item) {
    PyErr_Format(PyExc_TypeError,
                 "item %zu: a number or a (number, tags) pair is expected, not %.200s", index,
                 Py_TYPE(item)->tp_name);
    return -1;
}

static int take_pair(const struct diag_aggregator *aggregator, struct points *points,
                     PyObject *pair) {
    struct diag_wire_writer writer = diag_wire_writer_make(points->raw, sizeof points->raw);
    struct point *point = &points->points[points->count];
    PyObject *items = PySequence_Tuple(pair), *number;
    int result = -1;

    if (items == NULL)
        return -1;
    number = PyTuple_GET_SIZE(items) == 2 ? PyTuple_GET_ITEM(items, 0) : items;
    diag_wire_rewind(&writer, points->common_size);
    switch (number_of(number, &point->number)) {
    case 0:
        refuse_item(points->count, pair);
        break;
    case 1:
        result = check_number(aggregator, point->number);
        if (result == 0)
            result = put_tags(&writer, PyTuple_GET_ITEM(items, 1));
        if (result == 0)
            sort_tags(point, &writer);
        break;
    }
    Py_DECREF(items);
    return result;
}

static int take_item(const struct diag_aggregator *aggregator, struct points *points,
                     PyObject *item) {
    struct diag_wire_writer writer = diag_wire_writer_make(points->raw, sizeof points->raw);
    struct point *point = &points->points[points->count];

    if (PyTuple_Check(item) || PyList_Check(item))
        return take_pair(aggregator, points, item);
    switch (number_of(item, &point->number)) {
    case 0:
        return refuse_item(points->count, item);
    case 1:
        diag_wire_rewind(&writer, points->common_size);
        sort_tags(point, &writer);
        return check_number(aggregator, point->number);
    default:
        return -1;
    }
}

static int take_common_tags(struct points *points, PyObject *tags, bool *are_tags_to_blame) {
    struct diag_wire_writer writer = diag_wire_writer_make(points->raw, sizeof points->raw);

    if (tags != NULL && put_tags(&writer, tags) < 0) {
        *are_tags_to_blame = true;
        return -1;
    }
    points->common_size = diag_wire_size(&writer);
    return 0;
}

/* `items`: a tuple, which nobody can change meanwhile. */
static int take_items(const struct diag_aggregator *aggregator, struct points *points,
                      PyObject *items) {
    size_t count = (size_t)PyTuple_GET_SIZE(items);

    if (count > DIAG_AGGREGATOR_VALUES_MAX) {
        PyErr_Format(PyExc_ValueError, "%zu values, at most %d", count, DIAG_AGGREGATOR_VALUES_MAX);
        return -1;
    }
    for (points->count = 0; points->count < count; points->count++)
        if (take_item(aggregator, points, PyTuple_GET_ITEM(items, (Py_ssize_t)points->count)) < 0)
            return -1;
    return 0;
}

static int add_all(struct diag_aggregator *aggregator, const struct points *points) {
    int dropped = 0;

    for (size_t i = 0; i < points->count; i++)
        if (add(aggregator, &points->points[i]) != DIAG_OK)
            dropped++;
    return dropped;
}

static __attribute__((noinline)) int put_list(struct diag_aggregator *aggregator, PyObject *value,
                                              PyObject *tags, const bool *is_active,
                                              bool *are_tags_to_blame) {
    struct points *points;
    PyObject *items;
    int result = -1;

    if (!PyList_Check(value) && !PyTuple_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "a number, or a list of numbers or (number, tags) pairs, is expected, not "
                     "%.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    items = PySequence_Tuple(value);
    if (items == NULL)
        return -1;
    points = PyMem_Malloc(sizeof *points);
    if (points == NULL)
        PyErr_NoMemory();
    else if (take_common_tags(points, tags, are_tags_to_blame) == 0 &&
             take_items(aggregator, points, items) == 0)
        result = *is_active ? add_all(aggregator, points) : 0;
    PyMem_Free(points);
    Py_DECREF(items);
    return result;
}

int diag_aggregator_put(struct diag_aggregator *aggregator, PyObject *value, PyObject *tags,
                        const bool *is_active, bool *are_tags_to_blame) {
    struct point point;

    *are_tags_to_blame = false;
    switch (number_of(value, &point.number)) {
    case 0:
        return put_list(aggregator, value, tags, is_active, are_tags_to_blame);
    case -1:
        return -1;
    }
    if (check_number(aggregator, point.number) < 0)
        return -1;
    if (tags == NULL)
        return diag_aggregator_put_number(aggregator, point.number);
    if (take_tags(&point, tags) < 0) {
        *are_tags_to_blame = true;
        return -1;
    }
    if (!*is_active)
        return 0;
    return add(aggregator, &point) == DIAG_OK ? 0 : 1;
}
