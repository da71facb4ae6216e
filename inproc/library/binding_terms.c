/* SPDX-License-Identifier: MIT */
#include "inproc/library/binding_terms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inproc/engine/engine.h"
#include "inproc/engine/handler.h"
#include "inproc/engine/target.h"
#include "inproc/library/alteration.h"
#include "inproc/library/firing.h"
#include "inproc/library/function_probe.h"
#include "inproc/library/instrument_fields.h"
#include "inproc/library/instrument_manager.h"
#include "lib/base/clock.h"

#define LIFESPAN_MS 60000 /* a spec must have one; an instrument ends by its own `expires` */

void diag_binding_id(const struct diag_binding *binding, char id[DIAG_BINDING_ID_MAX]) {
    snprintf(id, DIAG_BINDING_ID_MAX, "binding-%llu", (unsigned long long)binding->number);
}

/* ---- terms ---- */

void diag_binding_terms_done(struct diag_binding_terms *terms) {
    Py_CLEAR(terms->value);
    Py_CLEAR(terms->event);
    Py_CLEAR(terms->tags);
    Py_CLEAR(terms->globals);
    Py_CLEAR(terms->callable);
}

bool diag_binding_terms_equal(const struct diag_binding_terms *a,
                              const struct diag_binding_terms *b) {
    return a->value == b->value && a->event == b->event && a->tags == b->tags &&
           a->globals == b->globals && a->callable == b->callable &&
           a->wants_arguments == b->wants_arguments && a->wants_namespace == b->wants_namespace &&
           a->alters == b->alters;
}

PyObject *diag_binding_globals(struct diag_binding *binding) {
    PyObject *globals =
        diag_manager_globals(binding->library, diag_instrument_manager(binding->instrument));

    if (globals != NULL || PyErr_Occurred())
        return globals;
    if (binding->own_globals == NULL)
        binding->own_globals = PyDict_New();
    return Py_XNewRef(binding->own_globals);
}

int diag_binding_terms_take(struct diag_binding *binding, struct diag_binding_terms *out) {
    struct diag_instrument_object *instrument = binding->instrument;
    struct diag_binding_terms terms = {0};
    const struct diag_overrides *overrides;
    PyObject *manager;

    if (diag_field_refresh(instrument) < 0)
        return -1;
    terms.globals = diag_binding_globals(binding);
    if (terms.globals == NULL)
        return -1;
    manager = diag_instrument_manager(instrument);
    terms.tags = Py_XNewRef(diag_instrument_tags(instrument));
    if (terms.tags != NULL && !PyUnicode_Check(terms.tags)) {
        PyErr_Format(PyExc_TypeError, "%s: must be a str, not %.200s", DIAG_TAGS_KEY,
                     Py_TYPE(terms.tags)->tp_name);
        diag_binding_terms_done(&terms);
        return -1;
    }
    overrides = diag_overrides_of(instrument);
    terms.value = Py_NewRef(instrument->value);
    terms.event = Py_NewRef(instrument->event);
    terms.callable = Py_XNewRef(binding->probe->callable);
    terms.alters = diag_instrument_alters(instrument);
    terms.wants_arguments = terms.alters || overrides->has_check_call ||
                            diag_manager_wants_calls(binding->library, manager);
    terms.wants_namespace =
        overrides->fire == NULL || overrides->has_evaluate || overrides->has_merge_tags;
    *out = terms;
    return 0;
}

/* ---- specs ---- */

/* A copy for a spec; NULL: out of memory, or not to be had as UTF-8 (no exception is set). */
static char *copy_text(PyObject *text) {
    const char *utf8 = PyUnicode_AsUTF8(text);

    PyErr_Clear();
    return utf8 == NULL ? NULL : strdup(utf8);
}

static enum diag_status make_spec(const struct diag_binding *binding,
                                  const struct diag_binding_terms *terms, struct diag_spec **out,
                                  struct diag_error *err) {
    DIAG_CLEANUP(diag_spec_freep) struct diag_spec *spec = calloc(1, sizeof *spec);
    char id[DIAG_BINDING_ID_MAX];

    if (spec == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "instrument");
    diag_binding_id(binding, id);
    spec->id = strdup(id);
    spec->target = copy_text(binding->probe->target);
    spec->instrument.type = strdup("log");
    spec->instrument.name = strdup(id);
    spec->instrument.value = copy_text(terms->value);
    spec->instrument.event = copy_text(terms->event);
    spec->instrument.tags = terms->tags == NULL ? NULL : copy_text(terms->tags);
    spec->lifespan_ms = LIFESPAN_MS;
    spec->revision = binding->revision;
    spec->created_unix_ns = spec->modified_unix_ns = diag_clock_unix_ns();
    if (spec->id == NULL || spec->target == NULL || spec->instrument.type == NULL ||
        spec->instrument.name == NULL || spec->instrument.value == NULL ||
        spec->instrument.event == NULL || (terms->tags != NULL && spec->instrument.tags == NULL))
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "instrument");
    *out = DIAG_TAKE_PTR(spec);
    return DIAG_OK;
}

enum diag_status diag_binding_terms_put(struct diag_binding *binding,
                                        const struct diag_binding_terms *terms,
                                        struct diag_engine *engine, struct diag_error *err) {
    struct diag_handler handler = {
        .object = (PyObject *)binding,
        .globals = terms->globals,
        .callable = terms->callable,
        .wants_arguments = terms->wants_arguments,
        .wants_namespace = terms->wants_namespace,
        .fire = diag_firing_run,
        .intercept = terms->alters ? diag_alteration_run : NULL,
    };
    struct diag_spec *spec = NULL;
    enum diag_status status;

    binding->revision++;
    status = make_spec(binding, terms, &spec, err);
    return status == DIAG_OK ? diag_engine_put(engine, spec, &handler, err) : status;
}

/* An instrument's event says "return" for both that and its default. */
static enum diag_point point_of(const struct diag_binding *binding) {
    const char *event = PyUnicode_AsUTF8(binding->instrument->event);
    bool is_inside = event != NULL && (strcmp(event, "end") == 0 || event[0] == 'l');

    PyErr_Clear();
    return is_inside ? DIAG_POINT_END : DIAG_POINT_CALL;
}

bool diag_binding_is_pending(const struct diag_binding *binding) {
    struct diag_engine *engine = binding->library->engine;
    struct diag_spec_status status;
    char id[DIAG_BINDING_ID_MAX];

    diag_binding_id(binding, id);
    return engine != NULL && diag_engine_status(engine, id, &status) &&
           status.state == DIAG_SPEC_STATE_PENDING;
}

enum diag_status diag_binding_check_target(const struct diag_binding *binding,
                                           struct diag_error *err) {
    const char *text = PyUnicode_AsUTF8(binding->probe->target);
    struct diag_target target;
    enum diag_status result = DIAG_OK;

    PyErr_Clear();
    if (text == NULL)
        return DIAG_OK;
    /* modules whose code still runs may yet have it */
    diag_target_resolve(text, point_of(binding), true, &target);
    if (target.outcome == DIAG_TARGET_PENDING && target.error.status == DIAG_ERR_NOT_FOUND)
        result = diag_error_set(err, DIAG_ERR_NOT_FOUND, 0, "target: %s", target.error.message);
    diag_target_done(&target);
    return result;
}
