/* SPDX-License-Identifier: MIT */
#include "sidecar/spec_table.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/wire.h"

enum {
    SNAPSHOT_FIELD_SNAPSHOT = 1,
    SNAPSHOT_FIELD_SPECS = 2,
    SNAPSHOT_FIELD_TTL_MS = 3,
};
#define FIELD_ROOM 11 /* tag and the longest varint */

static void held_free(struct diag_held_spec *held) {
    if (held == NULL)
        return;
    free(held->id);
    diag_buffer_done(&held->encoded);
    free(held);
}
DIAG_DEFINE_FREEP(held, struct diag_held_spec)

void diag_spec_table_done(struct diag_spec_table *table) {
    size_t cursor = 0;
    struct diag_held_spec *held;

    while ((held = diag_map_next(&table->by_id, &cursor)) != NULL)
        held_free(held);
    diag_map_done(&table->by_id);
    *table = (struct diag_spec_table){0};
}

enum diag_status diag_spec_table_put(struct diag_spec_table *table, const char *id,
                                     uint64_t revision, uint64_t expires_unix_ns,
                                     struct diag_bytes encoded) {
    DIAG_CLEANUP(held_freep) struct diag_held_spec *held = calloc(1, sizeof *held);
    struct diag_held_spec *replaced = diag_map_get(&table->by_id, id);

    if (held == NULL || (held->id = strdup(id)) == NULL ||
        diag_buffer_append(&held->encoded, encoded) != DIAG_OK ||
        diag_map_put(&table->by_id, id, held) != DIAG_OK)
        return DIAG_ERR_NO_MEMORY;
    held->revision = revision;
    held->expires_unix_ns = expires_unix_ns;
    (void)DIAG_TAKE_PTR(held);
    held_free(replaced);
    return DIAG_OK;
}

bool diag_spec_table_remove(struct diag_spec_table *table, const char *id) {
    struct diag_held_spec *held = diag_map_remove(&table->by_id, id);

    held_free(held);
    return held != NULL;
}

bool diag_spec_table_drop_expired(struct diag_spec_table *table, uint64_t now_unix_ns) {
    struct diag_held_spec *held;
    bool has_dropped = false;
    size_t cursor = 0;

    while ((held = diag_map_next(&table->by_id, &cursor)) != NULL) {
        if (held->expires_unix_ns == 0 || now_unix_ns < held->expires_unix_ns ||
            now_unix_ns - held->expires_unix_ns < DIAG_SPEC_TABLE_EXPIRY_GRACE_NS)
            continue;
        diag_map_remove(&table->by_id, held->id);
        held_free(held);
        has_dropped = true;
    }
    return has_dropped;
}

uint64_t diag_spec_table_next_expiry(const struct diag_spec_table *table) {
    const struct diag_held_spec *held;
    uint64_t next = 0;
    size_t cursor = 0;

    while ((held = diag_map_next(&table->by_id, &cursor)) != NULL)
        if (held->expires_unix_ns != 0 && (next == 0 || held->expires_unix_ns < next))
            next = held->expires_unix_ns;
    return next == 0 || next > UINT64_MAX - DIAG_SPEC_TABLE_EXPIRY_GRACE_NS
               ? 0
               : next + DIAG_SPEC_TABLE_EXPIRY_GRACE_NS;
}

const struct diag_held_spec *diag_spec_table_next(const struct diag_spec_table *table,
                                                  size_t *cursor) {
    return diag_map_next(&table->by_id, cursor);
}

enum diag_status diag_spec_table_encode(const struct diag_spec_table *table, uint64_t snapshot,
                                        uint64_t ttl_ms, struct diag_buffer *out) {
    size_t room = 2 * FIELD_ROOM, cursor = 0;
    const struct diag_held_spec *held;
    struct diag_wire_writer writer;

    while ((held = diag_map_next(&table->by_id, &cursor)) != NULL)
        room += FIELD_ROOM + held->encoded.size;
    if (diag_buffer_reserve(out, room) != DIAG_OK)
        return DIAG_ERR_NO_MEMORY;
    writer = diag_wire_writer_make(out->data + out->size, room);
    diag_wire_put_varint(&writer, SNAPSHOT_FIELD_SNAPSHOT, snapshot);
    cursor = 0;
    while ((held = diag_map_next(&table->by_id, &cursor)) != NULL)
        diag_wire_put_bytes(&writer, SNAPSHOT_FIELD_SPECS, diag_buffer_bytes(&held->encoded));
    diag_wire_put_varint(&writer, SNAPSHOT_FIELD_TTL_MS, ttl_ms);
    out->size += diag_wire_size(&writer);
    return DIAG_OK;
}
