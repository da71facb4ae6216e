/* SPDX-License-Identifier: MIT */
#include "inproc/engine/spec_table.h"

#include <stdlib.h>
#include <string.h>

#include "inproc/engine/hit.h"
#include "inproc/engine/target.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

/* Walks of the heap on account of targets take at most one part in so many of the time. */
#define WALK_PAUSE 100

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

struct diag_spec_entry *diag_spec_table_find(const struct diag_spec_table *table, const char *id) {
    struct diag_spec_entry *entry = diag_map_get(&table->by_id, id);

    return entry == NULL || entry->is_leaving ? NULL : entry;
}

/* Disarms an entry that is not in the list any more; what it holds is released later. */
static void retire(struct diag_spec_table *table, struct diag_spec_entry *entry) {
    diag_spec_entry_disarm(table, entry);
    diag_spec_entry_set_state(table, entry, DIAG_SPEC_STATE_REMOVED, NULL);
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
    diag_spec_entry_set_state(table, entry, DIAG_SPEC_STATE_PENDING, NULL);
    if (former != NULL)
        unlink_entry(table, former);
    link_entry(table, entry);
    entry->former = former;
    status = diag_spec_entry_start(table, entry, now_unix_ns, err);
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

enum diag_status diag_spec_table_put(struct diag_spec_table *table, struct diag_spec *spec,
                                     const struct diag_handler *handler, uint64_t now_unix_ns,
                                     struct diag_error *err) {
    struct diag_spec_entry *entry = diag_spec_table_find(table, spec->id);

    if (entry == NULL || !diag_spec_entry_is_same(entry, spec, handler))
        return install(table, spec, handler, now_unix_ns, err);
    keep(table, entry, spec);
    if (diag_spec_entry_state(entry) == DIAG_SPEC_STATE_ARMED &&
        !diag_spec_is_expired(entry->spec, now_unix_ns))
        return DIAG_OK;
    diag_spec_entry_disarm(table, entry);
    return diag_spec_entry_start(table, entry, now_unix_ns, err);
}

void diag_spec_table_remove(struct diag_spec_table *table, const char *id) {
    struct diag_spec_entry *entry = diag_map_get(&table->by_id, id);

    if (entry != NULL)
        remove_entry(table, entry);
}

bool diag_spec_table_mark_leaving(struct diag_spec_table *table, const char *id) {
    struct diag_spec_entry *entry = diag_spec_table_find(table, id);

    if (entry == NULL)
        return false;
    entry->is_leaving = table->has_leaving = true;
    diag_spec_entry_silence(entry);
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

void diag_spec_table_after_fork(struct diag_spec_table *table, bool has_turn) {
    for (struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next) {
        if (!has_turn && entry->former != NULL)
            retire(table, DIAG_TAKE_PTR(entry->former));
        diag_spec_entry_reset_counts(entry);
    }
    if (!has_turn)
        diag_arming_free(DIAG_TAKE_PTR(table->making), table->probes);
}

void diag_spec_table_silence(struct diag_spec_table *table) {
    table->is_silent = true;
    for (const struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next)
        diag_spec_entry_silence(entry);
}

void diag_spec_table_clear(struct diag_spec_table *table) {
    while (table->first != NULL) {
        struct diag_spec_entry *entry = table->first;

        diag_map_remove(&table->by_id, entry->spec->id);
        unlink_entry(table, entry);
        diag_spec_entry_disarm(table, entry);
        diag_spec_entry_set_state(table, entry, DIAG_SPEC_STATE_REMOVED, NULL);
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
        diag_spec_entry_free(entry);
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
        enum diag_spec_state state = diag_spec_entry_state(entry);

        if (entry->arming != NULL && state != DIAG_SPEC_STATE_ARMED)
            diag_spec_entry_disarm(table, entry);
        if (is_live(state) && diag_spec_is_expired(entry->spec, now_unix_ns)) {
            diag_spec_entry_disarm(table, entry);
            diag_spec_entry_set_state(table, entry, DIAG_SPEC_STATE_EXPIRED, NULL);
            has_changed = true;
        }
    }
    return has_changed;
}

uint64_t diag_spec_table_next_expiry(const struct diag_spec_table *table) {
    uint64_t next = 0;

    for (const struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next) {
        uint64_t expires = entry->spec->expires_unix_ns;

        if (is_live(diag_spec_entry_state(entry)) && expires != 0 && (next == 0 || expires < next))
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

    if (entry->handler.callable != NULL || !diag_target_walks_heap(entry->spec->target)) {
        diag_spec_entry_arm(table, entry, is_importing, NULL);
        return;
    }
    if (!turn->may_walk)
        return;
    begin_ns = diag_clock_monotonic_ns();
    diag_spec_entry_arm(table, entry, is_importing, NULL);
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
        if (diag_spec_entry_state(entry) != DIAG_SPEC_STATE_PENDING)
            continue;
        arm_again(table, entry, is_importing, &turn);
        has_changed = has_changed || diag_spec_entry_state(entry) != DIAG_SPEC_STATE_PENDING;
    }
    end_turn(table, &turn);
    return has_changed;
}

void diag_spec_table_verify(struct diag_spec_table *table) {
    struct turn turn = begin_turn(table);

    for (struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next)
        if (diag_spec_entry_state(entry) == DIAG_SPEC_STATE_ARMED)
            arm_again(table, entry, false, &turn);
    end_turn(table, &turn);
}

void diag_spec_table_move(struct diag_spec_table *table) {
    for (struct diag_spec_entry *entry = table->first; entry != NULL; entry = entry->next)
        if (entry->arming != NULL && diag_spec_entry_state(entry) == DIAG_SPEC_STATE_ARMED &&
            !diag_arming_is_in_place(entry->arming, table->probes))
            diag_spec_entry_arm(table, entry, false, NULL);
}
