/* SPDX-License-Identifier: MIT */
#include "ctl/event_view.h"

#include <inttypes.h>
#include <string.h>

#include "ctl/aggregate_view.h"
#include "ctl/escape.h"
#include "ctl/memory.h"
#include "ctl/spec_view.h"
#include "ctl/tag_view.h"
#include "ctl/time_text.h"
#include "ctl/value_codec.h"
#include "lib/base/wire.h"

/* Field numbers of diagnose/v1/event.proto and events_service.proto. */
enum {
    RESPONSE_BATCHES = 1,
    RESPONSE_LOST = 2,
    RESPONSE_STARTED = 3,
    BATCH_PROCESS_UID = 1,
    BATCH_PID = 2,
    BATCH_EVENTS = 3,
    BATCH_LOST = 4,
    BATCH_AGGREGATES = 5,
    EVENT_SPEC_ID = 1,
    EVENT_SPEC_REVISION = 2,
    EVENT_KIND = 3,
    EVENT_TIME = 4,
    EVENT_THREAD_ID = 5,
    EVENT_VALUE = 6,
    EVENT_TAGS = 7,
    EVENT_ERROR = 8,
};
enum { KIND_HIT = 1, KIND_ERROR = 2 };

struct event {
    struct diag_bytes spec_id, value, error;
    uint64_t spec_revision, kind, time_unix_nanos, thread_id;
    bool has_value;
};

static void read_event_field(struct event *event, const struct diag_wire_field *field) {
    bool is_bytes = field->type == DIAG_WIRE_BYTES;

    switch (field->number) {
    case EVENT_SPEC_ID:
        event->spec_id = field->bytes;
        break;
    case EVENT_SPEC_REVISION:
        event->spec_revision = field->integer;
        break;
    case EVENT_KIND:
        event->kind = field->integer;
        break;
    case EVENT_TIME:
        event->time_unix_nanos = field->integer;
        break;
    case EVENT_THREAD_ID:
        event->thread_id = field->integer;
        break;
    case EVENT_VALUE:
        event->value = field->bytes;
        event->has_value = is_bytes;
        break;
    case EVENT_ERROR:
        event->error = field->bytes;
        break;
    default:
        break;
    }
}

static enum diag_status read_event(struct diag_bytes encoded, struct event *event,
                                   struct diag_document *tags) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        read_event_field(event, &field);
        if (field.number != EVENT_TAGS)
            continue;
        status = diag_tag_view_read(field.bytes, tags);
        if (status != DIAG_OK)
            return status;
    }
    return status == DIAG_ERR_CLOSED ? DIAG_OK : status;
}

struct batch {
    struct diag_bytes process_uid;
    uint64_t pid, lost;
};

static const char *kind_name(uint64_t kind) {
    return kind == KIND_HIT ? "hit" : kind == KIND_ERROR ? "error" : "unspecified";
}

static enum diag_status add_event(struct diag_document *events, const struct batch *batch,
                                  struct diag_bytes encoded) {
    DIAG_CLEANUP(diag_document_freep) struct diag_document *tags = diag_document_list();
    struct diag_document *map, *value = NULL;
    struct event event = {0};
    enum diag_status status = read_event(encoded, &event, tags);

    if (status == DIAG_OK && event.has_value)
        status = diag_value_decode(event.value, &value);
    if (status != DIAG_OK)
        return status;
    map = diag_document_add(events, diag_document_map());
    diag_spec_view_put_time(map, "time", event.time_unix_nanos);
    diag_document_put(map, "process_uid", diag_document_bytes(batch->process_uid));
    diag_document_put(map, "pid", diag_document_uint(batch->pid));
    diag_document_put(map, "thread_id", diag_document_uint(event.thread_id));
    diag_document_put(map, "spec_id", diag_document_bytes(event.spec_id));
    diag_document_put(map, "spec_revision", diag_document_uint(event.spec_revision));
    diag_document_put(map, "kind", diag_document_text(kind_name(event.kind)));
    if (event.kind == KIND_ERROR)
        diag_document_put(map, "error", diag_document_bytes(event.error));
    if (value != NULL)
        diag_document_put(map, "value", value);
    diag_document_put(map, "tags", DIAG_TAKE_PTR(tags));
    return DIAG_OK;
}

