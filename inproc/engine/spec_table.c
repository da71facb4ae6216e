/* SPDX-License-Identifier: MIT */
#include "inproc/engine/spec_table.h"

#include <stdio.h>
#include <string.h>

#include "inproc/engine/target.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/map.h"

/* Walks of the heap on account of targets take at most one part in so many of the time. */
#define WALK_PAUSE 100

static void set_state(struct diag_spec_entry *entry, enum diag_spec_state state,
                      const char *message) {
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

/* Keeps the counters; the state is the arming's, for the caller to overrule. */
static void disarm(struct diag_spec_table *table, struct diag_spec_entry *entry) {
    struct diag_arming *arming = entry->arming;
    struct diag_spec_status status;

    if (arming == NULL)
        return;
    diag_spec_entry_status(entry, &status);
    entry->hits = status.hits;
    entry->errors = status.errors;
    entry->dropped = status.dropped;
    memcpy(entry->skips, status.skips, sizeof entry->skips);
    set_state(entry, status.state, status.message);
    entry->arming = NULL;
    diag_arming_free(arming, &table->probes);
}

static enum diag_status attach(struct diag_spec_table *table, struct diag_spec_entry *entry,
                               const struct diag_target *target, struct diag_error *err) {
    struct diag_arming_context context = {table->sink, table->runtime, &table->probes};
    struct diag_arming *arming = NULL;
    enum diag_status status = diag_arming_new(&context, entry->spec, target, &arming, err);

    if (status != DIAG_OK)
        return status;
    disarm(table, entry); /* the former one; after the new one, so that no call is missed */
    entry->arming = arming;
    return DIAG_OK;
}

/* Arms the entry, or says in its state why not. */
static void arm(struct diag_spec_table *table, struct diag_spec_entry *entry, bool is_importing) {
    struct diag_target target;
    bool is_armed;
    int line;

    diag_target_resolve(entry->spec->target, diag_arming_point(entry->spec, &line), is_importing,
                        &target);
    if (target.callable != NULL) /* not what stands in for it while it is probed */
        Py_SETREF(target.callable, Py_NewRef(diag_backend_c_original(target.callable)));
    is_armed = target.outcome == DIAG_TARGET_FOUND &&
               ((entry->arming != NULL && diag_arming_is_for(entry->arming, &target)) ||
                attach(table, entry, &target, &target.error) == DIAG_OK);
    diag_target_done(&target);
    if (is_armed)
        return;
    disarm(table, entry);
    set_state(entry,
              target.outcome == DIAG_TARGET_PENDING ? DIAG_SPEC_STATE_PENDING
                                                    : DIAG_SPEC_STATE_FAILED,
              target.error.message);
}

static enum diag_status check(const struct diag_spec *spec, struct diag_error *err) {
    enum diag_status status = diag_spec_validate(spec, err);

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

/* The same revision again: only its expiry may be new. */
static void keep(struct diag_spec_entry *old, struct diag_spec_entry *entry,
                 struct diag_spec *spec) {
    *entry = *old;
    memset(old, 0, sizeof *old);
    entry->spec->expires_unix_ns = spec->expires_unix_ns;
    if (entry->arming != NULL)
        diag_arming_set_expiry(entry->arming, spec->expires_unix_ns);
    diag_spec_free(spec);
}

/* `now`: the entries by id that are there from now on. */
static void retire(struct diag_spec_table *table, const struct diag_map *now,
                   struct diag_spec_entry *old) {
    if (old->spec == NULL)
        return;
    disarm(table, old);
    if (diag_aggregator_is_for(old->spec))
        diag_aggregator_retire(old->spec, table->sink);
    if (diag_map_get(now, old->spec->id) == NULL) {
        set_state(old, DIAG_SPEC_STATE_REMOVED, NULL);
        diag_spec_entry_status(old, &table->removed[table->removed_count++]);
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
    *entries = NULL;
    return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "specs");
}

static enum diag_status index_entries(struct diag_spec_entry *entries, size_t count,
                                      struct diag_map *by_id, struct diag_error *err) {
    for (size_t i = 0; i < count; i++)
        if (diag_map_put(by_id, entries[i].spec->id, &entries[i]) != DIAG_OK)
            return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "specs");
    return DIAG_OK;
}

/* Takes over, edits or starts one spec; the first of an id counts. */
static enum diag_status take_spec(struct diag_spec_table *table, const struct diag_map *before,
                                  struct diag_map *now, struct diag_spec_entry *entry,
                                  struct diag_spec *spec, uint64_t now_unix_ns) {
    struct diag_spec_entry *same = diag_map_get(before, spec->id);
    enum diag_status status =
        diag_map_get(now, spec->id) != NULL ? DIAG_ERR_EXISTS : diag_map_put(now, spec->id, entry);

    if (status != DIAG_OK) {
        diag_spec_free(spec);
        return status;
    }
    forget_removed(table, spec->id);
    if (same != NULL && same->spec->revision == spec->revision)
        keep(same, entry, spec);
    else
        start(table, entry, spec, now_unix_ns);
    return DIAG_OK;
}

enum diag_status diag_spec_table_apply(struct diag_spec_table *table, struct diag_spec **specs,
                                       size_t spec_count, uint64_t now_unix_ns,
                                       struct diag_error *err) {
    DIAG_CLEANUP(diag_map_done) struct diag_map before = {0}, now = {0};
    struct diag_spec_entry *old = table->entries, *entries = NULL;
    size_t old_count = table->count, count = 0;
    enum diag_status status = make_room(table, spec_count, &entries, err);

    if (status == DIAG_OK)
        status = index_entries(old, old_count, &before, err);
    if (status != DIAG_OK) {
        for (size_t i = 0; i < spec_count; i++)
            diag_spec_free(specs[i]);
        free(entries);
        return status;
    }
    for (size_t i = 0; i < spec_count; i++) {
        enum diag_status taken =
            take_spec(table, &before, &now, &entries[count], specs[i], now_unix_ns);

        if (taken == DIAG_OK)
            count++;
        else if (taken != DIAG_ERR_EXISTS)
            status = diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "specs");
    }
    table->entries = entries;
    table->count = count;
    for (size_t i = 0; i < old_count; i++)
        retire(table, &now, &old[i]);
    free(old);
    return status;
}

