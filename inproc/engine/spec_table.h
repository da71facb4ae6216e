/* SPDX-License-Identifier: MIT */
/* spec_table - the specs of an engine and what each has armed.
 *
 * Threading: the GIL, and one user at a time: see engine.c.
 * Ownership: the table owns its specs, probes and the statuses of removed specs. */
#ifndef DIAG_INPROC_ENGINE_SPEC_TABLE_H
#define DIAG_INPROC_ENGINE_SPEC_TABLE_H

#include "inproc/engine/arming.h"

/* One spec. */
struct diag_spec_entry {
    struct diag_spec *spec;
    enum diag_spec_state state; /* while there is no arming */
    char message[DIAG_SPEC_STATUS_MESSAGE_MAX + 1];
    struct diag_arming *arming; /* NULL: not armed */
    /* of former armings */
    uint64_t hits, errors, dropped;
    uint64_t skips[DIAG_SKIP_COUNT];
};

struct diag_spec_table {
    const struct diag_engine_sink *sink;
    struct diag_runtime *runtime; /* owned */
    struct diag_probe_set probes;
    struct diag_spec_entry *entries;
    size_t count;
    uint64_t next_walk_ns; /* monotonic: earlier than this no target walks the heap again */
    struct diag_spec_status *removed; /* not yet reported */
    size_t removed_count;
};

/* In the child of a fork, which may have struck inside of an apply: drops the entries that had been
 * moved; hits count from 0 again. */
void diag_spec_table_after_fork(struct diag_spec_table *table);

/* Disarms everything. */
void diag_spec_table_done(struct diag_spec_table *table);

/* See diag_engine_apply. */
DIAG_MUST_CHECK enum diag_status diag_spec_table_apply(struct diag_spec_table *table,
                                                       struct diag_spec **specs, size_t spec_count,
                                                       uint64_t now_unix_ns,
                                                       struct diag_error *err);

/* Takes out what has expired or was stopped on the hit path. */
void diag_spec_table_sweep(struct diag_spec_table *table, uint64_t now_unix_ns);

/* Looks again for the targets of pending specs; `is_importing`: not in modules whose code still
 * runs. True if a status changed. */
bool diag_spec_table_retry(struct diag_spec_table *table, bool is_importing);

/* Follows targets that were replaced. */
void diag_spec_table_verify(struct diag_spec_table *table);

bool diag_spec_table_has_pending(const struct diag_spec_table *table);

enum diag_spec_state diag_spec_entry_state(const struct diag_spec_entry *entry);
void diag_spec_entry_status(const struct diag_spec_entry *entry, struct diag_spec_status *out);

#endif
