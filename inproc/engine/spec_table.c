/* SPDX-License-Identifier: MIT */
#include "inproc/engine/spec_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inproc/engine/hit.h"
#include "inproc/engine/target.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

/* Walks of the heap on account of targets take at most one part in so many of the time. */
#define WALK_PAUSE 100

static void set_state(struct diag_spec_table *table, struct diag_spec_entry *entry,
                      enum diag_spec_state state, const char *message) {
    table->pending_count += state == DIAG_SPEC_STATE_PENDING;
    table->pending_count -= entry->state == DIAG_SPEC_STATE_PENDING;
    entry->state = state;
    snprintf(entry->message, sizeof entry->message, "%s", message == NULL ? "" : message);
}

static enum diag_spec_state state_of(const struct diag_spec_entry *entry) {
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
    set_state(table, entry, status.state, status.message);
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
    disarm(table, entry); /* the former one; after the new one, so that no call is missed */
    entry->arming = arming;
    set_state(table, entry, DIAG_SPEC_STATE_ARMED, NULL);
    if (entry->is_leaving || table->is_silent)
        diag_arming_silence(arming);
    return DIAG_OK;
}

/* Arms the entry, or says in its state why not. */
static enum diag_status arm(struct diag_spec_table *table, struct diag_spec_entry *entry,
                            bool is_importing, struct diag_error *err) {
    struct diag_target target;
    bool is_armed;
    int line;

    if (entry->is_leaving || table->is_silent)
        return DIAG_OK;
    diag_target_resolve(entry->spec->target, diag_arming_point(entry->spec, &line), is_importing,
                        &target);
    if (target.callable != NULL) /* not what stands in for it while it is probed */
        Py_SETREF(target.callable, Py_NewRef(diag_backend_c_original(target.callable)));
    is_armed = target.outcome == DIAG_TARGET_FOUND &&
               ((entry->arming != NULL && diag_arming_is_for(entry->arming, &target)) ||
                attach(table, entry, &target, &target.error) == DIAG_OK);
    diag_target_done(&target);
    if (is_armed)
        return DIAG_OK;
    disarm(table, entry);
    if (target.outcome == DIAG_TARGET_PENDING) {
        set_state(table, entry, DIAG_SPEC_STATE_PENDING, target.error.message);
        return DIAG_OK;
    }
    set_state(table, entry, DIAG_SPEC_STATE_FAILED, target.error.message);
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

static enum diag_status start(struct diag_spec_table *table, struct diag_spec_entry *entry,
                              uint64_t now_unix_ns, struct diag_error *err) {
    struct diag_error error;
    enum diag_status status = check(entry->spec, &error);

    if (status == DIAG_OK && !diag_spec_is_expired(entry->spec, now_unix_ns))
        return arm(table, entry, false, err);
    if (status == DIAG_OK) {
        set_state(table, entry, DIAG_SPEC_STATE_EXPIRED, NULL);
        return DIAG_OK;
    }
    set_state(table, entry, DIAG_SPEC_STATE_FAILED, error.message);
    return diag_error_set(err, status, 0, "%s", error.message);
}

/* ---- the list ---- */

static void link_entry(struct diag_spec_table *table, struct diag_spec_entry *entry) {
    entry->previous = table->last;
    *(table->last == NULL ? &table->first : &table->last->next) = entry;
    table->last = entry;
    table->count++;
}

static void unlink_entry(struct diag_spec_table *table, struct diag_spec_entry *entry) {
    *(entry->previous == NULL ? &table->first : &entry->previous->next) = entry->next;
    *(entry->next == NULL ? &table->last : &entry->next->previous) = entry->previous;
    entry->previous = entry->next = NULL;
    table->count--;
}

static void entry_free(struct diag_spec_entry *entry) {
    diag_spec_free(entry->spec);
    diag_handler_drop(&entry->handler);
    free(entry);
}

struct diag_spec_entry *diag_spec_table_find(const struct diag_spec_table *table, const char *id) {
    struct diag_spec_entry *entry = diag_map_get(&table->by_id, id);

    return entry == NULL || entry->is_leaving ? NULL : entry;
}

/* Disarms an entry that is not in the list any more; what it holds is released later. */
static void retire(struct diag_spec_table *table, struct diag_spec_entry *entry) {
    disarm(table, entry);
    set_state(table, entry, DIAG_SPEC_STATE_REMOVED, NULL);
    if (diag_handler_is_none(&entry->handler) && diag_aggregator_is_for(entry->spec))
        diag_aggregator_retire(entry->spec, table->sink);
    entry->next = table->gone;
    table->gone = entry;
}

static void remove_entry(struct diag_spec_table *table, struct diag_spec_entry *entry) {
    diag_map_remove(&table->by_id, entry->spec->id);
    unlink_entry(table, entry);
    retire(table, entry);
}

/* Arms a spec, beside the others or in place of the one of its id. Takes ownership of it. */
static enum diag_status install(struct diag_spec_table *table, struct diag_spec *spec,
                                const struct diag_handler *handler, uint64_t now_unix_ns,
                                struct diag_error *err) {
    struct diag_spec_entry *former = diag_map_get(&table->by_id, spec->id);
    struct diag_spec_entry *entry = calloc(1, sizeof *entry);
    enum diag_status status;

    if (entry == NULL || diag_map_put(&table->by_id, spec->id, entry) != DIAG_OK) {
        free(entry);
        diag_spec_free(spec);
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "specs");
    }
    entry->spec = spec;
    if (handler != NULL)
        diag_handler_hold(&entry->handler, handler);
    entry->generation = table->generation;
    set_state(table, entry, DIAG_SPEC_STATE_PENDING, NULL);
    if (former != NULL)
        unlink_entry(table, former);
    link_entry(table, entry);
    entry->former = former;
    status = start(table, entry, now_unix_ns, err);
    entry->former = NULL;
    if (former != NULL) /* after the new one, so that no call is missed */
        retire(table, former);
    return status;
}

