/* SPDX-License-Identifier: MIT */
#include "sidecar/status_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/spec/spec_status_codec.h"

enum {
    REPORT_FIELD_STATUSES = 2, /* diagnose.v1.LocalReport */

    PROCESS_STATUS_FIELD_PROCESS = 1,
    PROCESS_STATUS_FIELD_STATUSES = 2,
    PROCESS_STATUS_FIELD_LOST_EVENTS = 3,
};
#define FIELD_ROOM 4 /* tag and length of a nested message */
#define INTEGER_ROOM 11

/* A process is told to the controller in one piece (see roster.c). */
#define REST_MAX 4096 /* ProcessInfo, losses, and what is around them */
_Static_assert(DIAG_STATUS_SET_MAX *(DIAG_SPEC_STATUS_ENCODED_MAX + FIELD_ROOM) + REST_MAX <
                   DIAG_WIRE_NESTED_MAX,
               "the statuses of one process fit into a report");

/* An encoded SpecStatus in two parts. Unknown fields stay: they may be what a newer process tells
 * a newer controller. */
struct entry {
    char *spec_id;
    struct diag_buffer identity; /* what is news when it changes */
    struct diag_buffer counters;
    bool is_removed;
};

static void entry_free(struct entry *entry) {
    if (entry == NULL)
        return;
    free(entry->spec_id);
    diag_buffer_done(&entry->identity);
    diag_buffer_done(&entry->counters);
    free(entry);
}
DIAG_DEFINE_FREEP(entry, struct entry)

void diag_status_set_done(struct diag_status_set *set) {
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = diag_map_next(&set->by_spec, &cursor)) != NULL)
        entry_free(entry);
    diag_map_done(&set->by_spec);
    *set = (struct diag_status_set){0};
}

/* Sorts the fields of an encoded status, which has been decoded before, into the two parts. */
static enum diag_status split(struct diag_bytes encoded, struct diag_buffer *identity,
                              struct diag_buffer *counters, struct diag_error *err) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    const uint8_t *start = reader.at;
    struct diag_wire_field field;

    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        struct diag_buffer *part = diag_spec_status_is_counter(field.number) ? counters : identity;

        if (diag_buffer_append(part, diag_bytes_make(start, (size_t)(reader.at - start))) !=
            DIAG_OK)
            return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "status");
        start = reader.at;
    }
    return DIAG_OK;
}

static enum diag_status find_or_add(struct diag_status_set *set, const char *spec_id,
                                    struct entry **out, struct diag_error *err) {
    DIAG_CLEANUP(entry_freep) struct entry *added = NULL;

    *out = diag_map_get(&set->by_spec, spec_id);
    if (*out != NULL)
        return DIAG_OK;
    if (set->by_spec.count >= DIAG_STATUS_SET_MAX)
        return diag_error_set(err, DIAG_ERR_FULL, 0, "statuses: of more than %d specs",
                              DIAG_STATUS_SET_MAX);
    added = calloc(1, sizeof *added);
    if (added == NULL || (added->spec_id = strdup(spec_id)) == NULL ||
        diag_map_put(&set->by_spec, spec_id, added) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "status");
    *out = DIAG_TAKE_PTR(added);
    return DIAG_OK;
}

static void swap(struct diag_buffer *a, struct diag_buffer *b) {
    struct diag_buffer kept = *a;

    *a = *b;
    *b = kept;
}

static enum diag_status merge_one(struct diag_status_set *set, struct diag_bytes encoded,
                                  bool *is_news, struct diag_error *err) {
    DIAG_CLEANUP(diag_buffer_done) struct diag_buffer identity = {0};
    DIAG_CLEANUP(diag_buffer_done) struct diag_buffer counters = {0};
    struct diag_spec_status decoded;
    struct entry *entry;
    enum diag_status status = diag_spec_status_decode(encoded, &decoded, err);

    if (status != DIAG_OK) {
        diag_error_prefix(err, "statuses");
        return status;
    }
    status = split(encoded, &identity, &counters, err);
    if (status == DIAG_OK)
        status = find_or_add(set, decoded.spec_id, &entry, err);
    if (status != DIAG_OK)
        return status;
    if (!diag_bytes_equal(diag_buffer_bytes(&identity), diag_buffer_bytes(&entry->identity)))
        *is_news = true;
    swap(&entry->identity, &identity);
    swap(&entry->counters, &counters);
    entry->is_removed = decoded.state == DIAG_SPEC_STATE_REMOVED;
    set->has_removed |= entry->is_removed;
    return DIAG_OK;
}

enum diag_status diag_status_set_merge(struct diag_status_set *set, struct diag_bytes report,
                                       bool *is_news, struct diag_error *err) {
    struct diag_wire_reader reader = diag_wire_reader_make(report);
    struct diag_wire_field field;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        if (field.number != REPORT_FIELD_STATUSES)
            continue;
        if (field.type != DIAG_WIRE_BYTES)
            return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "statuses: malformed encoding");
        status = merge_one(set, field.bytes, is_news, err);
        if (status != DIAG_OK)
            return status;
    }
    if (status != DIAG_ERR_CLOSED)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "REPORT: %zu bytes that are no LocalReport", report.size);
    return DIAG_OK;
}

static size_t room_for(const struct diag_status_set *set, struct diag_bytes info) {
    size_t room = FIELD_ROOM + info.size + INTEGER_ROOM;
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = diag_map_next(&set->by_spec, &cursor)) != NULL)
        room += FIELD_ROOM + entry->identity.size + entry->counters.size;
    return room;
}

enum diag_status diag_status_set_encode(const struct diag_status_set *set, struct diag_bytes info,
                                        uint64_t lost_events, struct diag_buffer *out) {
    size_t room = room_for(set, info), cursor = 0;
    struct diag_wire_writer writer;
    struct entry *entry;

    if (diag_buffer_reserve(out, room) != DIAG_OK)
        return DIAG_ERR_NO_MEMORY;
    writer = diag_wire_writer_make(out->data + out->size, room);
    diag_wire_put_bytes(&writer, PROCESS_STATUS_FIELD_PROCESS, info);
    while ((entry = diag_map_next(&set->by_spec, &cursor)) != NULL) {
        size_t mark = diag_wire_begin(&writer, PROCESS_STATUS_FIELD_STATUSES);

        diag_wire_put_raw(&writer, diag_buffer_bytes(&entry->identity));
        diag_wire_put_raw(&writer, diag_buffer_bytes(&entry->counters));
        diag_wire_end(&writer, mark);
    }
    if (lost_events != 0)
        diag_wire_put_varint(&writer, PROCESS_STATUS_FIELD_LOST_EVENTS, lost_events);
    out->size += diag_wire_size(&writer);
    return DIAG_OK;
}

bool diag_status_set_forget_removed(struct diag_status_set *set) {
    bool had_removed = set->has_removed;
    size_t cursor = 0;
    struct entry *entry;

    if (!had_removed)
        return false;
    while ((entry = diag_map_next(&set->by_spec, &cursor)) != NULL) {
        if (entry->is_removed) {
            diag_map_remove(&set->by_spec, entry->spec_id);
            entry_free(entry);
        }
    }
    set->has_removed = false;
    return had_removed;
}
