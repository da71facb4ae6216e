/* SPDX-License-Identifier: MIT */
#include "inproc/engine/spec_table.h"

#include <stdio.h>
#include <string.h>

#include "inproc/engine/target.h"

static void set_state(struct diag_spec_entry *entry, enum diag_spec_state state,
                      const char *message) {
    entry->state = state;
    snprintf(entry->message, sizeof entry->message, "%s", message == NULL ? "" : message);
}

enum diag_spec_state diag_spec_entry_state(const struct diag_spec_entry *entry) {
    return entry->action == NULL ? entry->state : entry->action->state;
}

void diag_spec_entry_status(const struct diag_spec_table *table,
                            const struct diag_spec_entry *entry, struct diag_spec_status *out) {
    const struct diag_action *action = entry->action;

    memset(out, 0, sizeof *out);
    snprintf(out->spec_id, sizeof out->spec_id, "%s", entry->spec->id);
    out->spec_revision = entry->spec->revision;
    out->state = diag_spec_entry_state(entry);
    snprintf(out->message, sizeof out->message, "%s",
             action == NULL ? entry->message : action->message);
    out->hits = entry->hits + (action == NULL ? 0 : action->hits);
    out->errors = entry->errors + (action == NULL ? 0 : action->errors);
    out->dropped = entry->dropped + (action == NULL ? 0 : action->dropped);
    if (out->state == DIAG_SPEC_STATE_ARMED) {
        snprintf(out->mechanism, sizeof out->mechanism, "%s", table->backend->name);
        out->functions = 1;
    }
}

static void drop_probe(struct diag_spec_table *table, struct diag_probe *probe) {
    for (size_t i = 0; i < table->probe_count; i++)
        if (table->probes[i] == probe) {
            table->probes[i] = table->probes[--table->probe_count];
            break;
        }
    diag_probe_free(probe);
}

static void detach(struct diag_spec_table *table, struct diag_action *action,
                   struct diag_probe *probe) {
    diag_probe_remove(probe, action);
    if (diag_probe_is_empty(probe))
        drop_probe(table, probe);
    diag_action_unref(action);
}

/* Keeps the counters; the state is the action's, for the caller to overrule. */
static void disarm(struct diag_spec_table *table, struct diag_spec_entry *entry) {
    struct diag_action *action = entry->action;

    if (action == NULL)
        return;
    entry->hits += action->hits;
    entry->errors += action->errors;
    entry->dropped += action->dropped;
    set_state(entry, action->state, action->message);
    entry->action = NULL;
    detach(table, action, entry->probe);
    entry->probe = NULL;
}

static enum diag_status probe_of(struct diag_spec_table *table, PyObject *function,
                                 struct diag_probe **out, struct diag_error *err) {
    struct diag_probe **probes;
    enum diag_status status;

    for (size_t i = 0; i < table->probe_count; i++)
        if (diag_probe_function(table->probes[i]) == function) {
            *out = table->probes[i];
            return DIAG_OK;
        }
    probes = realloc(table->probes, (table->probe_count + 1) * sizeof(struct diag_probe *));
    if (probes == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe");
    table->probes = probes;
    status = diag_probe_new(table->backend, function, &probes[table->probe_count], err);
    if (status == DIAG_OK)
        *out = probes[table->probe_count++];
    return status;
}

static enum diag_status attach(struct diag_spec_table *table, struct diag_spec_entry *entry,
                               PyObject *function, struct diag_error *err) {
    DIAG_CLEANUP(diag_action_unrefp) struct diag_action *action = NULL;
    struct diag_probe *probe = NULL;
    enum diag_status status =
        diag_action_new(entry->spec, table->sink, table->runtime, function, &action, err);

    if (status != DIAG_OK)
        return status;
    status = probe_of(table, function, &probe, err);
    if (status != DIAG_OK)
        return status;
    status = diag_probe_add(probe, action, err);
    if (status != DIAG_OK) {
        if (diag_probe_is_empty(probe))
            drop_probe(table, probe);
        return status;
    }
    disarm(table, entry); /* the former one; after the new one, so that no call is missed */
    entry->action = DIAG_TAKE_PTR(action);
    entry->probe = probe;
    return DIAG_OK;
}

/* What this table can arm of what is found. */
static bool is_supported(const struct diag_target *target, enum diag_point point,
                         struct diag_error *err) {
    if (target->function == NULL) {
        diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0, "target: not supported yet");
        return false;
    }
    if (point == DIAG_POINT_RETURN && diag_py_is_generator(diag_py_code(target->function))) {
        diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                       "target: return of a generator function or coroutine would fire when the "
                       "generator is created; not supported yet (event: call is)");
        return false;
    }
    return true;
}

