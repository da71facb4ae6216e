/* SPDX-License-Identifier: MIT */
#include "inproc/engine/probe.h"

#include <stddef.h>
#include <stdlib.h>

#include "inproc/engine/hit_clock.h"
#include "inproc/engine/interception.h"

struct diag_probe {
    struct diag_hook hook;
    const struct diag_backend *backend;
    struct diag_backend_coverage coverage;
    PyObject *callable;
    struct diag_action_list *list; /* NULL: empty, not attached */
};

static void call_done(struct diag_call *call) {
    Py_XDECREF(call->code);
    diag_action_list_unref(call->state);
}

/* Reads the clock as the call begins, if anybody wants to know. */
static uint64_t begin(const struct diag_action_list *list, struct diag_call *call) {
    if (list->needs == 0 &&
        (list->clocked_points & (1u << DIAG_POINT_CALL | 1u << DIAG_POINT_INTERCEPT)) == 0)
        return 0;
    call->start_monotonic_ns = diag_hit_clock_monotonic_ns();
    call->start_unix_ns = diag_hit_clock_unix_ns(call->start_monotonic_ns);
    return call->start_unix_ns;
}

static bool enter(struct diag_hook *hook, struct diag_call *call) {
    struct diag_action_list *list = DIAG_CONTAINER_OF(hook, struct diag_probe, hook)->list;
    uint64_t now_unix_ns;

    call->captured_mask = 0;
    call->hotspots = NULL;
    call->result = NULL;
    now_unix_ns = begin(list, call);
    if (list->points == 1u << DIAG_POINT_CALL && list->guarded_points == 0) {
        /* runs nothing that could alter the probe, or that is to be guarded */
        for (size_t i = 0; i < list->count; i++)
            diag_action_fire(list->actions[i], call, now_unix_ns);
        return false;
    }
    list->references++;
    call->state = list;
    Py_XINCREF(call->code);
    if (diag_action_list_has(list, DIAG_POINT_CALL))
        diag_action_list_fire(list, DIAG_POINT_CALL, 0, true, call, now_unix_ns);
    if (!diag_action_list_has(list, DIAG_POINT_RETURN)) {
        call_done(call);
        return false;
    }
    if (diag_action_list_has(list, DIAG_POINT_CALL) && list->needs != 0)
        call->start_monotonic_ns = diag_hit_clock_monotonic_ns(); /* without what has fired */
    return true;
}

/* Reads the clock as the call ends. */
static uint64_t finish(const struct diag_action_list *list, struct diag_call *call) {
    if (list->needs == 0 && (list->clocked_points & 1u << DIAG_POINT_RETURN) == 0)
        return 0;
    call->end_monotonic_ns = diag_hit_clock_monotonic_ns();
    call->end_unix_ns = diag_hit_clock_unix_ns(call->end_monotonic_ns);
    call->active_ns = call->end_monotonic_ns - call->start_monotonic_ns;
    return call->end_unix_ns;
}

static void leave(struct diag_call *call, PyObject *result) {
    struct diag_action_list *list = call->state;
    uint64_t now_unix_ns = finish(list, call);

    call->result = result;
    if (DIAG_LIKELY(result != NULL))
        diag_action_list_fire(list, DIAG_POINT_RETURN, 0, true, call, now_unix_ns);
    else {
        PyObject *exception = diag_py_take_exception();

        diag_action_list_fire_raised(list, true, call, exception, now_unix_ns);
        diag_py_set_exception(exception);
    }
    call_done(call);
}

/* CALL, what the call comes to, RETURN. */
static PyObject *intercept(struct diag_hook *hook, struct diag_call *call) {
    struct diag_action_list *list = DIAG_CONTAINER_OF(hook, struct diag_probe, hook)->list;
    PyObject *code = Py_NewRef((PyObject *)call->code), *result;
    uint64_t now_unix_ns = 0;
    bool has_leave;

    list->references++;
    has_leave = enter(hook, call);
    if (list->clocked_points & 1u << DIAG_POINT_INTERCEPT)
        now_unix_ns = call->start_unix_ns;
    result = diag_interception_run(list, call, now_unix_ns);
    if (has_leave)
        leave(call, result);
    diag_action_list_unref(list);
    Py_DECREF(code);
    return result;
}

static void set_list(struct diag_probe *probe, struct diag_action_list *list) {
    bool intercepts = list != NULL && diag_action_list_has(list, DIAG_POINT_INTERCEPT);

    probe->list = list;
    probe->hook.intercept = intercepts ? intercept : NULL;
}

static void exhausted(struct diag_hook *hook) {
    struct diag_probe *probe = DIAG_CONTAINER_OF(hook, struct diag_probe, hook);
    struct diag_action_list *list = probe->list;

    set_list(probe, NULL);
    for (size_t i = 0; i < list->count; i++)
        diag_action_stop(list->actions[i], DIAG_SPEC_STATE_TRIPPED,
                         "C stack nearly exhausted by recursion");
    diag_action_list_unref(list);
}

enum diag_status diag_probe_new(const struct diag_backend *backend, PyObject *callable,
                                struct diag_probe **out, struct diag_error *err) {
    struct diag_probe *probe = calloc(1, sizeof *probe);

    if (probe == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe");
    probe->hook.enter = enter;
    probe->hook.leave = leave;
    probe->hook.exhausted = exhausted;
    probe->backend = backend;
    probe->callable = Py_NewRef(callable);
    *out = probe;
    return DIAG_OK;
}

void diag_probe_free(struct diag_probe *probe) {
    if (probe == NULL)
        return;
    probe->backend->detach(probe->callable, &probe->hook);
    diag_action_list_unref(probe->list);
    Py_DECREF(probe->callable);
    free(probe);
}

enum diag_status diag_probe_add(struct diag_probe *probe, struct diag_action *action,
                                struct diag_error *err) {
    struct diag_action_list *old = probe->list, *list = diag_action_list_with(old, action);
    enum diag_status status;

    if (list == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe");
    set_list(probe, list);
    if (old == NULL) {
        status = probe->backend->attach(probe->callable, &probe->hook, &probe->coverage, err);
        if (status != DIAG_OK) {
            set_list(probe, NULL);
            diag_action_list_unref(list);
            return status;
        }
    }
    diag_action_list_unref(old);
    return DIAG_OK;
}

void diag_probe_remove(struct diag_probe *probe, struct diag_action *action) {
    struct diag_action_list *old = probe->list, *list;

    action->is_active = false;
    if (old == NULL || !diag_action_list_contains(old, action))
        return; /* tripped meanwhile; the list may be that of a newer action */
    list = diag_action_list_without(old, action);
    if (list == NULL && old->count > 1)
        return; /* out of memory: it stays in the list, and does not fire */
    if (list == NULL)
        probe->backend->detach(probe->callable, &probe->hook);
    set_list(probe, list);
    diag_action_list_unref(old);
}

PyObject *diag_probe_callable(const struct diag_probe *probe) {
    return probe->callable;
}

const struct diag_backend *diag_probe_backend(const struct diag_probe *probe) {
    return probe->backend;
}

bool diag_probe_intercepts(const struct diag_probe *probe) {
    return probe->hook.intercept != NULL;
}

bool diag_probe_is_empty(const struct diag_probe *probe) {
    return probe->list == NULL;
}

const struct diag_backend_coverage *diag_probe_coverage(const struct diag_probe *probe) {
    return &probe->coverage;
}

uint64_t diag_probe_reentrant(const struct diag_probe *probe) {
    return probe->hook.reentrant;
}
