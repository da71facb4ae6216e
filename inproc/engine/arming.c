/* SPDX-License-Identifier: MIT */
/* How it works: calls are seen from inside where the instrument looks inside (END, LINE, hotspots),
 * where the function is known by its code only, and where the return of a generator or coroutine is
 * asked for. Otherwise `is_seen_inside` decides between the two. */
#include "inproc/engine/arming.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inproc/engine/c_callable.h"
#include "inproc/engine/c_signature.h"
#include "inproc/engine/inject.h"

#if PY_VERSION_HEX >= 0x030C0000
static const struct diag_observer_backend *const observer_backend =
    &diag_observer_backend_monitoring;
#else
static const struct diag_observer_backend *const observer_backend =
    &diag_observer_backend_injection;
#endif

/* Functions of one name or line need not have the same variables: each code has its action. */
struct attachment {
    struct diag_action *action;
    struct diag_probe *probe; /* one of these two */
    struct diag_frame_probe *frame_probe;
    uint64_t reentrant_before; /* what the probe had counted by then */
};

struct diag_arming {
    PyObject *function; /* what it was armed for: the references are owned */
    PyObject *callable;
    PyObject *self;
    PyCodeObject *codes[DIAG_TARGET_CODES_MAX]; /* of the function, or the target's */
    size_t code_count;
    bool is_written; /* the function as written, not the outermost one */
    bool is_either;  /* its calls can be seen from inside, and from outside ... */
    bool is_inside;  /* ... and are seen from here */
    struct attachment attachments[DIAG_TARGET_CODES_MAX];
    size_t attachment_count;
};

enum diag_point diag_arming_point(const struct diag_spec *spec, int *line) {
    enum diag_spec_event event = DIAG_SPEC_EVENT_RETURN;
    struct diag_error error;

    *line = 0;
    if (diag_spec_event_parse(spec->instrument.event, &event, line, &error) != DIAG_OK)
        return DIAG_POINT_RETURN;
    switch (event) {
    case DIAG_SPEC_EVENT_CALL:
        return DIAG_POINT_CALL;
    case DIAG_SPEC_EVENT_RETURN:
        return DIAG_POINT_RETURN;
    case DIAG_SPEC_EVENT_END:
        return DIAG_POINT_END;
    case DIAG_SPEC_EVENT_LINE:
        return DIAG_POINT_LINE;
    }
    return DIAG_POINT_RETURN;
}

static PyCodeObject *code_of(PyObject *function) {
    return diag_injection_original(diag_py_code(function));
}

/* Takes the reference to the action. */
static enum diag_status attach_callable(struct diag_arming *arming, struct diag_probe_set *set,
                                        const struct diag_backend *backend, PyObject *callable,
                                        struct diag_action *action, struct diag_error *err) {
    struct attachment attachment = {.action = action};
    enum diag_status status =
        diag_probe_set_of_callable(set, backend, callable, &attachment.probe, err);

    if (status == DIAG_OK) {
        status = diag_probe_add(attachment.probe, action, err);
        if (status == DIAG_OK) {
            attachment.reentrant_before = diag_probe_reentrant(attachment.probe);
            set->interception_changes += action->point == DIAG_POINT_INTERCEPT;
            arming->attachments[arming->attachment_count++] = attachment;
            return DIAG_OK;
        }
        diag_probe_set_drop(set, attachment.probe);
    }
    diag_action_unref(action);
    return status;
}

/* Takes the reference to the action. */
static enum diag_status attach_code(struct diag_arming *arming, struct diag_probe_set *set,
                                    PyCodeObject *code, PyObject *function,
                                    struct diag_action *action, struct diag_error *err) {
    struct attachment attachment = {.action = action};
    enum diag_status status =
        diag_probe_set_of_code(set, observer_backend, code, &attachment.frame_probe, err);

    if (status == DIAG_OK) {
        status = diag_frame_probe_add(attachment.frame_probe, action, function, err);
        if (status == DIAG_OK) {
            attachment.reentrant_before = diag_frame_probe_reentrant(attachment.frame_probe);
            arming->attachments[arming->attachment_count++] = attachment;
            return DIAG_OK;
        }
        diag_probe_set_drop_frame(set, attachment.frame_probe);
    }
    diag_action_unref(action);
    return status;
}

static void detach_all(struct diag_arming *arming, struct diag_probe_set *set) {
    while (arming->attachment_count > 0) {
        struct attachment attachment = arming->attachments[--arming->attachment_count];

        if (attachment.probe != NULL) {
            diag_probe_remove(attachment.probe, attachment.action);
            set->interception_changes += attachment.action->point == DIAG_POINT_INTERCEPT;
            diag_probe_set_drop(set, attachment.probe);
        } else {
            diag_frame_probe_remove(attachment.frame_probe, attachment.action);
            diag_probe_set_drop_frame(set, attachment.frame_probe);
        }
        diag_action_unref(attachment.action);
    }
}

