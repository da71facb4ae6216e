/* SPDX-License-Identifier: MIT */
#include "inproc/engine/spec_entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inproc/engine/hit.h"
#include "inproc/engine/spec_table.h"
#include "inproc/engine/target.h"

void diag_spec_entry_set_state(struct diag_spec_table *table, struct diag_spec_entry *entry,
                               enum diag_spec_state state, const char *message) {
    table->pending_count += state == DIAG_SPEC_STATE_PENDING;
    table->pending_count -= entry->state == DIAG_SPEC_STATE_PENDING;
    entry->state = state;
    snprintf(entry->message, sizeof entry->message, "%s", message == NULL ? "" : message);
}

enum diag_spec_state diag_spec_entry_state(const struct diag_spec_entry *entry) {
    const char *message;

    return entry->arming == NULL ? entry->state : diag_arming_state(entry->arming, &message);
}

void diag_spec_entry_status(const struct diag_spec_entry *entry, struct diag_spec_status *out) {
    const char *message = entry->message;

    memset(out, 0, sizeof *out);
    snprintf(out->spec_id, sizeof out->spec_id, "%s", entry->spec->id);
    out->spec_revision = entry->spec->revision;
    out->state = entry->state;
    out->hits = entry->hits;
    out->errors = entry->errors;
    out->dropped = entry->dropped;
    memcpy(out->skips, entry->skips, sizeof out->skips);
    if (entry->arming != NULL) {
        out->state = diag_arming_state(entry->arming, &message);
        diag_arming_status(entry->arming, out);
    }
    if (out->state != DIAG_SPEC_STATE_ARMED) { /* stopped on the hit path: covers nothing */
        out->mechanism[0] = out->excluded[0] = '\0';
        out->functions = out->codes = 0;
    }
    snprintf(out->message, sizeof out->message, "%s", message);
}

void diag_spec_entry_disarm(struct diag_spec_table *table, struct diag_spec_entry *entry) {
    struct diag_arming *arming = entry->arming;
    struct diag_spec_status status;

    if (arming == NULL)
        return;
    diag_spec_entry_status(entry, &status);
    entry->hits = status.hits;
    entry->errors = status.errors;
    entry->dropped = status.dropped;
    memcpy(entry->skips, status.skips, sizeof entry->skips);
    diag_spec_entry_set_state(table, entry, status.state, status.message);
    entry->arming = NULL;
    diag_arming_free(arming, table->probes);
}

static enum diag_status attach(struct diag_spec_table *table, struct diag_spec_entry *entry,
                               const struct diag_target *target, struct diag_error *err) {
    struct diag_arming_context context = {
        {table->sink, table->runtime, &entry->handler}, table->probes, &table->making};
    struct diag_arming *arming = NULL;
    enum diag_status status = diag_arming_new(&context, entry->spec, target, &arming, err);

    if (status != DIAG_OK)
        return status;
    diag_spec_entry_disarm(
        table, entry); /* the former one; after the new one, so that no call is missed */
    entry->arming = arming;
    diag_spec_entry_set_state(table, entry, DIAG_SPEC_STATE_ARMED, NULL);
    if (entry->is_leaving || table->is_silent)
        diag_arming_silence(arming);
    return DIAG_OK;
}

static void resolve(const struct diag_spec_entry *entry, bool is_importing,
                    struct diag_target *target) {
    const struct diag_spec *spec = entry->spec;
    int line;
    enum diag_point point = diag_arming_point(spec, &line);

    if (entry->handler.callable != NULL)
        diag_target_resolve_object(entry->handler.callable, spec->target, point, target);
    else
        diag_target_resolve(spec->target, point, is_importing, target);
}

enum diag_status diag_spec_entry_arm(struct diag_spec_table *table, struct diag_spec_entry *entry,
                                     bool is_importing, struct diag_error *err) {
    struct diag_target target;
    bool is_armed;

    if (entry->is_leaving || table->is_silent)
        return DIAG_OK;
    resolve(entry, is_importing, &target);
    if (target.callable != NULL) /* not what stands in for it while it is probed */
        Py_SETREF(target.callable, Py_NewRef(diag_backend_c_original(target.callable)));
    is_armed =
        target.outcome == DIAG_TARGET_FOUND &&
        ((entry->arming != NULL && diag_arming_is_for(entry->arming, &target, table->probes)) ||
         attach(table, entry, &target, &target.error) == DIAG_OK);
    diag_target_done(&target);
    if (is_armed)
        return DIAG_OK;
    diag_spec_entry_disarm(table, entry);
    if (target.outcome == DIAG_TARGET_PENDING) {
        diag_spec_entry_set_state(table, entry, DIAG_SPEC_STATE_PENDING, target.error.message);
        return DIAG_OK;
    }
    diag_spec_entry_set_state(table, entry, DIAG_SPEC_STATE_FAILED, target.error.message);
    return diag_error_set(err, target.error.status, 0, "%s", target.error.message);
}

static enum diag_status check(const struct diag_spec *spec, struct diag_error *err) {
    enum diag_status status = diag_spec_validate(spec, err);

    if (status == DIAG_OK)
        status = diag_expression_check(spec->instrument.value, "instrument.value", err);
    if (status == DIAG_OK && spec->instrument.tags != NULL)
        status = diag_expression_check(spec->instrument.tags, "instrument.custom.tags", err);
    return status;
}

enum diag_status diag_spec_entry_start(struct diag_spec_table *table, struct diag_spec_entry *entry,
                                       uint64_t now_unix_ns, struct diag_error *err) {
    struct diag_error error;
    enum diag_status status = check(entry->spec, &error);

    if (status == DIAG_OK && !diag_spec_is_expired(entry->spec, now_unix_ns))
        return diag_spec_entry_arm(table, entry, false, err);
    if (status == DIAG_OK) {
        diag_spec_entry_set_state(table, entry, DIAG_SPEC_STATE_EXPIRED, NULL);
        return DIAG_OK;
    }
    diag_spec_entry_set_state(table, entry, DIAG_SPEC_STATE_FAILED, error.message);
    return diag_error_set(err, status, 0, "%s", error.message);
}

void diag_spec_entry_free(struct diag_spec_entry *entry) {
    diag_spec_free(entry->spec);
    diag_handler_drop(&entry->handler);
    free(entry);
}

void diag_spec_entry_silence(const struct diag_spec_entry *entry) {
    for (; entry != NULL; entry = entry->former)
        if (entry->arming != NULL)
            diag_arming_silence(entry->arming);
}

void diag_spec_entry_reset_counts(struct diag_spec_entry *entry) {
    entry->hits = entry->errors = entry->dropped = 0;
    memset(entry->skips, 0, sizeof entry->skips);
    if (entry->arming != NULL)
        diag_arming_reset_counts(entry->arming);
}

bool diag_spec_entry_is_same(const struct diag_spec_entry *entry, const struct diag_spec *spec,
                             const struct diag_handler *handler) {
    const struct diag_handler none;

    return entry->spec->revision == spec->revision &&
           (entry->spec->expires_unix_ns == 0) == (spec->expires_unix_ns == 0) &&
           diag_spec_equal(entry->spec, spec) &&
           diag_handler_is_same(&entry->handler, handler == NULL ? &none : handler);
}
