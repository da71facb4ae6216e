/* SPDX-License-Identifier: MIT */
#include "inproc/engine/action.h"

#include <stdio.h>
#include <string.h>

#include "inproc/engine/describe.h"
#include "inproc/engine/encode_value.h"
#include "inproc/engine/hit.h"
#include "inproc/engine/interrupt.h"
#include "inproc/engine/tags.h"
#include "inproc/engine/thread_state.h"
#include "lib/base/clock.h"

#define FIELD_VALUE "instrument.value"
#define FIELD_TAGS "instrument.custom.tags"
#define OVERFLOW_WARNING "more tag sets than fit: the rest is under the tag otel.metric.overflow"
#define ERROR_TEXT_MAX 900 /* leaves room for the field in a status's message */

static enum diag_status build(struct diag_action *action, const struct diag_spec *spec,
                              const struct diag_scope *scope, struct diag_error *err) {
    struct diag_runtime *runtime = action->runtime;
    enum diag_status status;

    status = diag_expression_new(spec->instrument.value, FIELD_VALUE, runtime, scope,
                                 &action->value, err);
    if (status == DIAG_OK && diag_handler_is_none(&action->handler) && diag_aggregator_is_for(spec))
        status = diag_aggregator_new(spec, action->sink, &action->aggregator, err);
    if (status != DIAG_OK)
        return status;
    action->needs = diag_expression_needs(action->value);
    action->arguments = diag_expression_arguments(action->value);
    if (spec->instrument.tags == NULL)
        return DIAG_OK;
    status =
        diag_expression_new(spec->instrument.tags, FIELD_TAGS, runtime, scope, &action->tags, err);
    if (status != DIAG_OK)
        return status;
    action->needs |= diag_expression_needs(action->tags);
    action->arguments |= diag_expression_arguments(action->tags);
    return DIAG_OK;
}

/* What the handler may ask for besides. */
static void add_wants(struct diag_action *action) {
    const struct diag_handler *handler = &action->handler;

    if (handler->wants_namespace)
        action->needs |= DIAG_EXPRESSION_NEEDS_NAMESPACE;
    if (action->point == DIAG_POINT_LINE)
        return;
    if (!handler->wants_arguments && (!handler->wants_namespace || action->point == DIAG_POINT_END))
        return;
    if (action->point != DIAG_POINT_END)
        action->needs |= DIAG_EXPRESSION_NEEDS_GIVEN;
    action->arguments = UINT64_MAX;
}

/* Hits that need nothing evaluated, or not as a Python object. */
static void find_shortcuts(struct diag_action *action) {
    if (action->tags != NULL)
        return;
    action->is_elapsed = diag_expression_is_elapsed(action->value);
    if (action->sink->hit != NULL && action->aggregator == NULL) {
        action->constant = diag_expression_constant(action->value);
        action->is_fetch = diag_expression_is_fetch(action->value);
    }
}

/* What names mean is told in the status of an armed spec, as far as there is room. */
static void note_warnings(struct diag_action *action) {
    const char *value = diag_expression_warning(action->value);
    const char *tags = action->tags == NULL ? "" : diag_expression_warning(action->tags);

    snprintf(action->message, sizeof action->message, "%s%s%s", value,
             *value != '\0' && *tags != '\0' ? "; " : "", tags);
}

enum diag_status diag_action_new(const struct diag_action_context *context,
                                 const struct diag_spec *spec, int line,
                                 const struct diag_scope *scope, PyObject *function, PyObject *self,
                                 struct diag_action **out, struct diag_error *err) {
    DIAG_CLEANUP(diag_action_unrefp) struct diag_action *action = calloc(1, sizeof *action);
    enum diag_status status;

    if (action == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "instrument");
    action->references = 1;
    action->sink = context->sink;
    action->runtime = diag_runtime_ref(context->runtime);
    diag_handler_hold(&action->handler, context->handler);
    action->spec_id = strdup(spec->id);
    if (action->spec_id == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "instrument");
    action->point = action->handler.intercept != NULL ? DIAG_POINT_INTERCEPT : scope->point;
    action->line = line;
    action->function = Py_XNewRef(function);
    action->self = Py_XNewRef(self);
    action->expires_unix_ns = spec->expires_unix_ns;
    action->prefix_size = diag_event_prefix(action->prefix, spec->id, spec->revision);
    action->state = DIAG_SPEC_STATE_ARMED;
    action->is_active = true;
    status = build(action, spec, scope, err);
    if (status != DIAG_OK)
        return status;
    if (diag_handler_is_none(&action->handler)) {
        action->is_clocked = action->aggregator == NULL && action->sink->hit == NULL;
        find_shortcuts(action);
    } else {
        action->is_clocked = spec->expires_unix_ns != 0;
        add_wants(action);
    }
    note_warnings(action);
    *out = DIAG_TAKE_PTR(action);
    return DIAG_OK;
}

struct diag_action *diag_action_ref(struct diag_action *action) {
    action->references++;
    return action;
}

