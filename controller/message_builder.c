/* SPDX-License-Identifier: MIT */
#include "controller/message_builder.h"

#include <errno.h>

#include "lib/base/wire.h"

/* A tag and a length or integer. */
#define FIELD_OVERHEAD_MAX 15

void diag_message_builder_done(struct diag_message_builder *builder) {
    diag_buffer_done(&builder->buffer);
    builder->has_failed = false;
}

/* A writer at the end of the buffer, with room for a field of `size` bytes. */
static bool begin(struct diag_message_builder *builder, size_t size,
                  struct diag_wire_writer *writer) {
    struct diag_buffer *buffer = &builder->buffer;

    if (builder->has_failed || size > SIZE_MAX / 4 ||
        diag_buffer_reserve(buffer, size + FIELD_OVERHEAD_MAX) != DIAG_OK) {
        builder->has_failed = true;
        return false;
    }
    *writer = diag_wire_writer_make(buffer->data + buffer->size, size + FIELD_OVERHEAD_MAX);
    return true;
}

static void end(struct diag_message_builder *builder, const struct diag_wire_writer *writer) {
    builder->buffer.size += diag_wire_size(writer);
}

void diag_message_builder_put_uint(struct diag_message_builder *builder, uint32_t number,
                                   uint64_t value) {
    struct diag_wire_writer writer;

    if (value == 0 || !begin(builder, 0, &writer))
        return;
    diag_wire_put_varint(&writer, number, value);
    end(builder, &writer);
}

void diag_message_builder_put_bytes(struct diag_message_builder *builder, uint32_t number,
                                    struct diag_bytes bytes) {
    struct diag_wire_writer writer;

    if (!begin(builder, bytes.size, &writer))
        return;
    diag_wire_put_bytes(&writer, number, bytes);
    end(builder, &writer);
}

void diag_message_builder_put_text(struct diag_message_builder *builder, uint32_t number,
                                   const char *text) {
    if (text[0] != '\0')
        diag_message_builder_put_bytes(builder, number, diag_bytes_from_text(text));
}

void diag_message_builder_put_fixed64(struct diag_message_builder *builder, uint32_t number,
                                      uint64_t value) {
    struct diag_wire_writer writer;

    if (value == 0 || !begin(builder, 0, &writer))
        return;
    diag_wire_put_fixed64(&writer, number, value);
    end(builder, &writer);
}

void diag_message_builder_put_raw(struct diag_message_builder *builder, struct diag_bytes encoded) {
    if (builder->has_failed || diag_buffer_append(&builder->buffer, encoded) != DIAG_OK)
        builder->has_failed = true;
}

void diag_message_builder_put_message(struct diag_message_builder *builder, uint32_t number,
                                      const struct diag_message_builder *inner) {
    if (inner->has_failed)
        builder->has_failed = true;
    else
        diag_message_builder_put_bytes(builder, number, diag_message_builder_bytes(inner));
}

void diag_message_builder_put_entry(struct diag_message_builder *builder, uint32_t number,
                                    const char *key, const char *value) {
    struct diag_message_builder entry = {0};

    diag_message_builder_put_text(&entry, 1, key);
    diag_message_builder_put_text(&entry, 2, value);
    diag_message_builder_put_message(builder, number, &entry);
    diag_message_builder_done(&entry);
}

enum diag_status diag_message_builder_take(const struct diag_message_builder *builder,
                                           struct diag_rpc_message **out, struct diag_error *err) {
    struct diag_rpc_message *message =
        builder->has_failed ? NULL : diag_rpc_message_copy(diag_message_builder_bytes(builder));

    if (message == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "message");
    *out = message;
    return DIAG_OK;
}
