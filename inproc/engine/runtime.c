/* SPDX-License-Identifier: MIT */
#include "inproc/engine/runtime.h"

#include <stdlib.h>

#include <datetime.h>

#include "inproc/engine/describe.h"
#include "inproc/engine/frame_view.h"
#include "inproc/engine/hotspots.h"
#include "inproc/engine/namespace.h"
#include "lib/base/clock.h"

#define SECONDS_PER_DAY 86400

static const char *const context_names[DIAG_CONTEXT_COUNT] = {
    "start", "now", "args", "kwargs", "frame", "active", "result", "end", "elapsed", "hotspots",
};

static int fill(struct diag_runtime *runtime) {
    for (int i = 0; i < DIAG_CONTEXT_COUNT; i++) {
        runtime->names[i] = PyUnicode_InternFromString(context_names[i]);
        if (runtime->names[i] == NULL)
            return -1;
    }
    runtime->datetime = PyCapsule_Import(PyDateTime_CAPSULE_NAME, 0);
    if (runtime->datetime == NULL)
        return -1;
    runtime->frame_view_type = diag_frame_view_type_new();
    runtime->namespace_type = diag_namespace_type_new();
    return runtime->frame_view_type == NULL || runtime->namespace_type == NULL ? -1 : 0;
}

enum diag_status diag_runtime_new(struct diag_runtime **out, struct diag_error *err) {
    struct diag_runtime *runtime = calloc(1, sizeof *runtime);

