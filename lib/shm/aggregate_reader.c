/* SPDX-License-Identifier: MIT */
#include "lib/shm/aggregate_reader.h"

#include <string.h>

#include "lib/shm/aggregate_histogram.h"
#include "lib/shm/aggregate_slot.h"

#define TRIES_MAX 16
#define KEY_WORDS (DIAG_SHM_AGGREGATE_KEY_MAX / 8)

/* A slot as it is in the segment; positions of buckets and all. */
struct copy {
    struct diag_aggregate_seen seen;
    uint32_t state, key_size, is_rescaling;
    uint64_t start_unix_ns, min, max;
    uint64_t key[KEY_WORDS];
    int32_t scale;
    struct diag_shm_buckets positive, negative;
    uint64_t positive_counts[DIAG_SHM_BUCKETS], negative_counts[DIAG_SHM_BUCKETS];
};

static const struct diag_shm_aggregates *aggregates_of(const struct diag_aggregate_reader *reader) {
    return (const struct diag_shm_aggregates *)(const void *)reader->segment->aggregates;
}

void diag_aggregate_reader_init(struct diag_aggregate_reader *reader,
                                const struct diag_segment *segment) {
    memset(reader, 0, sizeof *reader);
    reader->segment = segment;
}

static struct diag_aggregate_seen look_at(const struct diag_shm_aggregate *head) {
    struct diag_aggregate_seen seen;

    seen.sequence = diag_slot_load(head->sequence);
    seen.generation = diag_slot_load(head->generation);
    /* acquire: pairs with the release in aggregate_writer.c, so that the sum is that of the count
     * or a later one */
    seen.count = diag_slot_load(head->count);
    seen.sum = diag_slot_load(head->sum);
    return seen;
}

static bool is_same(const struct diag_aggregate_seen *a, const struct diag_aggregate_seen *b) {
    return a->generation == b->generation && a->sequence == b->sequence && a->sum == b->sum &&
           a->count == b->count;
}

static struct diag_shm_buckets load_buckets(const struct diag_shm_buckets *buckets) {
    return (struct diag_shm_buckets){diag_slot_load(buckets->start), diag_slot_load(buckets->end)};
}

static void copy_slot(const struct diag_shm_aggregate *head, bool is_histogram, struct copy *copy) {
    const struct diag_shm_histogram *histogram = (const struct diag_shm_histogram *)head;

    /* first: what is read after RETIRED was seen is final */
    copy->state = diag_slot_load(head->state);
    copy->seen = look_at(head);
    copy->key_size = diag_slot_load(head->key_size);
    copy->start_unix_ns = diag_slot_load(head->start_unix_ns);
    for (size_t i = 0; i < KEY_WORDS; i++)
        copy->key[i] = diag_slot_load(head->key[i]);
    if (!is_histogram)
        return;
    copy->min = diag_slot_load(head->min);
    copy->max = diag_slot_load(head->max);
    copy->scale = diag_slot_load(head->scale);
    copy->is_rescaling = diag_slot_load(head->is_rescaling);
    copy->positive = load_buckets(&histogram->positive);
    copy->negative = load_buckets(&histogram->negative);
    for (size_t i = 0; i < DIAG_SHM_BUCKETS; i++) {
        copy->positive_counts[i] = diag_slot_load(histogram->positive_counts[i]);
        copy->negative_counts[i] = diag_slot_load(histogram->negative_counts[i]);
    }
}

/* A copy between two equal, even looks at the sequence; of a dead process any. */
static enum diag_status copy_whole(const struct diag_shm_aggregate *head, bool is_histogram,
                                   bool is_dead, struct copy *copy) {
    for (int i = 0; i < TRIES_MAX; i++) {
        copy_slot(head, is_histogram, copy);
        if (is_dead)
            return DIAG_OK;
        if ((copy->seen.sequence & 1) == 0 &&
            __atomic_load_n(&head->sequence, __ATOMIC_RELAXED) == copy->seen.sequence)
            return DIAG_OK;
    }
    return DIAG_ERR_BUSY;
}

static bool take_buckets(const struct diag_shm_buckets *range,
                         const uint64_t counts[DIAG_SHM_BUCKETS],
                         struct diag_aggregate_buckets *out, uint64_t *total) {
    int64_t size = (int64_t)range->end - range->start + 1;

    out->offset = 0;
    out->count = 0;
    if (size <= 0)
        return true;
    if (size > DIAG_SHM_BUCKETS)
        return false;
    out->offset = range->start;
    out->count = (uint32_t)size;
    for (uint32_t i = 0; i < out->count; i++) {
        out->counts[i] = counts[diag_histogram_position((int32_t)(range->start + (int64_t)i))];
        *total += out->counts[i];
    }
    return true;
}