void diag_arming_free(struct diag_arming *arming, struct diag_probe_set *set) {
    if (arming == NULL)
        return;
    detach_all(arming, set);
    Py_XDECREF(arming->function);
    Py_XDECREF(arming->callable);
    Py_XDECREF(arming->self);
    for (size_t i = 0; i < arming->code_count; i++)
        Py_DECREF(arming->codes[i]);
    free(arming);
}

static void note_code(struct diag_arming *arming, PyCodeObject *code) {
    arming->codes[arming->code_count++] = (PyCodeObject *)Py_NewRef((PyObject *)code);
}

/* From where calls of a function are seen. No choice for what looks inside. On 3.12 and later
 * sys.monitoring is the way that the interpreter itself offers; from outside comes only what needs
 * the arguments exactly as they were given, or what callers get where calls are intercepted. On
 * 3.11 seeing from inside takes new bytecode, for the same price; from outside the code stays. */
enum side { SIDE_OUTSIDE, SIDE_INSIDE, SIDE_EITHER };

static enum side side_of(const struct diag_action *action, PyCodeObject *code) {
    if (action->point == DIAG_POINT_INTERCEPT)
        return SIDE_OUTSIDE;
    if (action->point == DIAG_POINT_END || action->point == DIAG_POINT_LINE ||
        (action->needs & DIAG_EXPRESSION_NEEDS_HOTSPOTS))
        return SIDE_INSIDE;
    if (diag_py_is_generator(code))
        return action->point == DIAG_POINT_RETURN ? SIDE_INSIDE : SIDE_OUTSIDE;
#if PY_VERSION_HEX >= 0x030C0000
    return (action->needs & DIAG_EXPRESSION_NEEDS_GIVEN) == 0 ? SIDE_EITHER : SIDE_OUTSIDE;
#else
    return SIDE_OUTSIDE;
#endif
}

/* Chooses where SIDE_EITHER leaves the choice. */
static bool is_seen_inside(struct diag_arming *arming, const struct diag_probe_set *probes,
                           const struct diag_action *action, PyCodeObject *code) {
    enum side side = side_of(action, code);

    arming->is_either = side == SIDE_EITHER;
    arming->is_inside =
        side == SIDE_INSIDE ||
        (side == SIDE_EITHER && !diag_probe_set_intercepts(probes, arming->function));
    return arming->is_inside;
}

bool diag_arming_is_in_place(const struct diag_arming *arming,
                             const struct diag_probe_set *probes) {
    return !arming->is_either ||
           arming->is_inside == !diag_probe_set_intercepts(probes, arming->function);
}

/* Says why something cannot be intercepted. */
static enum diag_status check_interception(const struct diag_target *target, enum diag_point point,
                                           struct diag_error *err) {
    if (point != DIAG_POINT_CALL)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "instrument.event: only calls can be intercepted: it must be call");
    if (target->code_count > 0)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "target: names code within functions, whose calls cannot be "
                              "intercepted");
    if (target->callable != NULL)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "target: is implemented in C: its calls cannot be intercepted");
    return DIAG_OK;
}

static struct diag_scope scope_of(const struct diag_arming_context *context,
                                  enum diag_point point) {
    return (struct diag_scope){.point = point, .handler_globals = context->action.handler->globals};
}

static void set_function(struct diag_scope *scope, PyObject *function) {
    scope->code = code_of(function);
    scope->globals = ((PyFunctionObject *)function)->func_globals;
}

/* Injection replaces the code of functions; one whose code the program has put aside and back
 * meanwhile, injected as it was, has none that can be replaced. */
static enum diag_status check_is_seen(const struct diag_arming *arming, struct diag_error *err) {
#if PY_VERSION_HEX < 0x030C0000
    const struct diag_frame_probe *probe = arming->attachments[0].frame_probe;

    if (diag_frame_probe_coverage(probe)->functions == 0)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "target: has bytecode of a former probe, which the program kept");
#else
    (void)arming;
    (void)err;
#endif
    return DIAG_OK;
}