void diag_action_unref(struct diag_action *action) {
    if (action == NULL || --action->references > 0)
        return;
    diag_expression_free(action->value);
    diag_expression_free(action->tags);
    diag_aggregator_free(action->aggregator);
    Py_XDECREF(action->function);
    Py_XDECREF(action->self);
    diag_handler_drop(&action->handler);
    diag_runtime_unref(action->runtime);
    free(action->spec_id);
    free(action);
}

static void tell_change(const struct diag_action *action) {
    if (action->sink->status_changed != NULL)
        action->sink->status_changed(action->sink->context);
}

void diag_action_stop(struct diag_action *action, enum diag_spec_state state, const char *message) {
    if (!action->is_active)
        return;
    action->is_active = false;
    action->is_unreported = true;
    action->state = state;
    snprintf(action->message, sizeof action->message, "%s", message == NULL ? "" : message);
    tell_change(action);
}

static void emit(struct diag_action *action, const struct diag_wire_writer *writer, bool is_kept) {
    struct diag_bytes event = diag_bytes_make(writer->start, diag_wire_size(writer));

    if (writer->has_overflowed ||
        action->sink->emit(action->sink->context, event, is_kept) != DIAG_OK)
        action->dropped++;
}

static void begin(struct diag_action *action, struct diag_wire_writer *writer,
                  enum diag_event_kind kind, uint64_t now_unix_ns) {
    diag_event_begin(writer, diag_bytes_make(action->prefix, action->prefix_size), kind,
                     now_unix_ns, diag_thread_state_get()->thread_id);
}

/* The expression raised: takes the exception, and stops the action. */
static __attribute__((noinline)) void fail(struct diag_action *action, const char *field,
                                           uint64_t now_unix_ns) {
    char text[ERROR_TEXT_MAX], message[DIAG_SPEC_STATUS_MESSAGE_MAX];
    uint8_t event[2 * ERROR_TEXT_MAX];
    struct diag_wire_writer writer = diag_wire_writer_make(event, sizeof event);

    /* A second Ctrl-C in the same instrument is no coincidence: it raises the thing itself. */
    if (diag_interrupt_take(!action->was_interrupted)) {
        action->was_interrupted = true;
        action->dropped++;
        return;
    }
    diag_describe_exception(text, sizeof text);
    if (!action->is_active)
        return;
    action->errors++;
    if (now_unix_ns == 0)
        now_unix_ns = diag_clock_unix_ns();
    begin(action, &writer, DIAG_EVENT_KIND_ERROR, now_unix_ns);
    diag_event_put_error(&writer, diag_bytes_from_text(text));
    emit(action, &writer, true);
    snprintf(message, sizeof message, "%s: %s", field, text);
    diag_action_stop(action, DIAG_SPEC_STATE_FAILED, message);
}

/* Tags go first: they are the smaller part, and the value fits itself into what is left. */
static __attribute__((noinline)) void encode_and_emit(struct diag_action *action, PyObject *value,
                                                      PyObject *tags, uint64_t now_unix_ns) {
    uint8_t event[DIAG_EVENT_MAX];
    struct diag_wire_writer writer = diag_wire_writer_make(event, sizeof event);

    begin(action, &writer, DIAG_EVENT_KIND_HIT, now_unix_ns);
    if (tags != NULL && diag_tags_encode(&writer, tags) < 0) {
        fail(action, FIELD_TAGS, now_unix_ns);
        return;
    }
    if (!diag_encode_value(&writer, DIAG_EVENT_FIELD_VALUE, value))
        writer.has_overflowed = true;
    if (!action->is_active)
        return;
    action->hits++;
    emit(action, &writer, false);
}

/* Says once in the status that tag sets were lumped together. */
static void count_added(struct diag_action *action, int dropped) {
    action->hits++;
    action->dropped += (uint64_t)dropped;
    if (!diag_aggregator_has_overflowed(action->aggregator) || action->message[0] != '\0')
        return;
    snprintf(action->message, sizeof action->message, "%s", OVERFLOW_WARNING);
    tell_change(action);
}

static __attribute__((noinline)) void aggregate(struct diag_action *action, PyObject *value,
                                                PyObject *tags, uint64_t now_unix_ns) {
    bool are_tags_to_blame;
    int dropped = diag_aggregator_put(action->aggregator, value, tags, &action->is_active,
                                      &are_tags_to_blame);

    if (dropped < 0)
        fail(action, are_tags_to_blame ? FIELD_TAGS : FIELD_VALUE, now_unix_ns);
    else if (action->is_active)
        count_added(action, dropped);
}

/* The instrument that is used most, without a Python object. */
static void emit_elapsed(struct diag_action *action, double elapsed_s, uint64_t now_unix_ns) {
    uint8_t event[DIAG_EVENT_PREFIX_MAX + DIAG_EVENT_SCALAR_MAX];
    struct diag_wire_writer writer = diag_wire_writer_make(event, sizeof event);

    begin(action, &writer, DIAG_EVENT_KIND_HIT, now_unix_ns);
    diag_value_put_float(&writer, DIAG_EVENT_FIELD_VALUE, elapsed_s);
    action->hits++;
    emit(action, &writer, false);
}

