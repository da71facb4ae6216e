/* SPDX-License-Identifier: MIT */
/* spec_table - the specs that the sidecar holds for its processes.
 *
 * Threading: the loop's thread. */
#ifndef DIAG_SIDECAR_SPEC_TABLE_H
#define DIAG_SIDECAR_SPEC_TABLE_H

#include "lib/base/bytes.h"
#include "lib/base/map.h"

DIAG_DECLS_BEGIN

/* How long an expired spec stays in snapshots: the process, which disarms it by its own clock,
 * says EXPIRED first. */
#define DIAG_SPEC_TABLE_EXPIRY_GRACE_NS UINT64_C(2000000000)

struct diag_held_spec {
    char *id;
    uint64_t revision;
    uint64_t expires_unix_ns;   /* 0: never */
    struct diag_buffer encoded; /* a diagnose.v1.Spec */
};

struct diag_spec_table {
    struct diag_map by_id; /* of struct diag_held_spec */
};

/* All zero is an empty table. */
void diag_spec_table_done(struct diag_spec_table *table);

/* Adds or replaces; copies id and bytes. DIAG_ERR_NO_MEMORY: as before. */
DIAG_MUST_CHECK enum diag_status diag_spec_table_put(struct diag_spec_table *table, const char *id,
                                                     uint64_t revision, uint64_t expires_unix_ns,
                                                     struct diag_bytes encoded);

/* True if it was there. */
bool diag_spec_table_remove(struct diag_spec_table *table, const char *id);

/* Removes what expired DIAG_SPEC_TABLE_EXPIRY_GRACE_NS ago. True if there was any. */
bool diag_spec_table_drop_expired(struct diag_spec_table *table, uint64_t now_unix_ns);

/* When diag_spec_table_drop_expired will have something to do, 0: never. */
uint64_t diag_spec_table_next_expiry(const struct diag_spec_table *table);

/* Walks the specs in no order: start with *cursor = 0, until it returns NULL. */
const struct diag_held_spec *diag_spec_table_next(const struct diag_spec_table *table,
                                                  size_t *cursor);

/* Appends an encoded diagnose.v1.SpecSnapshot. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_spec_table_encode(const struct diag_spec_table *table,
                                                        uint64_t snapshot, uint64_t ttl_ms,
                                                        struct diag_buffer *out);

DIAG_DECLS_END

#endif
