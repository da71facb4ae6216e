/* SPDX-License-Identifier: MIT */
#include "lib/shm/aggregate_writer.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/shm/aggregate_histogram.h"
#include "lib/shm/aggregate_slot.h"

#define KEY_WORDS (DIAG_SHM_AGGREGATE_KEY_MAX / 8)

struct slot_range {
    uint32_t first, end, reserved; /* `reserved` of the last ones are for overflows */
};

static struct slot_range range_of(bool is_histogram) {
    if (is_histogram)
        return (struct slot_range){DIAG_SHM_COUNTERS, DIAG_SHM_AGGREGATES,
                                   DIAG_AGGREGATE_HISTOGRAMS_RESERVED};
    return (struct slot_range){0, DIAG_SHM_COUNTERS, DIAG_AGGREGATE_COUNTERS_RESERVED};
}

void diag_aggregate_writer_init(struct diag_aggregate_writer *writer,
                                struct diag_segment *segment) {
    diag_aggregate_writer_done(writer);
    writer->aggregates = (struct diag_shm_aggregates *)(void *)segment->aggregates;
}

void diag_aggregate_writer_done(struct diag_aggregate_writer *writer) {
    writer->aggregates = NULL;
    writer->epoch++;
    memset(writer->entries, 0, sizeof writer->entries);
    memset(writer->table, 0, sizeof writer->table);
}

/* FNV-1a, eight bytes at a time: keys are up to 640 bytes long. */
static uint64_t hash_bytes(uint64_t hash, struct diag_bytes bytes) {
    while (bytes.size > 0) {
        size_t size = bytes.size < 8 ? bytes.size : 8;
        uint64_t word = 0;

        memcpy(&word, bytes.data, size);
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29;
        bytes.data += size;
        bytes.size -= size;
    }
    return hash;
}

static uint64_t hash_spec(struct diag_bytes spec) {
    return hash_bytes(UINT64_C(0xcbf29ce484222325), spec);
}

/* ---- the table of slots ---- */

static void table_add(struct diag_aggregate_writer *writer, uint32_t slot) {
    uint64_t at = writer->entries[slot].hash;

    while (writer->table[at % DIAG_AGGREGATE_TABLE_SIZE] != 0)
        at++;
    writer->table[at % DIAG_AGGREGATE_TABLE_SIZE] = (uint16_t)(slot + 1);
}

static void table_rebuild(struct diag_aggregate_writer *writer) {
    memset(writer->table, 0, sizeof writer->table);
    for (uint32_t slot = 0; slot < DIAG_SHM_AGGREGATES; slot++)
        if (writer->entries[slot].state == DIAG_SHM_AGGREGATE_LIVE)
            table_add(writer, slot);
}

static bool has_key(const struct diag_aggregate_writer *writer, uint32_t slot,
                    struct diag_bytes spec, struct diag_bytes rest) {
    const uint8_t *key = (const uint8_t *)diag_slot_at(writer->aggregates, slot)->key;

    return writer->entries[slot].key_size == spec.size + rest.size &&
           memcmp(key, spec.data, spec.size) == 0 &&
           (rest.size == 0 || memcmp(key + spec.size, rest.data, rest.size) == 0);
}

/* The slot with this key, or -1. */
static int find(const struct diag_aggregate_writer *writer, bool is_histogram,
                struct diag_bytes spec, struct diag_bytes rest, uint64_t hash) {
    for (uint64_t at = hash; writer->table[at % DIAG_AGGREGATE_TABLE_SIZE] != 0; at++) {
        uint32_t slot = writer->table[at % DIAG_AGGREGATE_TABLE_SIZE] - 1u;

        if (writer->entries[slot].hash == hash && diag_slot_is_histogram(slot) == is_histogram &&
            has_key(writer, slot, spec, rest))
            return (int)slot;
    }
    return -1;
}

static unsigned tag_set_count(const struct diag_aggregate_writer *writer, uint64_t spec_hash) {
    unsigned count = 0;

    for (uint32_t slot = 0; slot < DIAG_SHM_AGGREGATES; slot++) {
        const struct diag_aggregate_entry *entry = &writer->entries[slot];

        if (entry->state == DIAG_SHM_AGGREGATE_LIVE && entry->spec_hash == spec_hash &&
            !entry->is_overflow)
            count++;
    }
    return count;
}

/* ---- slots ---- */

static bool is_free(const struct diag_aggregate_writer *writer, uint32_t slot) {
    const struct diag_aggregate_entry *entry = &writer->entries[slot];

    if (entry->state == DIAG_SHM_AGGREGATE_RETIRED)
        return diag_slot_load(diag_slot_at(writer->aggregates, slot)->released) ==
               entry->generation;
    return entry->state == DIAG_SHM_AGGREGATE_FREE;
}

/* Overflows take from the end, where the reserved ones are. -1: none is left. */
static int find_free(const struct diag_aggregate_writer *writer, bool is_histogram,
                     bool is_overflow) {
    struct slot_range range = range_of(is_histogram);

    if (is_overflow) {
        for (uint32_t slot = range.end; slot-- > range.first;)
            if (is_free(writer, slot))
                return (int)slot;
        return -1;
    }
    for (uint32_t slot = range.first; slot < range.end - range.reserved; slot++)
        if (is_free(writer, slot))
            return (int)slot;
    return -1;
}

static void write_key(struct diag_shm_aggregate *head, struct diag_bytes spec,
                      struct diag_bytes rest) {
    uint64_t key[KEY_WORDS] = {0};

    memcpy(key, spec.data, spec.size);
    if (rest.size > 0)
        memcpy((uint8_t *)key + spec.size, rest.data, rest.size);
    for (size_t i = 0; i < KEY_WORDS; i++)
        diag_slot_store(head->key[i], key[i]);
    diag_slot_store(head->key_size, (uint32_t)(spec.size + rest.size));
}

