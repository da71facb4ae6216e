/* SPDX-License-Identifier: MIT */
#include "sidecar/drain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/event/aggregate_check.h"
#include "lib/event/aggregate_encoder.h"
#include "lib/event/event_check.h"

enum {
    REPORT_REQUEST_FIELD_BATCHES = 2,
    BATCH_FIELD_PROCESS_UID = 1,
    BATCH_FIELD_PID = 2,
    BATCH_FIELD_EVENTS = 3,
    BATCH_FIELD_LOST = 4,
    BATCH_FIELD_AGGREGATES = 5,
};

/* Tag and length of an event; what a batch begins with, `lost` included. */
#define EVENT_ROOM (4 + DIAG_SHM_RECORD_MAX)
#define AGGREGATE_ROOM (4 + DIAG_AGGREGATE_MAX)
#define BATCH_ROOM (4 + 2 + DIAG_UID_SIZE + 6 + 11)

enum diag_status diag_drain_init(struct diag_drain *drain, struct diag_error *err) {
    uint8_t *request = malloc(DIAG_DRAIN_REQUEST_MAX);

    if (request == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "report request");
    drain->request_count = 0;
    drain->request = request;
    drain->writer = diag_wire_writer_make(request, DIAG_DRAIN_REQUEST_MAX);
    return DIAG_OK;
}

void diag_drain_done(struct diag_drain *drain) {
    free(drain->request);
    drain->request = NULL;
}

static enum diag_status read_event(struct diag_drain *drain, struct diag_drain_source *source,
                                   bool is_dead, size_t *size) {
    return is_dead ? diag_ring_reader_salvage(&source->reader, drain->event, size)
                   : diag_ring_reader_next(&source->reader, drain->event, size);
}

static void count_lost(struct diag_drain_source *source, uint64_t count) {
    source->lost += count;
    source->lost_total += count;
}

/* What ring and producer have counted since the last time. */
static uint64_t take_ring_losses(struct diag_drain_source *source) {
    uint64_t torn = source->reader.torn - source->torn_seen;

    source->torn_seen = source->reader.torn;
    return torn + diag_ring_reader_take_dropped(&source->reader);
}

/* A batch that is being written. */
struct batch {
    size_t start; /* of its field in the request */
    size_t mark;
    size_t begun; /* where its events begin */
};

/* Losses come before the events of the batch that tells of them. */
static struct batch begin_batch(struct diag_drain *drain, struct diag_drain_source *source) {
    struct batch batch = {.start = diag_wire_size(&drain->writer)};

    batch.mark = diag_wire_begin(&drain->writer, REPORT_REQUEST_FIELD_BATCHES);
    diag_wire_put_bytes(&drain->writer, BATCH_FIELD_PROCESS_UID,
                        diag_bytes_from_text(source->process_uid));
    diag_wire_put_varint(&drain->writer, BATCH_FIELD_PID, source->pid);
    batch.begun = diag_wire_size(&drain->writer);
    if (source->lost > 0)
        diag_wire_put_varint(&drain->writer, BATCH_FIELD_LOST, source->lost);
    source->lost = 0;
    return batch;
}

static void end_batch(struct diag_drain *drain, struct batch batch) {
    if (diag_wire_size(&drain->writer) == batch.begun)
        diag_wire_rewind(&drain->writer, batch.start);
    else
        diag_wire_end(&drain->writer, batch.mark);
}

static enum diag_drain_result collect_events(struct diag_drain *drain,
                                             struct diag_drain_source *source, bool is_dead,
                                             size_t budget, struct batch *batch) {
    size_t used = 0;

    while (used < budget) {
        struct diag_bytes event;
        uint64_t dropped;
        size_t size;

        if (diag_wire_room(&drain->writer) < EVENT_ROOM + 2 * BATCH_ROOM)
            return DIAG_DRAIN_FULL;
        /* A corrupt ring has been skipped and counted: as empty as a drained one. */
        if (read_event(drain, source, is_dead, &size) != DIAG_OK)
            return DIAG_DRAIN_EMPTY;
        used += sizeof(struct diag_shm_record) + size;
        dropped = diag_ring_reader_take_dropped_here(&source->reader);
        if (dropped > 0) {
            count_lost(source, dropped);
            end_batch(drain, *batch);
            *batch = begin_batch(drain, source);
        }
        event = diag_bytes_make(drain->event, size);
        if (diag_event_check(event, NULL) == DIAG_OK)
            diag_wire_put_bytes(&drain->writer, BATCH_FIELD_EVENTS, event);
        else
            count_lost(source, 1);
    }
    return DIAG_DRAIN_MORE;
}

enum diag_drain_result diag_drain_collect(struct diag_drain *drain,
                                          struct diag_drain_source *source, bool is_dead,
                                          size_t budget) {
    enum diag_drain_result result;
    struct batch batch;

    if (diag_wire_room(&drain->writer) < EVENT_ROOM + 3 * BATCH_ROOM)
        return DIAG_DRAIN_FULL;
    batch = begin_batch(drain, source);
    result = collect_events(drain, source, is_dead, budget, &batch);
    end_batch(drain, batch);
    /* With events still in the ring it is not known yet where the rest of the losses belong. */
    if (result == DIAG_DRAIN_EMPTY)
        count_lost(source, take_ring_losses(source));
    end_batch(drain, begin_batch(drain, source));
    return result;
}

static struct diag_aggregate_bucket_range range_of(const struct diag_aggregate_buckets *buckets) {
    return (struct diag_aggregate_bucket_range){buckets->offset, buckets->counts, buckets->count};
}