static enum diag_status arm_function(struct diag_arming *arming,
                                     const struct diag_arming_context *context,
                                     const struct diag_spec *spec, const struct diag_target *target,
                                     enum diag_point point, int line, struct diag_error *err) {
    bool is_inside = point == DIAG_POINT_END || point == DIAG_POINT_LINE;
    PyObject *function = is_inside || target->function == NULL ? target->written : target->function;
    struct diag_scope scope = scope_of(context, point);
    DIAG_CLEANUP(diag_action_unrefp) struct diag_action *action = NULL;
    enum diag_status status;

    scope.is_inside = is_inside;
    set_function(&scope, function);
    status =
        diag_action_new(&context->action, spec, line, &scope, function, target->self, &action, err);
    if (status == DIAG_OK && !is_inside &&
        is_seen_inside(arming, context->probes, action, scope.code)) {
        if (action->needs & DIAG_EXPRESSION_NEEDS_HOTSPOTS)
            function = target->written;
        diag_action_unref(DIAG_TAKE_PTR(action));
        scope.is_inside = true;
        set_function(&scope, function);
        status = diag_action_new(&context->action, spec, line, &scope, function, target->self,
                                 &action, err);
    }
    if (status != DIAG_OK)
        return status;
    note_code(arming, scope.code);
    arming->is_written = function == target->written;
    if (scope.is_inside) {
        status =
            attach_code(arming, context->probes, scope.code, function, DIAG_TAKE_PTR(action), err);
        return status == DIAG_OK ? check_is_seen(arming, err) : status;
    }
    return attach_callable(arming, context->probes, &diag_backend_type_swap, function,
                           DIAG_TAKE_PTR(action), err);
}

static enum diag_status arm_codes(struct diag_arming *arming,
                                  const struct diag_arming_context *context,
                                  const struct diag_spec *spec, const struct diag_target *target,
                                  enum diag_point point, int line, struct diag_error *err) {
    enum diag_status status = DIAG_OK;

    for (size_t i = 0; status == DIAG_OK && i < target->code_count; i++) {
        struct diag_scope scope = scope_of(context, point);
        struct diag_action *action = NULL;

        scope.is_inside = true;
        scope.code = target->codes[i];
        scope.globals = target->globals;
        note_code(arming, target->codes[i]);
        status =
            diag_action_new(&context->action, spec, line, &scope, NULL, target->self, &action, err);
        if (status == DIAG_OK)
            status = attach_code(arming, context->probes, target->codes[i], NULL, action, err);
    }
    return status;
}

static enum diag_status arm_callable(struct diag_arming *arming,
                                     const struct diag_arming_context *context,
                                     const struct diag_spec *spec, const struct diag_target *target,
                                     enum diag_point point, struct diag_error *err) {
    struct diag_scope scope = scope_of(context, point);
    struct diag_action *action = NULL;
    struct diag_c_callable callable;
    PyObject *names;
    enum diag_status status = diag_c_classify(target->callable, &callable, err);

    if (status != DIAG_OK)
        return status;
    names = diag_c_signature(target->callable,
                             callable.kind == DIAG_C_KIND_DEFINITION && !callable.is_self_hidden);
    scope.names = names;
    status = diag_action_new(&context->action, spec, 0, &scope, NULL, target->self, &action, err);
    Py_XDECREF(names);
    if (status != DIAG_OK)
        return status;
    if (action->needs & DIAG_EXPRESSION_NEEDS_HOTSPOTS) {
        diag_action_unref(action);
        if (target->written != NULL) /* has lines */
            return arm_function(arming, context, spec, target, point, 0, err);
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "target: is implemented in C: it has no lines for hotspots");
    }
    return attach_callable(arming, context->probes, &diag_backend_c, target->callable, action, err);
}

static enum diag_status arm(struct diag_arming *arming, const struct diag_arming_context *context,
                            const struct diag_spec *spec, const struct diag_target *target,
                            struct diag_error *err) {
    int line;
    enum diag_point point = diag_arming_point(spec, &line);
    enum diag_status status = DIAG_OK;

    if (point == DIAG_POINT_LINE) {
        PyCodeObject *written = target->written == NULL ? NULL : code_of(target->written);

        status = target->code_count > 0
                     ? diag_target_check_line(target->codes, target->code_count, line, err)
                     : diag_target_check_line(&written, 1, line, err);
    }
    if (status == DIAG_OK && context->action.handler->intercept != NULL)
        status = check_interception(target, point, err);
    if (status != DIAG_OK)
        return status;
    if (target->code_count > 0)
        return arm_codes(arming, context, spec, target, point, line, err);
    if (target->callable != NULL && (point == DIAG_POINT_CALL || point == DIAG_POINT_RETURN))
        return arm_callable(arming, context, spec, target, point, err);
    return arm_function(arming, context, spec, target, point, line, err);
}