void diag_spec_table_after_fork(struct diag_spec_table *table) {
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++)
        if (table->entries[i].spec != NULL)
            table->entries[count++] = table->entries[i];
    table->count = count;
    for (size_t i = 0; i < count; i++) {
        struct diag_spec_entry *entry = &table->entries[i];

        entry->hits = entry->errors = entry->dropped = 0;
        memset(entry->skips, 0, sizeof entry->skips);
        if (entry->arming != NULL)
            diag_arming_reset_counts(entry->arming);
    }
}

void diag_spec_table_done(struct diag_spec_table *table) {
    for (size_t i = 0; i < table->count; i++) {
        disarm(table, &table->entries[i]);
        diag_spec_free(table->entries[i].spec);
    }
    free(table->entries);
    diag_probe_set_done(&table->probes);
    free(table->removed);
    diag_runtime_unref(table->runtime);
    memset(table, 0, sizeof *table);
}

void diag_spec_table_sweep(struct diag_spec_table *table, uint64_t now_unix_ns) {
    for (size_t i = 0; i < table->count; i++) {
        struct diag_spec_entry *entry = &table->entries[i];
        enum diag_spec_state state = diag_spec_entry_state(entry);

        if (entry->arming != NULL && state != DIAG_SPEC_STATE_ARMED)
            disarm(table, entry);
        if ((state == DIAG_SPEC_STATE_ARMED || state == DIAG_SPEC_STATE_PENDING) &&
            diag_spec_is_expired(entry->spec, now_unix_ns)) {
            disarm(table, entry);
            set_state(entry, DIAG_SPEC_STATE_EXPIRED, NULL);
        }
    }
}

/* Resolving a target may walk the heap, which takes milliseconds: all that do have their turn
 * together, and then not again until that has become cheap. */
struct turn {
    uint64_t walking_ns;
    bool may_walk;
};

static struct turn begin_turn(const struct diag_spec_table *table) {
    return (struct turn){.may_walk = diag_clock_monotonic_ns() >= table->next_walk_ns};
}

static void arm_again(struct diag_spec_table *table, struct diag_spec_entry *entry,
                      bool is_importing, struct turn *turn) {
    uint64_t begin_ns;

    if (!diag_target_walks_heap(entry->spec->target)) {
        arm(table, entry, is_importing);
        return;
    }
    if (!turn->may_walk)
        return;
    begin_ns = diag_clock_monotonic_ns();
    arm(table, entry, is_importing);
    turn->walking_ns += diag_clock_monotonic_ns() - begin_ns;
}

static void end_turn(struct diag_spec_table *table, const struct turn *turn) {
    if (turn->walking_ns > 0)
        table->next_walk_ns = diag_clock_monotonic_ns() + turn->walking_ns * WALK_PAUSE;
}

bool diag_spec_table_retry(struct diag_spec_table *table, bool is_importing) {
    struct turn turn = begin_turn(table);
    bool has_changed = false;

    for (size_t i = 0; i < table->count; i++) {
        struct diag_spec_entry *entry = &table->entries[i];

        if (diag_spec_entry_state(entry) != DIAG_SPEC_STATE_PENDING)
            continue;
        arm_again(table, entry, is_importing, &turn);
        if (diag_spec_entry_state(entry) != DIAG_SPEC_STATE_PENDING)
            has_changed = true;
    }
    end_turn(table, &turn);
    return has_changed;
}

void diag_spec_table_verify(struct diag_spec_table *table) {
    struct turn turn = begin_turn(table);

    for (size_t i = 0; i < table->count; i++)
        if (diag_spec_entry_state(&table->entries[i]) == DIAG_SPEC_STATE_ARMED)
            arm_again(table, &table->entries[i], false, &turn);
    end_turn(table, &turn);
}

bool diag_spec_table_has_pending(const struct diag_spec_table *table) {
    for (size_t i = 0; i < table->count; i++)
        if (diag_spec_entry_state(&table->entries[i]) == DIAG_SPEC_STATE_PENDING)
            return true;
    return false;
}
