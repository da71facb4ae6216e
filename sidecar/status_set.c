/* SPDX-License-Identifier: MIT */
#include "sidecar/status_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/v1/local.pb-c.h"
#include "diagnose/v1/process.pb-c.h"
#include "lib/base/cleanup.h"
#include "lib/base/wire.h"
#include "lib/rpc/message.h"

#define SPEC_ID_MAX 128
#define MESSAGE_MAX 1024
#define MECHANISM_MAX 64

enum {
    PROCESS_STATUS_FIELD_PROCESS = 1,
    PROCESS_STATUS_FIELD_STATUSES = 2,
    PROCESS_STATUS_FIELD_LOST_EVENTS = 3,
    SPEC_STATUS_FIELD_HITS = 7,
    SPEC_STATUS_FIELD_ERRORS = 8,
    SPEC_STATUS_FIELD_DROPPED = 9,
};
#define COUNTERS_ROOM (3 * 11)
#define NESTED_ROOM 4

struct entry {
    char *spec_id;
    struct diag_buffer identity; /* an encoded SpecStatus without its counters */
    uint64_t hits, errors, dropped;
    bool is_removed;
};

static void entry_free(struct entry *entry) {
    if (entry == NULL)
        return;
    free(entry->spec_id);
    diag_buffer_done(&entry->identity);
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

static enum diag_status check(const Diagnose__V1__SpecStatus *status, struct diag_error *err) {
    if (status->spec_id[0] == '\0' || strlen(status->spec_id) > SPEC_ID_MAX)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "statuses.spec_id: %s",
                              status->spec_id[0] == '\0' ? "empty" : "over 128 bytes");
    if (strlen(status->message) > MESSAGE_MAX)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "statuses.message: over %d bytes",
                              MESSAGE_MAX);
    if (strlen(status->mechanism) > MECHANISM_MAX)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "statuses.mechanism: over %d bytes",
                              MECHANISM_MAX);
    return DIAG_OK;
}

static enum diag_status pack_identity(const Diagnose__V1__SpecStatus *status,
                                      struct diag_buffer *out, struct diag_error *err) {
    Diagnose__V1__SpecStatus identity = *status;
    size_t size;

    identity.hits = 0;
    identity.errors = 0;
    identity.dropped = 0;
    /* Unknown fields stay: they may be what a newer process tells a newer controller. */
    size = diagnose__v1__spec_status__get_packed_size(&identity);
    if (diag_buffer_reserve(out, size + 1) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "status");
    out->size = diagnose__v1__spec_status__pack(&identity, out->data);
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

static enum diag_status merge_one(struct diag_status_set *set,
                                  const Diagnose__V1__SpecStatus *status, bool *is_news,
                                  struct diag_error *err) {
    struct diag_buffer identity = {0};
    struct entry *entry;
    enum diag_status result = check(status, err);

    if (result == DIAG_OK)
        result = find_or_add(set, status->spec_id, &entry, err);
    if (result == DIAG_OK)
        result = pack_identity(status, &identity, err);
    if (result != DIAG_OK) {
        diag_buffer_done(&identity);
        return result;
    }
    if (!diag_bytes_equal(diag_buffer_bytes(&identity), diag_buffer_bytes(&entry->identity)))
        *is_news = true;
    diag_buffer_done(&entry->identity);
    entry->identity = identity;
    entry->hits = status->hits;
    entry->errors = status->errors;
    entry->dropped = status->dropped;
    entry->is_removed = status->state == DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_REMOVED;
    set->has_removed |= entry->is_removed;
    return DIAG_OK;
}

enum diag_status diag_status_set_merge(struct diag_status_set *set, struct diag_bytes report,
                                       bool *is_news, struct diag_error *err) {
    ProtobufCMessage *message = diag_rpc_unpack(&diagnose__v1__local_report__descriptor, report);
    const Diagnose__V1__LocalReport *local = (const Diagnose__V1__LocalReport *)message;
    enum diag_status status = DIAG_OK;

    if (message == NULL)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "REPORT: %zu bytes that are no LocalReport", report.size);
    for (size_t i = 0; i < local->n_statuses && status == DIAG_OK; i++)
        status = merge_one(set, local->statuses[i], is_news, err);
    protobuf_c_message_free_unpacked(message, NULL);
    return status;
}

static size_t room_for(const struct diag_status_set *set, struct diag_bytes info) {
    size_t room = NESTED_ROOM + info.size + COUNTERS_ROOM;
    size_t cursor = 0;
    struct entry *entry;

    while ((entry = diag_map_next(&set->by_spec, &cursor)) != NULL)
        room += NESTED_ROOM + entry->identity.size + COUNTERS_ROOM;
    return room;
}

static void put_counter(struct diag_wire_writer *writer, uint32_t number, uint64_t value) {
    if (value != 0)
        diag_wire_put_varint(writer, number, value);
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
        put_counter(&writer, SPEC_STATUS_FIELD_HITS, entry->hits);
        put_counter(&writer, SPEC_STATUS_FIELD_ERRORS, entry->errors);
        put_counter(&writer, SPEC_STATUS_FIELD_DROPPED, entry->dropped);
        diag_wire_end(&writer, mark);
    }
    put_counter(&writer, PROCESS_STATUS_FIELD_LOST_EVENTS, lost_events);
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