/* The same spec again: only its expiry may be new. */
static void keep(struct diag_spec_table *table, struct diag_spec_entry *entry,
                 struct diag_spec *spec) {
    entry->generation = table->generation;
    entry->spec->expires_unix_ns = spec->expires_unix_ns;
    if (entry->arming != NULL)
        diag_arming_set_expiry(entry->arming, spec->expires_unix_ns);
    diag_spec_free(spec);
}

/* ---- putting and removing one by one ---- */

/* True if all is as it was; whether a spec expires at all is known to its actions. */
static bool is_same(const struct diag_spec_entry *entry, const struct diag_spec *spec,
                    const struct diag_handler *handler) {
    static const struct diag_handler none;

    return entry->spec->revision == spec->revision &&
           (entry->spec->expires_unix_ns == 0) == (spec->expires_unix_ns == 0) &&
           diag_spec_equal(entry->spec, spec) &&
           diag_handler_is_same(&entry->handler, handler == NULL ? &none : handler);
}

enum diag_status diag_spec_table_put(struct diag_spec_table *table, struct diag_spec *spec,
                                     const struct diag_handler *handler, uint64_t now_unix_ns,
                                     struct diag_error *err) {
    struct diag_spec_entry *entry = diag_spec_table_find(table, spec->id);

    if (entry == NULL || !is_same(entry, spec, handler))
        return install(table, spec, handler, now_unix_ns, err);
    keep(table, entry, spec);
    if (state_of(entry) == DIAG_SPEC_STATE_ARMED && !diag_spec_is_expired(entry->spec, now_unix_ns))
        return DIAG_OK;
    disarm(table, entry);
    return start(table, entry, now_unix_ns, err);
}

void diag_spec_table_remove(struct diag_spec_table *table, const char *id) {
    struct diag_spec_entry *entry = diag_map_get(&table->by_id, id);

    if (entry != NULL)
        remove_entry(table, entry);
}

static void silence(const struct diag_spec_entry *entry) {
    for (; entry != NULL; entry = entry->former)
        if (entry->arming != NULL)
            diag_arming_silence(entry->arming);
}

bool diag_spec_table_mark_leaving(struct diag_spec_table *table, const char *id) {
    struct diag_spec_entry *entry = diag_spec_table_find(table, id);

    if (entry == NULL)
        return false;
    entry->is_leaving = table->has_leaving = true;
    silence(entry);
    return true;
}