    if (runtime == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe engine");
    runtime->references = 1;
    if (fill(runtime) < 0) {
        char reason[256];

        diag_describe_exception(reason, sizeof reason);
        diag_runtime_unref(runtime);
        return diag_error_set(err, DIAG_ERR_UNAVAILABLE, 0, "probe engine: %s", reason);
    }
    *out = runtime;
    return DIAG_OK;
}

struct diag_runtime *diag_runtime_ref(struct diag_runtime *runtime) {
    runtime->references++;
    return runtime;
}

void diag_runtime_unref(struct diag_runtime *runtime) {
    if (runtime == NULL || --runtime->references > 0)
        return;
    for (int i = 0; i < DIAG_CONTEXT_COUNT; i++)
        Py_XDECREF(runtime->names[i]);
    Py_XDECREF(runtime->frame_view_type);
    Py_XDECREF(runtime->namespace_type);
    free(runtime);
}

/* The end of the names that there are at `point`. */
static int name_count(enum diag_point point) {
    switch (point) {
    case DIAG_POINT_CALL:
    case DIAG_POINT_LINE:
    case DIAG_POINT_INTERCEPT:
        return DIAG_CONTEXT_ACTIVE;
    case DIAG_POINT_END:
        return DIAG_CONTEXT_HOTSPOTS;
    case DIAG_POINT_RETURN:
        break;
    }
    return DIAG_CONTEXT_COUNT;
}

int diag_runtime_context_name(const struct diag_runtime *runtime, enum diag_point point,
                              PyObject *name) {
    for (int i = 0; i < name_count(point); i++)
        if (name == runtime->names[i] || PyUnicode_Compare(name, runtime->names[i]) == 0)
            return i;
    return -1;
}

const char *diag_runtime_points_of(const struct diag_runtime *runtime, PyObject *name) {
    int index = diag_runtime_context_name(runtime, DIAG_POINT_RETURN, name);

    if (index < name_count(DIAG_POINT_CALL))
        return NULL;
    return index < name_count(DIAG_POINT_END) ? "return and end" : "return";
}

static PyObject *seconds(uint64_t nanoseconds) {
    return PyFloat_FromDouble((double)nanoseconds / (double)DIAG_NS_PER_S);
}

/* What datetime.utcnow() gives, without its DeprecationWarning of 3.12. The calendar is worked
 * out here, as gmtime_r takes a lock. Days are counted in years that begin in March, so that leap
 * days come last; see "chrono-Compatible Low-Level Date Algorithms" by Howard Hinnant. */
static PyObject *utc_datetime(const struct diag_runtime *runtime, uint64_t unix_ns) {
    PyDateTime_CAPI *api = runtime->datetime;
    uint64_t unix_s = unix_ns / DIAG_NS_PER_S;
    unsigned second_of_day = (unsigned)(unix_s % SECONDS_PER_DAY);
    unsigned days = (unsigned)(unix_s / SECONDS_PER_DAY) + 719468; /* since 0000-03-01 */
    unsigned era = days / 146097, day_of_era = days % 146097;
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (5 * day_of_year + 2) / 153;
    unsigned day = day_of_year - (153 * march_month + 2) / 5 + 1;
    unsigned month = march_month < 10 ? march_month + 3 : march_month - 9;
    unsigned year = year_of_era + era * 400 + (month <= 2);

    return api->DateTime_FromDateAndTime(
        (int)year, (int)month, (int)day, (int)(second_of_day / 3600),
        (int)(second_of_day / 60 % 60), (int)(second_of_day % 60),
        (int)(unix_ns % DIAG_NS_PER_S / 1000), Py_None, api->DateTimeType);
}

static PyObject *hotspots(const struct diag_call *call) {
    if (call->hotspots != NULL)
        return diag_hotspots_object(call->hotspots, call->code, call->globals);
    PyErr_SetString(PyExc_RuntimeError, "hotspots were not measured");
    return NULL;
}

PyObject *diag_runtime_context_value(const struct diag_runtime *runtime, enum diag_point point,
                                     const struct diag_call *call, enum diag_context_name name) {
    switch (name) {
    case DIAG_CONTEXT_START:
        return seconds(call->start_unix_ns);
    case DIAG_CONTEXT_NOW:
        return utc_datetime(runtime, call->start_unix_ns);
    case DIAG_CONTEXT_ARGS:
        return diag_call_positional(call);
    case DIAG_CONTEXT_KWARGS:
        return diag_call_keywords(call);
    case DIAG_CONTEXT_FRAME:
        return diag_frame_view_new(runtime->frame_view_type, point, call);
    case DIAG_CONTEXT_ACTIVE:
        return seconds(call->active_ns);
    case DIAG_CONTEXT_RESULT:
        return Py_NewRef(call->result);
    case DIAG_CONTEXT_END:
        return seconds(call->end_unix_ns);
    case DIAG_CONTEXT_ELAPSED:
        return PyFloat_FromDouble(diag_call_elapsed_s(call));
    case DIAG_CONTEXT_HOTSPOTS:
        return hotspots(call);
    case DIAG_CONTEXT_COUNT:
        break;
    }
    PyErr_BadInternalCall();
    return NULL;
}

/* Puts the names from `first` up to `end`. */
static int put_context(const struct diag_runtime *runtime, enum diag_point point,
                       const struct diag_call *call, PyObject *dict, int first, int end) {
    for (int i = first; i < end; i++) {
        PyObject *value =
            diag_runtime_context_value(runtime, point, call, (enum diag_context_name)i);
        int failed = value == NULL || PyDict_SetItem(dict, runtime->names[i], value) < 0;
        Py_XDECREF(value);
        if (failed)
            return -1;
    }
    return 0;
}

static PyObject *outer_namespace(const struct diag_runtime *runtime, enum diag_point point,
                                 const struct diag_call *call, PyObject *handler_globals,
                                 bool has_hotspots) {
    PyObject *names = PyDict_New(), *arguments = diag_call_arguments(call), *namespace = NULL;
    PyObject *const fallbacks[DIAG_NAMESPACE_FALLBACKS] = {handler_globals, call->globals};
    int count = name_count(point) - (point == DIAG_POINT_RETURN && !has_hotspots);
    int hidden_count = count < DIAG_CONTEXT_RESULT ? count : DIAG_CONTEXT_RESULT;

    if (names != NULL && arguments != NULL &&
        put_context(runtime, point, call, names, 0, hidden_count) == 0 &&
        PyDict_Update(names, arguments) == 0 &&
        put_context(runtime, point, call, names, hidden_count, count) == 0)
    namespace = diag_namespace_new(runtime->namespace_type, names, fallbacks);
    Py_XDECREF(names);
    Py_XDECREF(arguments);
    return namespace;
}

static PyObject *inner_namespace(const struct diag_runtime *runtime, enum diag_point point,
                                 const struct diag_call *call, PyObject *handler_globals) {
    PyObject *context = PyDict_New(), *variables = diag_call_locals(call), *namespace = NULL;
    PyObject *const fallbacks[DIAG_NAMESPACE_FALLBACKS] = {handler_globals, call->globals,
                                                           diag_call_builtins(call), context};

    if (context != NULL && variables != NULL &&
        put_context(runtime, point, call, context, 0, name_count(point)) == 0)
    namespace = diag_namespace_new(runtime->namespace_type, variables, fallbacks);
    Py_XDECREF(context);
    Py_XDECREF(variables);
    return namespace;
}

PyObject *diag_runtime_namespace(const struct diag_runtime *runtime, enum diag_point point,
                                 const struct diag_call *call, PyObject *handler_globals,
                                 bool has_hotspots) {
    if (point == DIAG_POINT_END || point == DIAG_POINT_LINE)
        return inner_namespace(runtime, point, call, handler_globals);
    return outer_namespace(runtime, point, call, handler_globals, has_hotspots);
}

PyObject *diag_runtime_globals(const struct diag_runtime *runtime, PyObject *handler_globals,
                               PyObject *globals, PyObject *builtins) {
    PyObject *const fallbacks[DIAG_NAMESPACE_FALLBACKS] = {handler_globals, globals, builtins};
    PyObject *names = Py_BuildValue("{sO}", "__builtins__", builtins), *namespace = NULL;

    if (names != NULL)
    namespace = diag_namespace_new(runtime->namespace_type, names, fallbacks);
    Py_XDECREF(names);
    return namespace;
}
