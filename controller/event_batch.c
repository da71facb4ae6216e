/* SPDX-License-Identifier: MIT */
#include "controller/event_batch.h"

#include <string.h>

#include "lib/base/uid.h"
#include "lib/base/wire.h"
#include "lib/event/aggregate_check.h"
#include "lib/event/event_check.h"
#include "lib/spec/spec.h"

/* Field numbers of diagnose.v1.EventBatch, and the first one of Event and Aggregate. */
enum {
    BATCH_PROCESS_UID = 1,
    BATCH_PID = 2,
    BATCH_EVENTS = 3,
    BATCH_LOST = 4,
    BATCH_AGGREGATES = 5,

    ITEM_SPEC_ID = 1,
};

static enum diag_status malformed(const char *field, struct diag_error *err) {
    return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "%s: malformed encoding", field);
}

static bool is_uid(struct diag_bytes bytes) {
    char uid[DIAG_UID_SIZE] = "";

    if (bytes.size != sizeof uid - 1)
        return false;
    memcpy(uid, bytes.data, bytes.size);
    return diag_uid_is_valid(uid);
}

/* An event or an aggregate: what belongs to a spec. */
static bool is_item(const struct diag_wire_field *field) {
    return field->number == BATCH_EVENTS || field->number == BATCH_AGGREGATES;
}

static enum diag_status check_item(const struct diag_wire_field *field,
                                   const struct diag_event_batch *batch, struct diag_error *err) {
    bool is_event = field->number == BATCH_EVENTS;
    const char *name = is_event ? "events" : "aggregates";
    enum diag_status status;

    if (field->type != DIAG_WIRE_BYTES)
        return malformed(name, err);
    status =
        is_event ? diag_event_check(field->bytes, NULL) : diag_aggregate_check(field->bytes, NULL);
    if (status == DIAG_OK)
        return DIAG_OK;
    return diag_error_set(
        err, DIAG_ERR_PROTOCOL, 0, "%s[%llu]: %s", name,
        (unsigned long long)(is_event ? batch->event_count : batch->aggregate_count),
        status == DIAG_ERR_TOO_LARGE ? "too large"
        : is_event                   ? "not an event"
                                     : "not an aggregate");
}

static enum diag_status read_field(const struct diag_wire_field *field,
                                   struct diag_event_batch *batch, bool *has_uid,
                                   struct diag_error *err) {
    if (is_item(field)) {
        enum diag_status status = check_item(field, batch, err);

        if (status != DIAG_OK)
            return status;
    }
    switch (field->number) {
    case BATCH_PROCESS_UID:
        if (field->type != DIAG_WIRE_BYTES || !is_uid(field->bytes))
            return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                                  "process_uid: not 32 hexadecimal digits");
        *has_uid = true;
        return DIAG_OK;
    case BATCH_PID:
        return field->type == DIAG_WIRE_VARINT ? DIAG_OK : malformed("pid", err);
    case BATCH_LOST:
        batch->lost = field->integer;
        return field->type == DIAG_WIRE_VARINT ? DIAG_OK : malformed("lost", err);
    case BATCH_EVENTS:
        batch->event_count++;
        return DIAG_OK;
    case BATCH_AGGREGATES:
        batch->aggregate_count++;
        return DIAG_OK;
    }
    return DIAG_OK;
}

enum diag_status diag_event_batch_read(struct diag_bytes encoded, struct diag_event_batch *out,
                                       struct diag_error *err) {
    struct diag_event_batch batch = {.encoded = encoded};
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    bool has_uid = false;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        status = read_field(&field, &batch, &has_uid, err);
        if (status != DIAG_OK)
            return status;
    }
    if (status != DIAG_ERR_CLOSED)
        return malformed("batch", err);
    if (!has_uid)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "process_uid: missing");
    *out = batch;
    return DIAG_OK;
}

/* The spec's id is the first field of either, as their checks saw to. */
static bool is_match(struct diag_bytes item, const struct diag_map *spec_ids) {
    struct diag_wire_reader reader = diag_wire_reader_make(item);
    struct diag_wire_field field;
    char id[DIAG_SPEC_ID_MAX + 1];

    if (diag_wire_next(&reader, &field) != DIAG_OK || field.number != ITEM_SPEC_ID ||
        field.bytes.size > DIAG_SPEC_ID_MAX)
        return false;
    memcpy(id, field.bytes.data, field.bytes.size);
    id[field.bytes.size] = '\0';
    return diag_map_get(spec_ids, id) != NULL;
}

uint64_t diag_event_batch_match(const struct diag_event_batch *batch,
                                const struct diag_map *spec_ids) {
    struct diag_wire_reader reader = diag_wire_reader_make(batch->encoded);
    struct diag_wire_field field;
    uint64_t count = 0;

    while (diag_wire_next(&reader, &field) == DIAG_OK)
        if (is_item(&field) && is_match(field.bytes, spec_ids))
            count++;
    return count;
}

void diag_event_batch_filter(const struct diag_event_batch *batch, const struct diag_map *spec_ids,
                             struct diag_message_builder *builder, uint32_t number) {
    struct diag_message_builder filtered = {0};
    struct diag_wire_reader reader = diag_wire_reader_make(batch->encoded);
    struct diag_wire_field field;
    const uint8_t *start = reader.at;

    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        if (!is_item(&field) || is_match(field.bytes, spec_ids))
            diag_message_builder_put_raw(&filtered,
                                         diag_bytes_make(start, (size_t)(reader.at - start)));
        start = reader.at;
    }
    diag_message_builder_put_message(builder, number, &filtered);
    diag_message_builder_done(&filtered);
}
