/* SPDX-License-Identifier: MIT */
/* How it works: the observer asks for no more than the actions need. A start is of interest to CALL
 * actions, and where something has to be noted for the end: then there is an activation between the
 * two, which also keeps the actions that the call began with: those that came later are skipped.
 * Without one, the actions at the end are those of that moment.
 *
 * An argument that the code rebinds is captured at the start if a RETURN action may read it. */
#include "inproc/engine/frame_probe.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "inproc/engine/activation.h"
#include "inproc/engine/code_facts.h"
#include "inproc/engine/hit_clock.h"

/* To the code of a function that is attached to: the probe's, the caller's, and those of the first
 * action's expressions. */
static Py_ssize_t code_references(const struct diag_action *action) {
    return action->tags == NULL ? 3 : 4;
}

struct diag_frame_probe {
    struct diag_observer observer;
    size_t references; /* the owner's, and one while a CALL action runs */
    const struct diag_observer_backend *backend;
    struct diag_observer_coverage coverage;
    PyCodeObject *code;
    uint64_t rebound;              /* arguments that the code binds anew */
    struct diag_action_list *list; /* NULL: empty, not attached */
    struct diag_activation_table activations;
};

static struct diag_frame_probe *probe_of(struct diag_observer *observer) {
    return DIAG_CONTAINER_OF(observer, struct diag_frame_probe, observer);
}

static void begin_call(struct diag_call *call, diag_py_frame *frame) {
    call->callable = call->self = call->kwnames = call->names = call->result = NULL;
    call->code = diag_py_frame_code(frame);
    call->globals = diag_py_frame_globals(frame);
    call->args = NULL;
    call->arg_count = 0;
    call->frame = frame;
    call->locals = diag_py_frame_locals(frame);
    call->captured_mask = 0;
    call->hotspots = NULL;
}

static uint64_t captured_arguments(const struct diag_frame_probe *probe,
                                   const struct diag_action_list *list) {
    return probe->rebound & list->arguments & ~(UINT64_C(1) << 63);
}

static bool is_activation_needed(const struct diag_frame_probe *probe,
                                 const struct diag_action_list *list) {
    return list->needs_start || captured_arguments(probe, list) != 0;
}

/* The code may take items out of its **kwargs. */
static PyObject *argument_to_keep(const struct diag_call *call, int index) {
    bool is_kwargs =
        (call->code->co_flags & CO_VARKEYWORDS) && index == diag_py_argument_count(call->code) - 1;
    PyObject *value = diag_call_argument(call, index);

    if (is_kwargs && value != NULL && PyDict_CheckExact(value)) {
        int was_on = diag_py_pause_gc(); /* whose finalisers might free the probe */

        Py_SETREF(value, PyDict_Copy(value));
        diag_py_resume_gc(was_on);
    }
    PyErr_Clear();
    return value;
}

/* Without memory the arguments are read at the end. */
static void capture(struct diag_activation *activation, diag_py_frame *frame, uint64_t mask) {
    PyObject **captured = malloc((size_t)__builtin_popcountll(mask) * sizeof *activation->captured);
    struct diag_call call;
    int count = 0;

    if (captured == NULL)
        return;
    begin_call(&call, frame);
    for (uint64_t left = mask; left != 0; left &= left - 1)
        captured[count++] = argument_to_keep(&call, __builtin_ctzll(left));
    activation->captured = captured;
    activation->captured_mask = mask;
}

static void note_start(struct diag_frame_probe *probe, struct diag_activation *activation,
                       struct diag_action_list *list, diag_py_frame *frame) {
    uint64_t mask = captured_arguments(probe, list);

    list->references++;
    activation->list = list;
    if (DIAG_UNLIKELY(mask != 0))
        capture(activation, frame, mask);
    if (list->needs & DIAG_EXPRESSION_NEEDS_HOTSPOTS)
        activation->hotspots = diag_hotspots_new(probe->code);
    activation->start_monotonic_ns = activation->resumed_monotonic_ns =
        diag_hit_clock_monotonic_ns();
}

