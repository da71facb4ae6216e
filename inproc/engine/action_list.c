/* SPDX-License-Identifier: MIT */
#include "inproc/engine/action_list.h"

#include <stdlib.h>

#include "inproc/engine/guard.h"

/* What only those can know that saw the call begin. */
#define NEEDS_START                                                                                \
    (DIAG_EXPRESSION_NEEDS_START | DIAG_EXPRESSION_NEEDS_ELAPSED | DIAG_EXPRESSION_NEEDS_ACTIVE |  \
     DIAG_EXPRESSION_NEEDS_HOTSPOTS)

static struct diag_action_list *list_new(size_t capacity) {
    struct diag_action_list *list = calloc(1, sizeof *list + capacity * sizeof list->actions[0]);

    if (list != NULL)
        list->references = 1;
    return list;
}

static void append(struct diag_action_list *list, struct diag_action *action) {
    list->actions[list->count++] = diag_action_ref(action);
    list->points |= 1u << action->point;
    list->needs |= action->needs;
    if ((action->needs & NEEDS_START) &&
        (action->point == DIAG_POINT_RETURN || action->point == DIAG_POINT_END))
        list->needs_start = true;
    if (action->is_clocked)
        list->clocked_points |= 1u << action->point;
    if (!diag_action_is_plain(action))
        list->guarded_points |= 1u << action->point;
    if (action->point == DIAG_POINT_RETURN || action->point == DIAG_POINT_END)
        list->arguments |= action->arguments;
    if (action->self != NULL && action->point != DIAG_POINT_CALL)
        list->arguments |= 1;
}

struct diag_action_list *diag_action_list_with(const struct diag_action_list *old,
                                               struct diag_action *action) {
    size_t count = old == NULL ? 0 : old->count;
    struct diag_action_list *list = list_new(count + 1);

    for (size_t i = 0; list != NULL && i < count; i++)
        append(list, old->actions[i]);
    if (list != NULL)
        append(list, action);
    return list;
}

struct diag_action_list *diag_action_list_without(const struct diag_action_list *old,
                                                  const struct diag_action *action) {
    struct diag_action_list *list = old->count == 1 ? NULL : list_new(old->count - 1);

    for (size_t i = 0; list != NULL && i < old->count; i++)
        if (old->actions[i] != action)
            append(list, old->actions[i]);
    return list;
}

bool diag_action_list_contains(const struct diag_action_list *list,
                               const struct diag_action *action) {
    for (size_t i = 0; i < list->count; i++)
        if (list->actions[i] == action)
            return true;
    return false;
}

void diag_action_list_free(struct diag_action_list *list) {
    for (size_t i = 0; i < list->count; i++)
        diag_action_unref(list->actions[i]);
    free(list);
}

static bool is_due(const struct diag_action *action, enum diag_point point, int line) {
    return action->point == point && (point != DIAG_POINT_LINE || action->line == line);
}

static inline void fire_due(struct diag_action_list *list, enum diag_point point, int line,
                            bool has_start, const struct diag_call *call, uint64_t now_unix_ns) {
    for (size_t i = 0; i < list->count; i++) {
        struct diag_action *action = list->actions[i];

        if (!is_due(action, point, line))
            continue;
        if (DIAG_LIKELY(has_start || (action->needs & NEEDS_START) == 0))
            diag_action_fire(action, call, now_unix_ns);
        else
            action->skips[DIAG_SKIP_IN_FLIGHT]++;
    }
}

void diag_action_list_fire(struct diag_action_list *list, enum diag_point point, int line,
                           bool has_start, const struct diag_call *call, uint64_t now_unix_ns) {
    struct diag_guard guard;

    if ((list->guarded_points & 1u << point) == 0) {
        fire_due(list, point, line, has_start, call, now_unix_ns);
        return;
    }
    guard = diag_guard_begin();
    fire_due(list, point, line, has_start, call, now_unix_ns);
    diag_guard_end(guard);
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

void diag_action_list_fire_raised(struct diag_action_list *list, bool has_start,
                                  struct diag_call *call, PyObject *exception,
                                  uint64_t now_unix_ns) {
    struct exception_links links = links_of((PyBaseExceptionObject *)exception);

    call->result = exception;
    if (diag_action_list_has(list, DIAG_POINT_END))
        diag_action_list_fire(list, DIAG_POINT_END, 0, has_start, call, now_unix_ns);
    if (diag_action_list_has(list, DIAG_POINT_RETURN))
        diag_action_list_fire(list, DIAG_POINT_RETURN, 0, has_start, call, now_unix_ns);
    links_restore((PyBaseExceptionObject *)exception, links);
}
