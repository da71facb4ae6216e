/* SPDX-License-Identifier: MIT */
#include "inproc/engine/probe.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "inproc/engine/hit_clock.h"
#include "inproc/engine/interrupt.h"
#include "inproc/engine/thread_state.h"

/* Recursion levels that an instrument has when the target has used up its own. */
#define RECURSION_CREDIT 64

/* Never altered: a new list takes its place, calls in flight keep theirs. */
struct action_list {
    size_t references;
    size_t count;
    unsigned needs;
    bool has_call, has_return;
    struct diag_action *actions[];
};

struct diag_probe {
    struct diag_hook hook;
    const struct diag_backend *backend;
    PyObject *function;
    struct action_list *list; /* NULL: empty, not attached */
};

static struct action_list *list_new(size_t capacity) {
    struct action_list *list = calloc(1, sizeof *list + capacity * sizeof *list->actions);

    if (list != NULL)
        list->references = 1;
    return list;
}

static void list_append(struct action_list *list, struct diag_action *action) {
    list->actions[list->count++] = diag_action_ref(action);
    list->needs |= action->needs;
    if (action->is_return)
        list->has_return = true;
    else
        list->has_call = true;
}

static bool list_contains(const struct action_list *list, const struct diag_action *action) {
    for (size_t i = 0; i < list->count; i++)
        if (list->actions[i] == action)
            return true;
    return false;
}

static void list_unref(struct action_list *list) {
    if (list == NULL || --list->references > 0)
        return;
    for (size_t i = 0; i < list->count; i++)
        diag_action_unref(list->actions[i]);
    free(list);
}

static void fire(struct action_list *list, struct diag_call *call, bool is_return,
                 uint64_t now_unix_ns) {
    PyThreadState *thread = PyThreadState_Get();
    bool is_traced = diag_py_is_traced(thread);

    diag_thread_state.is_in_probe = true;
    diag_py_credit_recursion(thread, RECURSION_CREDIT);
    if (is_traced)
        PyThreadState_EnterTracing(thread);
    for (size_t i = 0; i < list->count; i++)
        if (list->actions[i]->is_return == is_return)
            diag_action_fire(list->actions[i], call, now_unix_ns);
    if (is_traced)
        PyThreadState_LeaveTracing(thread);
    diag_py_credit_recursion(thread, -RECURSION_CREDIT);
    diag_thread_state.is_in_probe = false;
    diag_interrupt_deliver();
}

static void call_done(struct diag_call *call) {
    Py_DECREF(call->code);
    list_unref(call->state);
}

static bool enter(struct diag_hook *hook, struct diag_call *call) {
    struct action_list *list = DIAG_CONTAINER_OF(hook, struct diag_probe, hook)->list;

    list->references++;
    call->state = list;
    Py_INCREF(call->code);
    call->result = NULL;
    if (list->has_call || list->needs != 0) {
        call->start_monotonic_ns = diag_hit_clock_monotonic_ns();
        call->start_unix_ns = diag_hit_clock_unix_ns(call->start_monotonic_ns);
    }
    if (list->has_call)
        fire(list, call, false, call->start_unix_ns);
    if (!list->has_return) {
        call_done(call);
        return false;
    }
    if (list->has_call && (list->needs & DIAG_EXPRESSION_NEEDS_ELAPSED))
        call->start_monotonic_ns = diag_hit_clock_monotonic_ns(); /* without what has fired */
    return true;
}

struct exception_links {
    PyObject *traceback, *context, *cause;
    char suppress_context;
};

static struct exception_links links_of(PyBaseExceptionObject *exception) {
    struct exception_links links = {
        Py_XNewRef(exception->traceback),
        Py_XNewRef(exception->context),
        Py_XNewRef(exception->cause),
        exception->suppress_context,
    };

    return links;
}