/* The last that the caller does with the probe: freeing what a vanished frame left may run
 * finalisers, and those may free the probe. */
static void activate(struct diag_frame_probe *probe, struct diag_action_list *list,
                     diag_py_frame *frame) {
    struct diag_activation left;
    struct diag_activation *activation = diag_activation_add(&probe->activations, frame, &left);

    if (activation != NULL) /* else a skip at the end */
        note_start(probe, activation, list, frame);
    if (DIAG_UNLIKELY(left.frame != NULL))
        diag_activation_done(&left);
}

static void fire_call(struct diag_action_list *list, diag_py_frame *frame) {
    struct diag_call call;
    uint64_t now_unix_ns = 0;

    begin_call(&call, frame);
    if (list->needs != 0 || (list->clocked_points & 1u << DIAG_POINT_CALL)) {
        call.start_monotonic_ns = diag_hit_clock_monotonic_ns();
        call.start_unix_ns = now_unix_ns = diag_hit_clock_unix_ns(call.start_monotonic_ns);
    }
    diag_action_list_fire(list, DIAG_POINT_CALL, 0, true, &call, now_unix_ns);
}

static void unref(struct diag_frame_probe *probe) {
    if (--probe->references > 0)
        return;
    free(probe->observer.lines);
    Py_XDECREF(probe->observer.function); /* if it could not be attached */
    Py_DECREF(probe->code);
    free(probe);
}

static void started(struct diag_observer *observer, diag_py_frame *frame) {
    struct diag_frame_probe *probe = probe_of(observer);
    struct diag_action_list *list = probe->list;

    if (!diag_action_list_has(list, DIAG_POINT_CALL)) {
        activate(probe, list, frame);
        return;
    }
    list->references++;
    probe->references++;
    fire_call(list, frame);
    if (probe->list == list && is_activation_needed(probe, list)) /* not altered meanwhile */
        activate(probe, list, frame);
    unref(probe);
    diag_action_list_unref(list);
}

/* Fills in what the activation knows. */
static void recall(struct diag_call *call, struct diag_activation *activation, uint64_t now_ns) {
    call->start_monotonic_ns = activation->start_monotonic_ns;
    call->start_unix_ns = diag_hit_clock_unix_ns(activation->start_monotonic_ns);
    call->active_ns = activation->active_ns;
    if (activation->resumed_monotonic_ns != 0)
        call->active_ns += now_ns - activation->resumed_monotonic_ns;
    call->hotspots = activation->hotspots;
    call->captured_mask = activation->captured_mask;
    call->captured = activation->captured;
}

static uint64_t read_end(const struct diag_action_list *list, struct diag_call *call) {
    if (list->needs == 0 &&
        (list->clocked_points & (1u << DIAG_POINT_RETURN | 1u << DIAG_POINT_END)) == 0) {
        call->end_monotonic_ns = 0;
        return 0;
    }
    call->end_monotonic_ns = diag_hit_clock_monotonic_ns();
    call->end_unix_ns = diag_hit_clock_unix_ns(call->end_monotonic_ns);
    return call->end_unix_ns;
}

/* END before RETURN: the one looks into the frame, for the other it is over. */
static void fire_end(struct diag_action_list *list, bool has_start, struct diag_call *call,
                     PyObject *result, PyObject *exception, uint64_t now_unix_ns) {
    if (exception != NULL) {
        diag_action_list_fire_raised(list, has_start, call, exception, now_unix_ns);
        return;
    }
    call->result = result;
    if (diag_action_list_has(list, DIAG_POINT_END))
        diag_action_list_fire(list, DIAG_POINT_END, 0, has_start, call, now_unix_ns);
    if (diag_action_list_has(list, DIAG_POINT_RETURN))
        diag_action_list_fire(list, DIAG_POINT_RETURN, 0, has_start, call, now_unix_ns);
}