static void put_value(struct diag_wire_writer *writer, const struct diag_aggregate_value *value) {
    struct diag_aggregate_histogram histogram;

    if (!value->is_histogram) {
        diag_aggregate_put_counter(writer, value->sum, value->count);
        return;
    }
    histogram = (struct diag_aggregate_histogram){
        .count = value->count,
        .zero_count = value->zero_count,
        .sum = value->sum,
        .min = value->min,
        .max = value->max,
        .scale = value->scale,
        .positive = range_of(&value->positive),
        .negative = range_of(&value->negative),
    };
    diag_aggregate_put_histogram(writer, &histogram);
}

/* The key is the process's: only the whole shows whether it is an aggregate. */
static void put_aggregate(struct diag_drain *drain, struct diag_drain_source *source,
                          const struct diag_aggregate_value *value, uint64_t now_unix_ns) {
    struct diag_wire_writer *writer = &drain->writer;
    size_t before = diag_wire_size(writer), start;
    size_t mark = diag_wire_begin(writer, BATCH_FIELD_AGGREGATES);

    start = diag_wire_size(writer);
    diag_wire_put_raw(writer, diag_bytes_make(value->key, value->key_size));
    diag_aggregate_put_times(writer, value->start_unix_ns, now_unix_ns);
    put_value(writer, value);
    if (diag_aggregate_check(diag_bytes_make(writer->start + start, diag_wire_size(writer) - start),
                             NULL) == DIAG_OK) {
        diag_wire_end(writer, mark);
    } else {
        diag_wire_rewind(writer, before);
        count_lost(source, 1);
    }
}

enum diag_drain_result diag_drain_collect_aggregates(struct diag_drain *drain,
                                                     struct diag_drain_source *source, bool is_dead,
                                                     uint64_t now_unix_ns) {
    enum diag_drain_result result = DIAG_DRAIN_EMPTY;
    struct diag_aggregate_value value;
    struct batch batch;

    if (diag_wire_room(&drain->writer) < AGGREGATE_ROOM + 2 * BATCH_ROOM)
        return DIAG_DRAIN_FULL;
    if (source->next_slot == 0 && now_unix_ns >= source->repeat_at_unix_ns) {
        diag_aggregate_reader_repeat(&source->aggregates);
        source->repeat_at_unix_ns = now_unix_ns + DIAG_DRAIN_REPEAT_NS;
    }
    batch = begin_batch(drain, source);
    for (; source->next_slot < DIAG_SHM_AGGREGATES; source->next_slot++) {
        enum diag_status status;

        if (diag_wire_room(&drain->writer) < AGGREGATE_ROOM + BATCH_ROOM) {
            result = DIAG_DRAIN_FULL;
            break;
        }
        status =
            diag_aggregate_reader_read(&source->aggregates, source->next_slot, is_dead, &value);
        if (status == DIAG_ERR_PROTOCOL || status == DIAG_ERR_CLOSED)
            count_lost(source, 1);
        if (status != DIAG_OK)
            continue;
        if (value.count > 0)
            put_aggregate(drain, source, &value, now_unix_ns);
        diag_aggregate_reader_accept(&source->aggregates, &value);
    }
    end_batch(drain, batch);
    end_batch(drain, begin_batch(drain, source));
    if (result == DIAG_DRAIN_EMPTY)
        source->next_slot = 0;
    return result;
}

enum diag_drain_result diag_drain_discard(struct diag_drain *drain,
                                          struct diag_drain_source *source, bool is_dead,
                                          size_t budget) {
    enum diag_drain_result result = DIAG_DRAIN_MORE;
    size_t used = 0;

    while (used < budget) {
        size_t size;

        if (read_event(drain, source, is_dead, &size) != DIAG_OK) {
            result = DIAG_DRAIN_EMPTY;
            break;
        }
        used += sizeof(struct diag_shm_record) + size;
    }
    (void)take_ring_losses(source);
    diag_drain_release(source);
    return result;
}

void diag_drain_note_taken(const struct diag_drain *drain, struct diag_drain_source *source) {
    struct diag_ring_mark ring = diag_ring_reader_mark(&source->reader);
    struct diag_drain_mark *last = source->marks + source->mark_count;

    /* with more in flight than there may be, the last mark stands for both */
    if (source->mark_count == DIAG_DRAIN_IN_FLIGHT_MAX)
        last--;
    else
        source->mark_count++;
    *last = (struct diag_drain_mark){drain->request_count, ring};
}

void diag_drain_acknowledged(struct diag_drain_source *source, uint64_t request) {
    size_t count = 0;

    while (count < source->mark_count && source->marks[count].request <= request)
        count++;
    if (count == 0)
        return;
    diag_ring_reader_release_to(&source->reader, source->marks[count - 1].ring);
    source->mark_count -= count;
    memmove(source->marks, source->marks + count, source->mark_count * sizeof *source->marks);
}

void diag_drain_release(struct diag_drain_source *source) {
    diag_ring_reader_release(&source->reader);
    source->mark_count = 0;
}

enum diag_status diag_drain_take(struct diag_drain *drain, struct diag_buffer *out) {
    struct diag_bytes body = diag_bytes_make(drain->request, diag_wire_size(&drain->writer));
    struct diag_buffer buffer = {0};
    enum diag_status status = diag_buffer_reserve(&buffer, body.size + DIAG_DRAIN_SEQUENCE_ROOM);

    if (status == DIAG_OK)
        status = diag_buffer_append(&buffer, body);
    if (status != DIAG_OK) {
        diag_buffer_done(&buffer);
        return status;
    }
    diag_wire_rewind(&drain->writer, 0);
    drain->request_count++;
    *out = buffer;
    return DIAG_OK;
}