/* An expression that raised the target's exception again has altered it. */
static void links_restore(PyBaseExceptionObject *exception, struct exception_links links) {
    exception->suppress_context = links.suppress_context;
    Py_XSETREF(exception->traceback, links.traceback);
    Py_XSETREF(exception->context, links.context);
    Py_XSETREF(exception->cause, links.cause);
}

static void leave_raised(struct action_list *list, struct diag_call *call) {
    PyObject *type, *value, *traceback;
    struct exception_links links;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    links = links_of((PyBaseExceptionObject *)value);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    call->result = value;
    fire(list, call, true, call->end_unix_ns);
    links_restore((PyBaseExceptionObject *)value, links);
    PyErr_Restore(type, value, traceback);
}

static void leave(struct diag_call *call, PyObject *result) {
    struct action_list *list = call->state;

    call->end_monotonic_ns = diag_hit_clock_monotonic_ns();
    call->end_unix_ns = diag_hit_clock_unix_ns(call->end_monotonic_ns);
    call->result = result;
    if (result != NULL)
        fire(list, call, true, call->end_unix_ns);
    else
        leave_raised(list, call);
    call_done(call);
}

static void exhausted(struct diag_hook *hook) {
    struct diag_probe *probe = DIAG_CONTAINER_OF(hook, struct diag_probe, hook);
    struct action_list *list = probe->list;

    probe->list = NULL;
    for (size_t i = 0; i < list->count; i++)
        diag_action_stop(list->actions[i], DIAG_SPEC_STATE_TRIPPED,
                         "C stack nearly exhausted by recursion");
    list_unref(list);
}

enum diag_status diag_probe_new(const struct diag_backend *backend, PyObject *function,
                                struct diag_probe **out, struct diag_error *err) {
    struct diag_probe *probe = calloc(1, sizeof *probe);

    if (probe == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe");
    probe->hook.enter = enter;
    probe->hook.leave = leave;
    probe->hook.exhausted = exhausted;
    probe->backend = backend;
    probe->function = Py_NewRef(function);
    *out = probe;
    return DIAG_OK;
}

void diag_probe_free(struct diag_probe *probe) {
    if (probe == NULL)
        return;
    probe->backend->detach(probe->function, &probe->hook);
    list_unref(probe->list);
    Py_DECREF(probe->function);
    free(probe);
}

enum diag_status diag_probe_add(struct diag_probe *probe, struct diag_action *action,
                                struct diag_error *err) {
    struct action_list *old = probe->list, *list = list_new(old == NULL ? 1 : old->count + 1);
    struct diag_backend_coverage coverage;
    enum diag_status status;

    if (list == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe");
    for (size_t i = 0; old != NULL && i < old->count; i++)
        list_append(list, old->actions[i]);
    list_append(list, action);
    probe->list = list;
    if (old == NULL) {
        status = probe->backend->attach(probe->function, &probe->hook, &coverage, err);
        if (status != DIAG_OK) {
            probe->list = NULL;
            list_unref(list);
            return status;
        }
    }
    list_unref(old);
    return DIAG_OK;
}

void diag_probe_remove(struct diag_probe *probe, struct diag_action *action) {
    struct action_list *old = probe->list, *list;

    action->is_active = false;
    if (old == NULL || !list_contains(old, action))
        return; /* tripped meanwhile; the list may be that of a newer action */
    list = old->count == 1 ? NULL : list_new(old->count - 1);
    if (list == NULL && old->count > 1)
        return; /* out of memory: it stays in the list, and does not fire */
    for (size_t i = 0; list != NULL && i < old->count; i++)
        if (old->actions[i] != action)
            list_append(list, old->actions[i]);
    if (list == NULL)
        probe->backend->detach(probe->function, &probe->hook);
    probe->list = list;
    list_unref(old);
}

PyObject *diag_probe_function(const struct diag_probe *probe) {
    return probe->function;
}

bool diag_probe_is_empty(const struct diag_probe *probe) {
    return probe->list == NULL;
}