/* The actions that came after the call had begun. */
static void skip_newer(const struct diag_action_list *now, const struct diag_action_list *then) {
    for (size_t i = 0; i < now->count; i++) {
        struct diag_action *action = now->actions[i];

        if ((action->point == DIAG_POINT_RETURN || action->point == DIAG_POINT_END) &&
            !diag_action_list_contains(then, action))
            action->skips[DIAG_SKIP_IN_FLIGHT]++;
    }
}

static void finish(struct diag_frame_probe *probe, diag_py_frame *frame, PyObject *result,
                   PyObject *exception) {
    struct diag_action_list *list = probe->list;
    struct diag_activation activation;
    uint64_t now_unix_ns;
    struct diag_call call;

    begin_call(&call, frame);
    if (diag_activation_take(&probe->activations, frame, &activation)) {
        if (DIAG_UNLIKELY(activation.list != list))
            skip_newer(list, activation.list);
        now_unix_ns = read_end(activation.list, &call);
        if (activation.hotspots != NULL)
            diag_hotspots_end(activation.hotspots, call.end_monotonic_ns);
        recall(&call, &activation, call.end_monotonic_ns);
        fire_end(activation.list, true, &call, result, exception, now_unix_ns);
        diag_activation_done(&activation);
        return;
    }
    list->references++;
    now_unix_ns = read_end(list, &call);
    fire_end(list, false, &call, result, exception, now_unix_ns);
    diag_action_list_unref(list);
}

static void returned(struct diag_observer *observer, diag_py_frame *frame, PyObject *result) {
    finish(probe_of(observer), frame, result, NULL);
}

static void raised(struct diag_observer *observer, diag_py_frame *frame, PyObject *exception) {
    finish(probe_of(observer), frame, NULL, exception);
}

static void suspended(struct diag_observer *observer, diag_py_frame *frame) {
    struct diag_activation *activation =
        diag_activation_find(&probe_of(observer)->activations, frame);
    uint64_t now_ns;

    if (activation == NULL || activation->resumed_monotonic_ns == 0)
        return;
    now_ns = diag_hit_clock_monotonic_ns();
    activation->active_ns += now_ns - activation->resumed_monotonic_ns;
    activation->resumed_monotonic_ns = 0;
    if (activation->hotspots != NULL)
        diag_hotspots_pause(activation->hotspots, now_ns);
}

static void resumed(struct diag_observer *observer, diag_py_frame *frame) {
    struct diag_activation *activation =
        diag_activation_find(&probe_of(observer)->activations, frame);

    if (activation == NULL)
        return;
    activation->resumed_monotonic_ns = diag_hit_clock_monotonic_ns();
    if (activation->hotspots != NULL)
        diag_hotspots_resume(activation->hotspots, activation->resumed_monotonic_ns);
}

/* `self`: the first argument, if the code rebinds it. */
static void fire_line(struct diag_action_list *list, diag_py_frame *frame, int line,
                      PyObject *self) {
    struct diag_call call;
    uint64_t now_unix_ns = 0;

    begin_call(&call, frame);
    if (self != NULL) {
        call.captured_mask = 1;
        call.captured = &self;
    }
    call.start_monotonic_ns = call.end_monotonic_ns = call.active_ns = 0;
    if (list->needs != 0 || (list->clocked_points & 1u << DIAG_POINT_LINE))
        now_unix_ns = diag_hit_clock_unix_ns(diag_hit_clock_monotonic_ns());
    call.start_unix_ns = call.end_unix_ns = now_unix_ns;
    list->references++;
    diag_action_list_fire(list, DIAG_POINT_LINE, line, true, &call, now_unix_ns);
    diag_action_list_unref(list);
}