void diag_spec_table_remove_leaving(struct diag_spec_table *table) {
    struct diag_spec_entry *entry = table->first;

    if (!table->has_leaving)
        return;
    table->has_leaving = false;
    while (entry != NULL) {
        struct diag_spec_entry *next = entry->next;

        if (entry->is_leaving)
            remove_entry(table, entry);
        entry = next;
    }
}

/* ---- applying all of them ---- */

/* A removed spec that is back before its removal was reported. */
static void forget_removed(struct diag_spec_table *table, const char *id) {
    for (size_t i = 0; i < table->removed_count; i++)
        if (strcmp(table->removed[i].spec_id, id) == 0)
            table->removed[i--] = table->removed[--table->removed_count];
}

static enum diag_status make_room(struct diag_spec_table *table, struct diag_error *err) {
    size_t removed_max = table->removed_count + table->count + 1;
    struct diag_spec_status *removed =
        realloc(table->removed, removed_max * sizeof(struct diag_spec_status));

    if (removed == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "specs");
    table->removed = removed;
    return DIAG_OK;
}

/* Takes over, edits or starts one spec; the first of an id counts. */
static enum diag_status take_spec(struct diag_spec_table *table, struct diag_spec *spec,
                                  uint64_t now_unix_ns, struct diag_error *err) {
    struct diag_spec_entry *same = diag_map_get(&table->by_id, spec->id);
    struct diag_error error;

    if (same != NULL && same->generation == table->generation) {
        diag_spec_free(spec);
        return DIAG_OK;
    }
    forget_removed(table, spec->id);
    if (same != NULL && same->spec->revision == spec->revision)
        keep(table, same, spec);
    else if (install(table, spec, NULL, now_unix_ns, &error) == DIAG_ERR_NO_MEMORY)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "%s", error.message);
    return DIAG_OK; /* what is wrong with a spec itself is told by its status */
}

/* The specs that the last diag_spec_table_apply did not have. */
static void remove_others(struct diag_spec_table *table) {
    struct diag_spec_entry *entry = table->first;

    while (entry != NULL) {
        struct diag_spec_entry *next = entry->next;

        if (entry->generation != table->generation) {
            remove_entry(table, entry);
            diag_spec_entry_status(entry, &table->removed[table->removed_count++]);
        }
        entry = next;
    }
}

enum diag_status diag_spec_table_apply(struct diag_spec_table *table, struct diag_spec **specs,
                                       size_t spec_count, uint64_t now_unix_ns,
                                       struct diag_error *err) {
    enum diag_status status = make_room(table, err);

    if (status != DIAG_OK) {
        for (size_t i = 0; i < spec_count; i++)
            diag_spec_free(specs[i]);
        return status;
    }
    table->generation++;
    for (size_t i = 0; i < spec_count; i++) {
        enum diag_status taken = take_spec(table, specs[i], now_unix_ns, err);

        if (taken != DIAG_OK)
            status = taken;
    }
    remove_others(table);
    return status;
}

/* ---- all of them ---- */

static void reset_counts(struct diag_spec_entry *entry) {
    entry->hits = entry->errors = entry->dropped = 0;
    memset(entry->skips, 0, sizeof entry->skips);
    if (entry->arming != NULL)
        diag_arming_reset_counts(entry->arming);
}

void diag_spec_table_after_fork(struct diag_spec_table *table, bool has_turn) {
    for (struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next) {
        if (!has_turn && entry->former != NULL)
            retire(table, DIAG_TAKE_PTR(entry->former));
        reset_counts(entry);
    }
    if (!has_turn)
        diag_arming_free(DIAG_TAKE_PTR(table->making), table->probes);
}

void diag_spec_table_silence(struct diag_spec_table *table) {
    table->is_silent = true;
    for (const struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next)
        silence(entry);
}

void diag_spec_table_clear(struct diag_spec_table *table) {
    while (table->first != NULL) {
        struct diag_spec_entry *entry = table->first;

        diag_map_remove(&table->by_id, entry->spec->id);
        unlink_entry(table, entry);
        disarm(table, entry);
        set_state(table, entry, DIAG_SPEC_STATE_REMOVED, NULL);
        entry->next = table->gone;
        table->gone = entry;
    }
}