static enum diag_status take_histogram(const struct copy *copy, struct diag_aggregate_value *out) {
    if ((copy->seen.sequence & 1) != 0 && copy->is_rescaling != 0)
        return DIAG_ERR_CLOSED;
    if (copy->scale < DIAG_SHM_SCALE_MIN || copy->scale > DIAG_SHM_SCALE_MAX)
        return DIAG_ERR_PROTOCOL;
    out->scale = copy->scale;
    out->min = diag_slot_double(copy->min);
    out->max = diag_slot_double(copy->max);
    out->zero_count = out->count = copy->seen.count;
    if (!take_buckets(&copy->positive, copy->positive_counts, &out->positive, &out->count) ||
        !take_buckets(&copy->negative, copy->negative_counts, &out->negative, &out->count))
        return DIAG_ERR_PROTOCOL;
    return DIAG_OK;
}

static enum diag_status take(const struct copy *copy, struct diag_aggregate_value *out) {
    enum diag_status status = DIAG_OK;

    if (copy->state == DIAG_SHM_AGGREGATE_FREE)
        return DIAG_ERR_NOT_FOUND; /* unused, or its process was killed when it made it */
    if (copy->state > DIAG_SHM_AGGREGATE_RETIRED || copy->key_size == 0 ||
        copy->key_size > DIAG_SHM_AGGREGATE_KEY_MAX)
        return DIAG_ERR_PROTOCOL;
    out->seen = copy->seen;
    out->is_final = copy->state == DIAG_SHM_AGGREGATE_RETIRED;
    out->key_size = copy->key_size;
    memcpy(out->key, copy->key, sizeof out->key);
    out->start_unix_ns = copy->start_unix_ns;
    out->sum = diag_slot_double(copy->seen.sum);
    out->count = copy->seen.count;
    if (out->is_histogram)
        status = take_histogram(copy, out);
    return status;
}

/* A retired slot is new until it is released, and never again. */
static bool is_new(const struct diag_shm_aggregate *head,
                   const struct diag_aggregate_seen *accepted) {
    bool is_retired = diag_slot_load(head->state) == DIAG_SHM_AGGREGATE_RETIRED;
    struct diag_aggregate_seen seen = look_at(head);

    if (seen.generation == 0)
        return false;
    return is_retired ? diag_slot_load(head->released) != seen.generation
                      : !is_same(&seen, accepted);
}

static void set_seen(struct diag_aggregate_reader *reader, uint32_t slot,
                     const struct diag_aggregate_seen *seen, bool is_final) {
    reader->seen[slot] = *seen;
    if (is_final) /* release: the process may use it again, for another key */
        diag_slot_store(diag_slot_at(aggregates_of(reader), slot)->released, seen->generation);
}

enum diag_status diag_aggregate_reader_read(struct diag_aggregate_reader *reader, uint32_t slot,
                                            bool is_dead, struct diag_aggregate_value *out) {
    const struct diag_shm_aggregate *head = diag_slot_at(aggregates_of(reader), slot);
    enum diag_status status;
    struct copy copy;

    if (!is_new(head, &reader->seen[slot]))
        return DIAG_ERR_NOT_FOUND;
    out->slot = slot;
    out->is_histogram = diag_slot_is_histogram(slot);
    status = copy_whole(head, out->is_histogram, is_dead, &copy);
    if (status != DIAG_OK)
        return status;
    status = take(&copy, out);
    if (status != DIAG_OK)
        set_seen(reader, slot, &copy.seen, copy.state == DIAG_SHM_AGGREGATE_RETIRED);
    return status;
}

void diag_aggregate_reader_accept(struct diag_aggregate_reader *reader,
                                  const struct diag_aggregate_value *value) {
    set_seen(reader, value->slot, &value->seen, value->is_final);
}

void diag_aggregate_reader_repeat(struct diag_aggregate_reader *reader) {
    memset(reader->seen, 0, sizeof reader->seen);
}

void diag_aggregate_reader_discard(struct diag_aggregate_reader *reader) {
    diag_aggregate_reader_repeat(reader);
    for (uint32_t slot = 0; slot < DIAG_SHM_AGGREGATES; slot++) {
        struct diag_shm_aggregate *head = diag_slot_at(aggregates_of(reader), slot);

        if (diag_slot_load(head->state) == DIAG_SHM_AGGREGATE_RETIRED)
            diag_slot_store(head->released, diag_slot_load(head->generation));
    }
}