static bool is_fired_at(const struct diag_observer *observer, int line) {
    for (size_t i = 0; i < observer->line_count; i++)
        if (observer->lines[i] == line)
            return true;
    return false;
}

static void line_reached(struct diag_observer *observer, diag_py_frame *frame, int line) {
    struct diag_frame_probe *probe = probe_of(observer);
    struct diag_activation *activation = NULL;

    if (observer->events & DIAG_OBSERVE_START)
        activation = diag_activation_find(&probe->activations, frame);
    if (activation != NULL && activation->hotspots != NULL)
        diag_hotspots_line(activation->hotspots, line, diag_hit_clock_monotonic_ns());
    if ((observer->events & DIAG_OBSERVE_LINES) == 0 || is_fired_at(observer, line)) {
        PyObject *self = activation != NULL && (activation->captured_mask & 1)
                             ? Py_XNewRef(activation->captured[0])
                             : NULL;

        fire_line(probe->list, frame, line, self);
        Py_XDECREF(self);
    }
}

/* What the observer has to ask for; false: out of memory. */
static bool work_out_events(const struct diag_frame_probe *probe,
                            const struct diag_action_list *list, struct diag_observer *out) {
    bool is_generator = diag_py_is_generator(probe->code);

    out->events = 0;
    out->line_count = 0;
    out->lines = calloc(list->count, sizeof *out->lines);
    if (out->lines == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (list->actions[i]->point == DIAG_POINT_LINE && !is_fired_at(out, list->actions[i]->line))
            out->lines[out->line_count++] = list->actions[i]->line;
    for (size_t i = 1; i < out->line_count; i++) /* few: insertion sort */
        for (size_t j = i; j > 0 && out->lines[j - 1] > out->lines[j]; j--) {
            int line = out->lines[j];

            out->lines[j] = out->lines[j - 1];
            out->lines[j - 1] = line;
        }
    if (diag_action_list_has(list, DIAG_POINT_RETURN) || diag_action_list_has(list, DIAG_POINT_END))
        out->events |= DIAG_OBSERVE_RETURN | DIAG_OBSERVE_RAISE;
    if (diag_action_list_has(list, DIAG_POINT_CALL) || is_activation_needed(probe, list))
        out->events |= DIAG_OBSERVE_START;
    if (is_activation_needed(probe, list)) /* it has an end, too */
        out->events |= DIAG_OBSERVE_RETURN | DIAG_OBSERVE_RAISE;
    if (list->needs & DIAG_EXPRESSION_NEEDS_HOTSPOTS)
        out->events |= DIAG_OBSERVE_LINES;
    if (is_generator &&
        (list->needs & (DIAG_EXPRESSION_NEEDS_ACTIVE | DIAG_EXPRESSION_NEEDS_HOTSPOTS)))
        out->events |= DIAG_OBSERVE_SUSPEND;
    return true;
}

enum diag_status diag_frame_probe_new(const struct diag_observer_backend *backend,
                                      PyCodeObject *code, struct diag_frame_probe **out,
                                      struct diag_error *err) {
    struct diag_frame_probe *probe = calloc(1, sizeof *probe);

    if (probe == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe");
    probe->references = 1;
    probe->observer.start = started;
    probe->observer.returned = returned;
    probe->observer.raised = raised;
    probe->observer.suspended = suspended;
    probe->observer.resumed = resumed;
    probe->observer.line = line_reached;
    probe->backend = backend;
    probe->code = (PyCodeObject *)Py_NewRef((PyObject *)code);
    probe->rebound = diag_code_rebound_arguments(code);
    *out = probe;
    return DIAG_OK;
}

/* Leaves the code alone. */
static void empty(struct diag_frame_probe *probe) {
    struct diag_action_list *list = probe->list;

    if (list == NULL)
        return;
    probe->backend->detach(probe->code, &probe->observer);
    probe->list = NULL;
    Py_CLEAR(probe->observer.function);
    diag_activation_table_done(&probe->activations);
    diag_action_list_unref(list);
}

void diag_frame_probe_free(struct diag_frame_probe *probe) {
    if (probe == NULL)
        return;
    empty(probe);
    unref(probe);
}

static bool asks_for_the_same(const struct diag_observer *a, const struct diag_observer *b) {
    return a->events == b->events && a->line_count == b->line_count &&
           (a->line_count == 0 ||
            memcmp(a->lines, b->lines, a->line_count * sizeof *a->lines) == 0);
}

/* Attaches, or tells the backend of other wishes. Takes `wanted->lines` on success. */
static enum diag_status tell_backend(struct diag_frame_probe *probe,
                                     const struct diag_observer *wanted, bool is_attached,
                                     struct diag_error *err) {
    struct diag_observer *observer = &probe->observer;
    unsigned old_events = observer->events;
    int *old_lines = observer->lines;
    size_t old_line_count = observer->line_count;
    enum diag_status status;

    observer->events = wanted->events;
    observer->lines = wanted->lines;
    observer->line_count = wanted->line_count;
    status = is_attached ? probe->backend->update(probe->code, observer, err)
                         : probe->backend->attach(probe->code, observer, &probe->coverage, err);
    if (status == DIAG_OK) {
        free(old_lines);
        return DIAG_OK;
    }
    observer->events = old_events;
    observer->lines = old_lines;
    observer->line_count = old_line_count;
    return status;
}

static enum diag_status set_list(struct diag_frame_probe *probe, struct diag_action_list *list,
                                 struct diag_error *err) {
    struct diag_action_list *old = probe->list;
    struct diag_observer wanted;
    enum diag_status status = DIAG_OK;

    if (!work_out_events(probe, list, &wanted))
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe");
    probe->list = list;
    if (old != NULL && asks_for_the_same(&wanted, &probe->observer)) /* an update is dear */
        free(wanted.lines);
    else
        status = tell_backend(probe, &wanted, old != NULL, err);
    if (status != DIAG_OK) {
        probe->list = old;
        free(wanted.lines);
    } else if (!is_activation_needed(probe, list)) { /* nothing would take them */
        diag_activation_table_done(&probe->activations);
    }
    return status;
}

enum diag_status diag_frame_probe_add(struct diag_frame_probe *probe, struct diag_action *action,
                                      PyObject *function, struct diag_error *err) {
    struct diag_action_list *old = probe->list, *list = diag_action_list_with(old, action);
    enum diag_status status;

    if (list == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe");
    if (old == NULL) {
        Py_XSETREF(probe->observer.function, Py_XNewRef(function));
        probe->observer.references = code_references(action);
    }
    status = set_list(probe, list, err);
    diag_action_list_unref(status == DIAG_OK ? old : list);
    return status;
}

void diag_frame_probe_remove(struct diag_frame_probe *probe, struct diag_action *action) {
    struct diag_action_list *old = probe->list, *list;
    struct diag_error error;

    action->is_active = false;
    if (old == NULL || !diag_action_list_contains(old, action))
        return;
    list = diag_action_list_without(old, action);
    if (list != NULL) { /* if that fails, it stays in the list, and does not fire */
        enum diag_status status = set_list(probe, list, &error);

        diag_action_list_unref(status == DIAG_OK ? old : list);
        return;
    }
    if (old->count == 1)
        empty(probe);
}

PyCodeObject *diag_frame_probe_code(const struct diag_frame_probe *probe) {
    return probe->code;
}

bool diag_frame_probe_is_empty(const struct diag_frame_probe *probe) {
    return probe->list == NULL;
}

const struct diag_observer_coverage *
diag_frame_probe_coverage(const struct diag_frame_probe *probe) {
    return &probe->coverage;
}

uint64_t diag_frame_probe_reentrant(const struct diag_frame_probe *probe) {
    return probe->observer.reentrant;
}
