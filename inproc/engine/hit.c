/* SPDX-License-Identifier: MIT */
#include "inproc/engine/hit.h"

#include "inproc/engine/interrupt.h"

void diag_hit_count(struct diag_action *action, enum diag_hit_outcome outcome) {
    switch (outcome) {
    case DIAG_HIT_FIRED:
        action->hits++;
        break;
    case DIAG_HIT_UNBOUND:
        action->skips[DIAG_SKIP_UNBOUND]++;
        break;
    case DIAG_HIT_DROPPED:
        action->dropped++;
        break;
    case DIAG_HIT_FAILED:
        action->errors++;
        break;
    }
}

void diag_hit_fire(struct diag_action *action, const struct diag_call *call) {
    enum diag_hit_outcome outcome = DIAG_HIT_FIRED;
    const struct diag_hit hit = {action, call, &outcome};

    action->handler.fire(action->handler.object, &hit);
    diag_hit_count(action, outcome);
}

/* True if the exception that is set is not the instrument's, and has been taken. */
static bool take_interrupt(const struct diag_hit *hit) {
    /* A second Ctrl-C in the same instrument is no coincidence: it raises the thing itself. */
    if (!PyErr_Occurred() || !diag_interrupt_take(!hit->action->was_interrupted))
        return false;
    hit->action->was_interrupted = true;
    *hit->outcome = DIAG_HIT_DROPPED;
    return true;
}

bool diag_hit_count_error(const struct diag_hit *hit) {
    if (take_interrupt(hit))
        return false;
    *hit->outcome = DIAG_HIT_FAILED;
    return true;
}

static PyObject *evaluate(const struct diag_hit *hit, const struct diag_expression *expression) {
    PyObject *value = diag_expression_evaluate(expression, hit->call);

    if (DIAG_LIKELY(value != NULL) || take_interrupt(hit))
        return value;
    if (!PyErr_Occurred() && *hit->outcome == DIAG_HIT_FIRED)
        *hit->outcome = DIAG_HIT_UNBOUND;
    return NULL;
}

PyObject *diag_hit_value(const struct diag_hit *hit) {
    return evaluate(hit, hit->action->value);
}

bool diag_hit_has_tags(const struct diag_hit *hit) {
    return hit->action->tags != NULL;
}

PyObject *diag_hit_tags(const struct diag_hit *hit) {
    return hit->action->tags == NULL ? NULL : evaluate(hit, hit->action->tags);
}

PyObject *diag_hit_namespace(const struct diag_hit *hit) {
    const struct diag_action *action = hit->action;

    return diag_runtime_namespace(action->runtime, action->point, hit->call,
                                  action->handler.globals,
                                  action->needs & DIAG_EXPRESSION_NEEDS_HOTSPOTS);
}

int diag_hit_arguments(const struct diag_hit *hit, PyObject **args, PyObject **kwargs) {
    PyObject *positional = diag_call_positional(hit->call);
    PyObject *keywords = positional == NULL ? NULL : diag_call_keywords(hit->call);

    if (keywords == NULL) {
        Py_XDECREF(positional);
        return -1;
    }
    *args = positional;
    *kwargs = keywords;
    return 0;
}

bool diag_handler_is_same(const struct diag_handler *a, const struct diag_handler *b) {
    return a->object == b->object && a->globals == b->globals && a->callable == b->callable &&
           a->wants_arguments == b->wants_arguments && a->wants_namespace == b->wants_namespace &&
           a->fire == b->fire && a->intercept == b->intercept;
}

void diag_handler_hold(struct diag_handler *to, const struct diag_handler *from) {
    static const struct diag_handler none;

    *to = from == NULL ? none : *from;
    Py_XINCREF(to->object);
    Py_XINCREF(to->globals);
    Py_XINCREF(to->callable);
}

void diag_handler_drop(struct diag_handler *handler) {
    Py_CLEAR(handler->object);
    Py_CLEAR(handler->globals);
    Py_CLEAR(handler->callable);
}
