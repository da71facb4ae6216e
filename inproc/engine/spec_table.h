/* SPDX-License-Identifier: MIT */
/* spec_table - the specs of an engine and what each has armed.
 *
 * Threading: the GIL, and the turn (engine_shared.h) for all but diag_spec_table_find,
 * _next_expiry, _mark_leaving, _silence and diag_spec_entry_status. Ownership: the table owns its
 * specs and the statuses of removed specs. */
#ifndef DIAG_INPROC_ENGINE_SPEC_TABLE_H
#define DIAG_INPROC_ENGINE_SPEC_TABLE_H

#include "inproc/engine/spec_entry.h"
#include "lib/base/map.h"

struct diag_spec_table {
    const struct diag_engine_sink *sink;
    struct diag_runtime *runtime; /* these two are borrowed */
    struct diag_probe_set *probes;
    struct diag_map by_id;
    struct diag_spec_entry *first, *last;
    size_t count;
    size_t pending_count;
    struct diag_spec_entry *gone; /* disarmed; to be freed without the turn */
    struct diag_arming *making;   /* not yet in its entry */
    bool has_leaving;
    bool is_silent;
    uint64_t generation;
    uint64_t next_walk_ns; /* monotonic: earlier than this no target walks the heap again */
    struct diag_spec_status *removed; /* not yet reported */
    size_t removed_count;
};

/* In the child of a fork: hits count from 0 again. Without `has_turn` the fork may have struck
 * inside of what a thread was doing that is not there any more. */
void diag_spec_table_after_fork(struct diag_spec_table *table, bool has_turn);

/* Disarms everything. */
void diag_spec_table_clear(struct diag_spec_table *table);

/* Frees what is left after diag_spec_table_clear; needs no turn. */
void diag_spec_table_done(struct diag_spec_table *table);

/* Has nothing fire any more, and nothing be armed. */
void diag_spec_table_silence(struct diag_spec_table *table);

/* See diag_engine_apply, diag_engine_put, diag_engine_remove. */
DIAG_MUST_CHECK enum diag_status diag_spec_table_apply(struct diag_spec_table *table,
                                                       struct diag_spec **specs, size_t spec_count,
                                                       uint64_t now_unix_ns,
                                                       struct diag_error *err);
DIAG_MUST_CHECK enum diag_status diag_spec_table_put(struct diag_spec_table *table,
                                                     struct diag_spec *spec,
                                                     const struct diag_handler *handler,
                                                     uint64_t now_unix_ns, struct diag_error *err);
void diag_spec_table_remove(struct diag_spec_table *table, const char *id);

/* Without the turn: the spec fires no more, and goes with diag_spec_table_remove_leaving. False:
 * there is none. */
bool diag_spec_table_mark_leaving(struct diag_spec_table *table, const char *id);
void diag_spec_table_remove_leaving(struct diag_spec_table *table);

/* NULL: there is none, or it is leaving. */
struct diag_spec_entry *diag_spec_table_find(const struct diag_spec_table *table, const char *id);

/* Takes out what has expired or was stopped on the hit path. True if a status changed. */
bool diag_spec_table_sweep(struct diag_spec_table *table, uint64_t now_unix_ns);

/* Looks again for the targets of pending specs; `is_importing`: not in modules whose code still
 * runs. True if a status changed. */
bool diag_spec_table_retry(struct diag_spec_table *table, bool is_importing);

/* Follows targets that were replaced. */
void diag_spec_table_verify(struct diag_spec_table *table);

/* Arms anew what is not in its place (diag_arming_is_in_place). */
void diag_spec_table_move(struct diag_spec_table *table);

/* See diag_engine_next_expiry and diag_engine_statuses. */
uint64_t diag_spec_table_next_expiry(const struct diag_spec_table *table);
void diag_spec_table_statuses(struct diag_spec_table *table, diag_engine_status_fn *visit,
                              void *context);

/* Puts the entries that are gone before those of `others`: a list to be freed without the turn, as
 * finalisers may run. */
struct diag_spec_entry *diag_spec_table_take_gone(struct diag_spec_table *table,
                                                  struct diag_spec_entry *others);
void diag_spec_entries_free(struct diag_spec_entry *entries);

#endif