static enum diag_status add_aggregate(struct diag_document *events, const struct batch *batch,
                                      struct diag_bytes encoded) {
    DIAG_CLEANUP(diag_document_freep) struct diag_document *map = diag_document_map();
    enum diag_status status;

    diag_document_put(map, "process_uid", diag_document_bytes(batch->process_uid));
    diag_document_put(map, "pid", diag_document_uint(batch->pid));
    status = diag_aggregate_view_read(encoded, map);
    if (status == DIAG_OK)
        diag_document_add(events, DIAG_TAKE_PTR(map));
    return status;
}

static enum diag_status add_item(struct diag_document *events, const struct batch *batch,
                                 const struct diag_wire_field *field) {
    if (field->number == BATCH_EVENTS)
        return add_event(events, batch, field->bytes);
    if (field->number == BATCH_AGGREGATES)
        return add_aggregate(events, batch, field->bytes);
    return DIAG_OK;
}

static enum diag_status read_batch(struct diag_bytes encoded, struct batch *batch) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        if (field.number == BATCH_PROCESS_UID)
            batch->process_uid = field.bytes;
        if (field.number == BATCH_PID)
            batch->pid = field.integer;
        if (field.number == BATCH_LOST)
            batch->lost = field.integer;
    }
    return status == DIAG_ERR_CLOSED ? DIAG_OK : status;
}

static enum diag_status add_batch(struct diag_event_view *view, struct diag_bytes encoded) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    struct batch batch = {0};
    enum diag_status status = read_batch(encoded, &batch);

    if (status != DIAG_OK)
        return status;
    while (diag_wire_next(&reader, &field) == DIAG_OK)
        if (add_item(view->events, &batch, &field) != DIAG_OK)
            view->malformed++;
    if (batch.lost > 0) {
        struct diag_document *loss = diag_document_add(view->losses, diag_document_map());

        diag_document_put(loss, "process_uid", diag_document_bytes(batch.process_uid));
        diag_document_put(loss, "pid", diag_document_uint(batch.pid));
        diag_document_put(loss, "lost", diag_document_uint(batch.lost));
    }
    return DIAG_OK;
}

enum diag_status diag_event_view_init(struct diag_event_view *view, struct diag_bytes response) {
    struct diag_wire_reader reader = diag_wire_reader_make(response);
    struct diag_event_view fresh = {.events = diag_document_list(), .losses = diag_document_list()};
    struct diag_wire_field field;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        if (field.number == RESPONSE_LOST)
            fresh.lost = field.integer;
        if (field.number == RESPONSE_STARTED)
            fresh.is_started = field.integer != 0;
        if (field.number == RESPONSE_BATCHES)
            status = add_batch(&fresh, field.bytes);
        if (status != DIAG_OK)
            break;
    }
    if (status != DIAG_ERR_CLOSED) {
        diag_event_view_done(&fresh);
        return DIAG_ERR_PROTOCOL;
    }
    *view = fresh;
    return DIAG_OK;
}

void diag_event_view_done(struct diag_event_view *view) {
    diag_document_free(view->events);
    diag_document_free(view->losses);
}

static void append_plain(struct diag_buffer *out, const struct diag_document *map,
                         const char *key) {
    const struct diag_document *item = diag_document_get(map, key);

    if (item != NULL && item->kind == DIAG_DOCUMENT_TEXT)
        diag_escape_plain(out, diag_bytes_make(item->text, item->text_size));
}

void diag_event_view_append_line(struct diag_buffer *out, const struct diag_document *event) {
    const struct diag_document *value = diag_document_get(event, "value");
    char time[DIAG_TIME_TEXT_SIZE];

    diag_time_of_day(time, diag_document_get_uint(event, "time_unix_nanos"));
    diag_memory_append_format(out, "%s pid=%" PRIu64 " ", time,
                              diag_document_get_uint(event, "pid"));
    append_plain(out, event, "spec_id");
    diag_memory_append_text(out, " ");
    if (diag_document_get(event, "error") != NULL) {
        diag_memory_append_text(out, "error: ");
        append_plain(out, event, "error");
    } else if (value != NULL) {
        diag_value_append_text(out, value);
    } else if (diag_document_get(event, "sum") != NULL) {
        diag_aggregate_view_append_text(out, event);
    }
    diag_tag_view_append_text(out, diag_document_get(event, "tags"));
    diag_memory_append_text(out, "\n");
}