/* An object that needed the program's code at a hit takes the proof back. */
static bool is_pure(const struct diag_expression *expression) {
    return diag_expression_is_pure(expression) && diag_expression_fallbacks(expression) == 0;
}

bool diag_action_is_pure(const struct diag_action *action) {
    return is_pure(action->value) && (action->tags == NULL || is_pure(action->tags));
}

/* NULL: it raised, which has been seen to, or a name has no value. */
static PyObject *evaluate(struct diag_action *action, const struct diag_expression *expression,
                          const char *field, const struct diag_call *call, uint64_t now_unix_ns) {
    PyObject *value = diag_expression_evaluate(expression, call);

    if (DIAG_LIKELY(value != NULL))
        return value;
    if (PyErr_Occurred())
        fail(action, field, now_unix_ns);
    else
        action->skips[DIAG_SKIP_UNBOUND]++;
    return NULL;
}

static void deliver(struct diag_action *action, PyObject *value, PyObject *tags,
                    uint64_t now_unix_ns) {
    if (!action->is_active) /* stopped meanwhile, and the sink may be gone with its engine */
        return;
    if (action->aggregator != NULL)
        aggregate(action, value, tags, now_unix_ns);
    else if (action->sink->hit == NULL)
        encode_and_emit(action, value, tags, now_unix_ns);
    else {
        action->hits++;
        action->sink->hit(action->sink->context, action->spec_id, value, tags);
    }
}

static __attribute__((noinline)) void
fire_elapsed(struct diag_action *action, const struct diag_call *call, uint64_t now_unix_ns) {
    double elapsed_s = diag_call_elapsed_s(call);
    PyObject *value;

    if (action->aggregator != NULL) {
        count_added(action, diag_aggregator_put_number(action->aggregator, elapsed_s));
    } else if (action->sink->hit == NULL) {
        emit_elapsed(action, elapsed_s, now_unix_ns);
    } else {
        value = PyFloat_FromDouble(elapsed_s);
        if (value == NULL)
            fail(action, FIELD_VALUE, now_unix_ns);
        else
            deliver(action, value, NULL, now_unix_ns);
        Py_XDECREF(value);
    }
}

static __attribute__((noinline)) bool is_instance(const struct diag_action *action,
                                                  const struct diag_call *call) {
    PyObject *first = call->self != NULL ? Py_NewRef(call->self) : diag_call_argument(call, 0);
    bool is_same = first == action->self;

    PyErr_Clear();
    Py_XDECREF(first);
    return is_same;
}

/* True if the call is one of the function and the instance that the action is for. */
static inline bool is_meant(const struct diag_action *action, const struct diag_call *call) {
    if (action->function != NULL && call->frame != NULL &&
        diag_py_frame_function(call->frame) != action->function)
        return false;
    return action->self == NULL || is_instance(action, call);
}

static inline bool is_due(struct diag_action *action, const struct diag_call *call,
                          uint64_t now_unix_ns) {
    if (!action->is_active)
        return false;
    if (now_unix_ns != 0 && action->expires_unix_ns != 0 &&
        now_unix_ns >= action->expires_unix_ns) {
        diag_action_stop(action, DIAG_SPEC_STATE_EXPIRED, NULL);
        return false;
    }
    if (!is_meant(action, call)) {
        action->skips[DIAG_SKIP_FILTERED]++;
        return false;
    }
    return true;
}

bool diag_action_is_due(struct diag_action *action, const struct diag_call *call,
                        uint64_t now_unix_ns) {
    return is_due(action, call, now_unix_ns);
}

static __attribute__((noinline)) void
fire_evaluated(struct diag_action *action, const struct diag_call *call, uint64_t now_unix_ns) {
    PyObject *value = evaluate(action, action->value, FIELD_VALUE, call, now_unix_ns);
    PyObject *tags = NULL;

    if (value == NULL)
        return;
    if (action->tags != NULL) {
        tags = evaluate(action, action->tags, FIELD_TAGS, call, now_unix_ns);
        if (tags == NULL) {
            Py_DECREF(value);
            return;
        }
    }
    deliver(action, value, tags, now_unix_ns);
    Py_DECREF(value);
    Py_XDECREF(tags);
}

/* What needs a stack frame of some size is not inlined: the shortest hits would pay for it. */
void diag_action_fire(struct diag_action *action, const struct diag_call *call,
                      uint64_t now_unix_ns) {
    PyObject *value;

    if (!is_due(action, call, now_unix_ns))
        return;
    if (action->constant != NULL) {
        action->hits++;
        action->sink->hit(action->sink->context, action->spec_id, action->constant, NULL);
    } else if (action->is_elapsed) {
        fire_elapsed(action, call, now_unix_ns);
    } else if (action->is_fetch && (value = diag_expression_borrow(action->value, call)) != NULL) {
        action->hits++;
        action->sink->hit(action->sink->context, action->spec_id, value, NULL);
    } else if (action->handler.fire != NULL) {
        diag_hit_fire(action, call);
    } else {
        fire_evaluated(action, call, now_unix_ns);
    }
}