/* Arms the entry, or says in its state why not. */
static void arm(struct diag_spec_table *table, struct diag_spec_entry *entry, bool is_importing) {
    enum diag_point point =
        strcmp(entry->spec->instrument.event, "return") == 0 ? DIAG_POINT_RETURN : DIAG_POINT_CALL;
    struct diag_target target;

    diag_target_resolve(entry->spec->target, point, is_importing, &target);
    if (target.outcome == DIAG_TARGET_FOUND && is_supported(&target, point, &target.error)) {
        bool is_same = entry->action != NULL &&
                       diag_probe_function(entry->probe) == target.function &&
                       entry->action->code == diag_py_code(target.function);

        if (is_same || attach(table, entry, target.function, &target.error) == DIAG_OK) {
            diag_target_done(&target);
            return;
        }
    }
    diag_target_done(&target);
    disarm(table, entry);
    set_state(entry,
              target.outcome == DIAG_TARGET_PENDING ? DIAG_SPEC_STATE_PENDING
                                                    : DIAG_SPEC_STATE_FAILED,
              target.error.message);
}

static enum diag_status check(const struct diag_spec *spec, struct diag_error *err) {
    enum diag_status status = diag_spec_validate(spec, err);
    enum diag_spec_event event;
    int line;

    if (status == DIAG_OK)
        status = diag_spec_event_parse(spec->instrument.event, &event, &line, err);
    if (status == DIAG_OK && event != DIAG_SPEC_EVENT_CALL && event != DIAG_SPEC_EVENT_RETURN)
        status = diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                                "instrument.event: \"%s\" is not supported in this process",
                                spec->instrument.event);
    if (status == DIAG_OK)
        status = diag_expression_check(spec->instrument.value, "instrument.value", err);
    if (status == DIAG_OK && spec->instrument.tags != NULL)
        status = diag_expression_check(spec->instrument.tags, "instrument.custom.tags", err);
    return status;
}

static void start(struct diag_spec_table *table, struct diag_spec_entry *entry,
                  struct diag_spec *spec, uint64_t now_unix_ns) {
    struct diag_error error;

    entry->spec = spec;
    if (check(spec, &error) != DIAG_OK)
        set_state(entry, DIAG_SPEC_STATE_FAILED, error.message);
    else if (diag_spec_is_expired(spec, now_unix_ns))
        set_state(entry, DIAG_SPEC_STATE_EXPIRED, NULL);
    else
        arm(table, entry, false);
}

static struct diag_spec_entry *find(struct diag_spec_entry *entries, size_t count, const char *id) {
    for (size_t i = 0; i < count; i++)
        if (entries[i].spec != NULL && strcmp(entries[i].spec->id, id) == 0)
            return &entries[i];
    return NULL;
}

/* The same revision again: only its expiry may be new. */
static void keep(struct diag_spec_entry *old, struct diag_spec_entry *entry,
                 struct diag_spec *spec) {
    *entry = *old;
    memset(old, 0, sizeof *old);
    entry->spec->expires_unix_ns = spec->expires_unix_ns;
    if (entry->action != NULL)
        entry->action->expires_unix_ns = spec->expires_unix_ns;
    diag_spec_free(spec);
}

static void retire(struct diag_spec_table *table, struct diag_spec_entry *old) {
    if (old->spec == NULL)
        return;
    disarm(table, old);
    if (diag_aggregator_is_for(old->spec))
        diag_aggregator_retire(old->spec, table->sink);
    if (find(table->entries, table->count, old->spec->id) == NULL) {
        set_state(old, DIAG_SPEC_STATE_REMOVED, NULL);
        diag_spec_entry_status(table, old, &table->removed[table->removed_count++]);
    }
    diag_spec_free(old->spec);
}