struct diag_spec_entry *diag_spec_table_take_gone(struct diag_spec_table *table,
                                                  struct diag_spec_entry *others) {
    struct diag_spec_entry *first = DIAG_TAKE_PTR(table->gone), *last = first;

    if (first == NULL)
        return others;
    while (last->next != NULL)
        last = last->next;
    last->next = others;
    return first;
}

void diag_spec_entries_free(struct diag_spec_entry *entries) {
    while (entries != NULL) {
        struct diag_spec_entry *entry = entries;

        entries = entry->next;
        entry_free(entry);
    }
}

void diag_spec_table_done(struct diag_spec_table *table) {
    diag_spec_entries_free(DIAG_TAKE_PTR(table->gone));
    diag_map_done(&table->by_id);
    free(table->removed);
    memset(table, 0, sizeof *table);
}

static bool is_live(enum diag_spec_state state) {
    return state == DIAG_SPEC_STATE_ARMED || state == DIAG_SPEC_STATE_PENDING;
}

bool diag_spec_table_sweep(struct diag_spec_table *table, uint64_t now_unix_ns) {
    bool has_changed = false;

    for (struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next) {
        enum diag_spec_state state = state_of(entry);

        if (entry->arming != NULL && state != DIAG_SPEC_STATE_ARMED)
            disarm(table, entry);
        if (is_live(state) && diag_spec_is_expired(entry->spec, now_unix_ns)) {
            disarm(table, entry);
            set_state(table, entry, DIAG_SPEC_STATE_EXPIRED, NULL);
            has_changed = true;
        }
    }
    return has_changed;
}

uint64_t diag_spec_table_next_expiry(const struct diag_spec_table *table) {
    uint64_t next = 0;

    for (const struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next) {
        uint64_t expires = entry->spec->expires_unix_ns;

        if (is_live(state_of(entry)) && expires != 0 && (next == 0 || expires < next))
            next = expires;
    }
    return next;
}

void diag_spec_table_statuses(struct diag_spec_table *table, diag_engine_status_fn *visit,
                              void *context) {
    for (const struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next) {
        struct diag_spec_status status;

        diag_spec_entry_status(entry, &status);
        visit(context, &status);
    }
    for (size_t i = 0; i < table->removed_count; i++)
        visit(context, &table->removed[i]);
    table->removed_count = 0;
}

/* ---- looking for targets again ---- */

/* Resolving a target may walk the heap, which takes milliseconds: all that do have their turn
 * together, and then not again until that has become cheap. */
struct turn {
    uint64_t walking_ns;
    bool may_walk;
};

static struct turn begin_turn(const struct diag_spec_table *table) {
    return (struct turn){.may_walk = diag_clock_monotonic_ns() >= table->next_walk_ns};
}

/* What is wrong is told by the status. */
static void arm_again(struct diag_spec_table *table, struct diag_spec_entry *entry,
                      bool is_importing, struct turn *turn) {
    uint64_t begin_ns;

    if (!diag_target_walks_heap(entry->spec->target)) {
        arm(table, entry, is_importing, NULL);
        return;
    }
    if (!turn->may_walk)
        return;
    begin_ns = diag_clock_monotonic_ns();
    arm(table, entry, is_importing, NULL);
    turn->walking_ns += diag_clock_monotonic_ns() - begin_ns;
}

static void end_turn(struct diag_spec_table *table, const struct turn *turn) {
    if (turn->walking_ns > 0)
        table->next_walk_ns = diag_clock_monotonic_ns() + turn->walking_ns * WALK_PAUSE;
}

bool diag_spec_table_retry(struct diag_spec_table *table, bool is_importing) {
    struct turn turn = begin_turn(table);
    bool has_changed = false;

    if (table->pending_count == 0)
        return false;
    for (struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next) {
        if (state_of(entry) != DIAG_SPEC_STATE_PENDING)
            continue;
        arm_again(table, entry, is_importing, &turn);
        has_changed = has_changed || state_of(entry) != DIAG_SPEC_STATE_PENDING;
    }
    end_turn(table, &turn);
    return has_changed;
}

void diag_spec_table_verify(struct diag_spec_table *table) {
    struct turn turn = begin_turn(table);

    for (struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next)
        if (state_of(entry) == DIAG_SPEC_STATE_ARMED)
            arm_again(table, entry, false, &turn);
    end_turn(table, &turn);
}