static void fill(struct diag_aggregate_writer *writer, uint32_t slot, struct diag_bytes spec,
                 struct diag_bytes rest) {
    struct diag_shm_aggregate *head = diag_slot_at(writer->aggregates, slot);
    struct diag_aggregate_entry *entry = &writer->entries[slot];
    uint32_t odd = diag_slot_begin(head);

    diag_slot_store(head->state, DIAG_SHM_AGGREGATE_FREE);
    diag_slot_store(head->generation, ++entry->generation);
    write_key(head, spec, rest);
    diag_slot_store(head->start_unix_ns, diag_clock_unix_ns());
    diag_slot_store(head->sum, 0);
    diag_slot_store(head->count, 0);
    if (diag_slot_is_histogram(slot))
        diag_histogram_reset(diag_slot_histogram(head));
    diag_slot_store(head->state, DIAG_SHM_AGGREGATE_LIVE);
    diag_slot_end(head, odd);
    entry->key_size = (uint16_t)(spec.size + rest.size);
    entry->spec_hash = hash_spec(spec);
    entry->hash = hash_bytes(entry->spec_hash, rest);
    entry->state = DIAG_SHM_AGGREGATE_LIVE;
}

static int make(struct diag_aggregate_writer *writer, bool is_histogram, bool is_overflow,
                struct diag_bytes spec, struct diag_bytes rest) {
    int slot = find_free(writer, is_histogram, is_overflow);
    bool is_reused;

    if (slot < 0)
        return -1;
    is_reused = writer->entries[slot].state == DIAG_SHM_AGGREGATE_RETIRED;
    fill(writer, (uint32_t)slot, spec, rest);
    writer->entries[slot].is_overflow = is_overflow;
    if (is_reused)
        table_rebuild(writer);
    else
        table_add(writer, (uint32_t)slot);
    return slot;
}

/* The overflow slot, or -1. */
static int open_overflow(struct diag_aggregate_writer *writer, bool is_histogram,
                         const struct diag_aggregate_key *key) {
    uint64_t hash = hash_bytes(hash_spec(key->spec), key->overflow);
    int slot = find(writer, is_histogram, key->spec, key->overflow, hash);

    if (slot < 0 && key->spec.size + key->overflow.size <= DIAG_SHM_AGGREGATE_KEY_MAX)
        slot = make(writer, is_histogram, true, key->spec, key->overflow);
    return slot;
}

enum diag_status diag_aggregate_writer_open(struct diag_aggregate_writer *writer, bool is_histogram,
                                            const struct diag_aggregate_key *key, uint64_t *handle,
                                            bool *is_overflow) {
    uint64_t spec_hash = hash_spec(key->spec), hash = hash_bytes(spec_hash, key->tags);
    int slot = -1;

    if (writer->aggregates == NULL)
        return DIAG_ERR_CLOSED;
    if (!key->is_overflow)
        slot = find(writer, is_histogram, key->spec, key->tags, hash);
    if (slot < 0 && !key->is_overflow &&
        key->spec.size + key->tags.size <= DIAG_SHM_AGGREGATE_KEY_MAX &&
        tag_set_count(writer, spec_hash) < DIAG_AGGREGATE_TAG_SETS_MAX)
        slot = make(writer, is_histogram, false, key->spec, key->tags);
    if (slot < 0)
        slot = open_overflow(writer, is_histogram, key);
    if (slot < 0)
        return DIAG_ERR_FULL;
    *handle = (uint64_t)writer->epoch << 32 | (uint32_t)slot;
    *is_overflow = writer->entries[slot].is_overflow;
    return DIAG_OK;
}

static void add_to_counter(struct diag_shm_aggregate *head, double value) {
    uint64_t sum = __atomic_load_n(&head->sum, __ATOMIC_RELAXED);

    while (!__atomic_compare_exchange_n(&head->sum, &sum,
                                        diag_slot_bits(diag_slot_double(sum) + value), true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
    /* release: pairs with the acquire in aggregate_reader.c, which loads the sum afterwards */
    __atomic_fetch_add(&head->count, 1, __ATOMIC_RELEASE);
}

enum diag_status diag_aggregate_writer_update(struct diag_aggregate_writer *writer, uint64_t handle,
                                              double value) {
    uint32_t slot = (uint32_t)handle;
    struct diag_shm_aggregate *head;

    if (writer->aggregates == NULL || handle >> 32 != writer->epoch || slot >= DIAG_SHM_AGGREGATES)
        return DIAG_ERR_NOT_FOUND;
    head = diag_slot_at(writer->aggregates, slot);
    if (diag_slot_is_histogram(slot))
        diag_histogram_record(diag_slot_histogram(head), value);
    else
        add_to_counter(head, value);
    return DIAG_OK;
}

void diag_aggregate_writer_retire(struct diag_aggregate_writer *writer, struct diag_bytes spec) {
    uint64_t spec_hash = hash_spec(spec);

    if (writer->aggregates == NULL)
        return;
    for (uint32_t slot = 0; slot < DIAG_SHM_AGGREGATES; slot++) {
        struct diag_aggregate_entry *entry = &writer->entries[slot];

        if (entry->state != DIAG_SHM_AGGREGATE_LIVE || entry->spec_hash != spec_hash)
            continue;
        entry->state = DIAG_SHM_AGGREGATE_RETIRED;
        /* release: whoever sees it sees the last values as well */
        diag_slot_store(diag_slot_at(writer->aggregates, slot)->state, DIAG_SHM_AGGREGATE_RETIRED);
    }
    writer->epoch++;
    table_rebuild(writer);
}