/* A removed spec that is back before its removal was reported. */
static void forget_removed(struct diag_spec_table *table, const char *id) {
    for (size_t i = 0; i < table->removed_count; i++)
        if (strcmp(table->removed[i].spec_id, id) == 0)
            table->removed[i--] = table->removed[--table->removed_count];
}

static enum diag_status make_room(struct diag_spec_table *table, size_t spec_count,
                                  struct diag_spec_entry **entries, struct diag_error *err) {
    size_t removed_max = table->removed_count + table->count + 1;
    struct diag_spec_status *removed =
        realloc(table->removed, removed_max * sizeof(struct diag_spec_status));

    if (removed != NULL)
        table->removed = removed;
    *entries = calloc(spec_count + 1, sizeof **entries);
    if (removed != NULL && *entries != NULL)
        return DIAG_OK;
    free(*entries);
    return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "specs");
}

enum diag_status diag_spec_table_apply(struct diag_spec_table *table, struct diag_spec **specs,
                                       size_t spec_count, uint64_t now_unix_ns,
                                       struct diag_error *err) {
    struct diag_spec_entry *old = table->entries, *entries;
    size_t old_count = table->count, count = 0;
    enum diag_status status = make_room(table, spec_count, &entries, err);

    for (size_t i = 0; i < spec_count; i++) {
        struct diag_spec_entry *same;

        if (status != DIAG_OK || find(entries, count, specs[i]->id) != NULL) {
            diag_spec_free(specs[i]); /* the first of an id counts */
            continue;
        }
        same = find(old, old_count, specs[i]->id);
        forget_removed(table, specs[i]->id);
        if (same != NULL && same->spec->revision == specs[i]->revision)
            keep(same, &entries[count++], specs[i]);
        else
            start(table, &entries[count++], specs[i], now_unix_ns);
    }
    if (status != DIAG_OK)
        return status;
    table->entries = entries;
    table->count = count;
    for (size_t i = 0; i < old_count; i++)
        retire(table, &old[i]);
    free(old);
    return DIAG_OK;
}

void diag_spec_table_repair(struct diag_spec_table *table) {
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++)
        if (table->entries[i].spec != NULL)
            table->entries[count++] = table->entries[i];
    table->count = count;
}

void diag_spec_table_done(struct diag_spec_table *table) {
    for (size_t i = 0; i < table->count; i++) {
        disarm(table, &table->entries[i]);
        diag_spec_free(table->entries[i].spec);
    }
    free(table->entries);
    free(table->probes);
    free(table->removed);
    diag_runtime_unref(table->runtime);
    memset(table, 0, sizeof *table);
}

void diag_spec_table_sweep(struct diag_spec_table *table, uint64_t now_unix_ns) {
    for (size_t i = 0; i < table->count; i++) {
        struct diag_spec_entry *entry = &table->entries[i];
        enum diag_spec_state state = diag_spec_entry_state(entry);

        if (entry->action != NULL && state != DIAG_SPEC_STATE_ARMED)
            disarm(table, entry);
        if ((state == DIAG_SPEC_STATE_ARMED || state == DIAG_SPEC_STATE_PENDING) &&
            diag_spec_is_expired(entry->spec, now_unix_ns)) {
            disarm(table, entry);
            set_state(entry, DIAG_SPEC_STATE_EXPIRED, NULL);
        }
    }
}

bool diag_spec_table_retry(struct diag_spec_table *table, bool is_importing) {
    bool has_changed = false;

    for (size_t i = 0; i < table->count; i++) {
        struct diag_spec_entry *entry = &table->entries[i];

        if (diag_spec_entry_state(entry) != DIAG_SPEC_STATE_PENDING)
            continue;
        arm(table, entry, is_importing);
        if (diag_spec_entry_state(entry) != DIAG_SPEC_STATE_PENDING)
            has_changed = true;
    }
    return has_changed;
}

void diag_spec_table_verify(struct diag_spec_table *table) {
    for (size_t i = 0; i < table->count; i++)
        if (diag_spec_entry_state(&table->entries[i]) == DIAG_SPEC_STATE_ARMED)
            arm(table, &table->entries[i], false);
}

bool diag_spec_table_has_pending(const struct diag_spec_table *table) {
    for (size_t i = 0; i < table->count; i++)
        if (diag_spec_entry_state(&table->entries[i]) == DIAG_SPEC_STATE_PENDING)
            return true;
    return false;
}