enum diag_status diag_arming_new(const struct diag_arming_context *context,
                                 const struct diag_spec *spec, const struct diag_target *target,
                                 struct diag_arming **out, struct diag_error *err) {
    struct diag_arming *arming = calloc(1, sizeof *arming);
    enum diag_status status;

    if (arming == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe");
    arming->function = Py_XNewRef(target->function);
    arming->callable = Py_XNewRef(target->callable);
    arming->self = Py_XNewRef(target->self);
    *context->making = arming;
    status = arm(arming, context, spec, target, err);
    *context->making = NULL;
    if (status != DIAG_OK) {
        diag_arming_free(arming, context->probes);
        return status;
    }
    *out = arming;
    return DIAG_OK;
}

bool diag_arming_is_for(const struct diag_arming *arming, const struct diag_target *target,
                        const struct diag_probe_set *probes) {
    if (!diag_arming_is_in_place(arming, probes) || arming->function != target->function ||
        arming->callable != target->callable || arming->self != target->self)
        return false;
    if (target->code_count == 0)
        return arming->code_count == 0 ||
               arming->codes[0] == code_of(arming->is_written ? target->written : target->function);
    if (arming->code_count != target->code_count)
        return false;
    for (size_t i = 0; i < target->code_count; i++)
        if (arming->codes[i] != target->codes[i])
            return false;
    return true;
}

enum diag_spec_state diag_arming_state(const struct diag_arming *arming, const char **message) {
    const struct diag_action *action = arming->attachments[0].action;

    for (size_t i = 0; i < arming->attachment_count; i++)
        if (arming->attachments[i].action->state != DIAG_SPEC_STATE_ARMED)
            action = arming->attachments[i].action;
    *message = action->message;
    return action->state;
}

void diag_arming_silence(struct diag_arming *arming) {
    for (size_t i = 0; i < arming->attachment_count; i++)
        arming->attachments[i].action->is_active = false;
}

void diag_arming_set_expiry(struct diag_arming *arming, uint64_t expires_unix_ns) {
    for (size_t i = 0; i < arming->attachment_count; i++)
        arming->attachments[i].action->expires_unix_ns = expires_unix_ns;
}

/* Events that the probe left out while an instrument ran, of whichever spec. */
static uint64_t reentrant(const struct attachment *attachment) {
    return attachment->probe != NULL ? diag_probe_reentrant(attachment->probe)
                                     : diag_frame_probe_reentrant(attachment->frame_probe);
}

void diag_arming_reset_counts(struct diag_arming *arming) {
    for (size_t i = 0; i < arming->attachment_count; i++) {
        struct diag_action *action = arming->attachments[i].action;

        action->hits = action->errors = action->dropped = 0;
        memset(action->skips, 0, sizeof action->skips);
        arming->attachments[i].reentrant_before = reentrant(&arming->attachments[i]);
    }
}

/* Adds a reason to the text, once. */
static void add_excluded(struct diag_spec_status *status, const char *reason) {
    size_t size = strlen(status->excluded);

    if (*reason == '\0' || strstr(status->excluded, reason) != NULL)
        return;
    snprintf(status->excluded + size, sizeof status->excluded - size, "%s%s", size == 0 ? "" : "; ",
             reason);
}

#define CLOSED_SILENTLY "generators that are closed while they are suspended (gh-140373)"
#define NEVER_BEGUN "calls that never begin since their arguments do not fit"

static void add_coverage(const struct attachment *attachment, struct diag_spec_status *status) {
    enum diag_point point = attachment->action->point;
    const char *mechanism;

    if (attachment->probe != NULL) {
        const struct diag_backend_coverage *coverage = diag_probe_coverage(attachment->probe);

        mechanism = coverage->mechanism;
        status->functions++;
        add_excluded(status, coverage->excluded);
    } else {
        const struct diag_observer_coverage *coverage =
            diag_frame_probe_coverage(attachment->frame_probe);

        mechanism = observer_backend->name;
        /* others that share the code are not meant */
        status->functions += attachment->action->function != NULL ? 1 : coverage->functions;
        status->codes++;
        add_excluded(status, coverage->excluded);
        if (point == DIAG_POINT_CALL || point == DIAG_POINT_RETURN)
            add_excluded(status, NEVER_BEGUN);
        if (point != DIAG_POINT_CALL && point != DIAG_POINT_LINE &&
            diag_py_closes_silently(diag_frame_probe_code(attachment->frame_probe)))
            add_excluded(status, CLOSED_SILENTLY);
    }
    snprintf(status->mechanism, sizeof status->mechanism, "%s", mechanism);
}

static void add_counts(const struct attachment *attachment, struct diag_spec_status *status) {
    const struct diag_action *action = attachment->action;

    status->hits += action->hits;
    status->errors += action->errors;
    status->dropped += action->dropped;
    for (int i = 0; i < DIAG_SKIP_COUNT; i++)
        status->skips[i] += action->skips[i];
    status->skips[DIAG_SKIP_REENTRANT] += reentrant(attachment) - attachment->reentrant_before;
    status->is_pure = status->is_pure && diag_action_is_pure(action);
}

void diag_arming_status(const struct diag_arming *arming, struct diag_spec_status *status) {
    status->is_pure = true;
    for (size_t i = 0; i < arming->attachment_count; i++) {
        add_counts(&arming->attachments[i], status);
        add_coverage(&arming->attachments[i], status);
    }
}
