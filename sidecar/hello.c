/* SPDX-License-Identifier: MIT */
#include "sidecar/hello.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/version.h"
#include "lib/base/wire.h"

enum {
    SYNC_REQUEST_FIELD_HELLO = 1,
    HELLO_FIELD_SIDECAR_UID = 1,
    HELLO_FIELD_VERSION = 2,
    HELLO_FIELD_HOST = 3,
    HELLO_FIELD_LABELS = 4,
    HELLO_FIELD_HELD = 5,
    LABEL_FIELD_KEY = 1,
    LABEL_FIELD_VALUE = 2,
    HELD_FIELD_ID = 1,
    HELD_FIELD_REVISION = 2,
};
#define FIELD_ROOM 11

static void put_label(struct diag_wire_writer *writer, const struct diag_label *label) {
    size_t mark = diag_wire_begin(writer, HELLO_FIELD_LABELS);

    diag_wire_put_bytes(writer, LABEL_FIELD_KEY, diag_bytes_from_text(label->key));
    diag_wire_put_bytes(writer, LABEL_FIELD_VALUE, diag_bytes_from_text(label->value));
    diag_wire_end(writer, mark);
}

static void put_held(struct diag_wire_writer *writer, const struct diag_held_spec *held) {
    size_t mark = diag_wire_begin(writer, HELLO_FIELD_HELD);

    diag_wire_put_bytes(writer, HELD_FIELD_ID, diag_bytes_from_text(held->id));
    diag_wire_put_varint(writer, HELD_FIELD_REVISION, held->revision);
    diag_wire_end(writer, mark);
}

static size_t room_for(const char *host, const struct diag_sidecar_labels *labels,
                       const struct diag_spec_table *specs) {
    size_t room = 8 * FIELD_ROOM + 64 + strlen(host), cursor = 0;
    const struct diag_held_spec *held;

    for (size_t i = 0; i < labels->count; i++)
        room += 3 * FIELD_ROOM + strlen(labels->items[i].key) + strlen(labels->items[i].value);
    while ((held = diag_spec_table_next(specs, &cursor)) != NULL)
        room += 3 * FIELD_ROOM + strlen(held->id);
    return room;
}

struct diag_rpc_message *diag_hello_make(const char *sidecar_uid, const char *host,
                                         const struct diag_sidecar_labels *labels,
                                         const struct diag_spec_table *specs) {
    size_t room = room_for(host, labels, specs), cursor = 0, mark;
    DIAG_CLEANUP(diag_freep) uint8_t *data = malloc(room);
    const struct diag_held_spec *held;
    struct diag_wire_writer writer;

    if (data == NULL)
        return NULL;
    writer = diag_wire_writer_make(data, room);
    mark = diag_wire_begin(&writer, SYNC_REQUEST_FIELD_HELLO);
    diag_wire_put_bytes(&writer, HELLO_FIELD_SIDECAR_UID, diag_bytes_from_text(sidecar_uid));
    diag_wire_put_bytes(&writer, HELLO_FIELD_VERSION, diag_bytes_from_text(DIAG_VERSION));
    diag_wire_put_bytes(&writer, HELLO_FIELD_HOST, diag_bytes_from_text(host));
    for (size_t i = 0; i < labels->count; i++)
        put_label(&writer, &labels->items[i]);
    while ((held = diag_spec_table_next(specs, &cursor)) != NULL)
        put_held(&writer, held);
    diag_wire_end(&writer, mark);
    if (writer.has_overflowed)
        return NULL;
    return diag_rpc_message_copy(diag_bytes_make(data, diag_wire_size(&writer)));
}
