/* SPDX-License-Identifier: MIT */
#include "lib/base/wire.h"

#define TAG_SIZE_MAX 5 /* bytes of a varint of 32 bits */

static enum diag_status read_varint(struct diag_wire_reader *reader, uint64_t *out) {
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;

        if (reader->at == reader->end)
            return DIAG_ERR_PROTOCOL;
        byte = *reader->at++;
        if (shift == 63 && byte > 1)
            return DIAG_ERR_PROTOCOL;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out = value;
            return DIAG_OK;
        }
    }
    return DIAG_ERR_PROTOCOL;
}

static enum diag_status read_fixed(struct diag_wire_reader *reader, size_t size, uint64_t *out) {
    uint64_t value = 0;

    if ((size_t)(reader->end - reader->at) < size)
        return DIAG_ERR_PROTOCOL;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)reader->at[i] << (8 * i);
    reader->at += size;
    *out = value;
    return DIAG_OK;
}

enum diag_status diag_wire_next(struct diag_wire_reader *reader, struct diag_wire_field *field) {
    struct diag_wire_field next = {0};
    enum diag_status status;
    const uint8_t *start;
    uint64_t tag, length;

    if (reader->at == reader->end)
        return DIAG_ERR_CLOSED;
    start = reader->at;
    status = read_varint(reader, &tag);
    if (status != DIAG_OK)
        return status;
    /* other parsers take no tag that is longer than it need be at most */
    if (tag >> 3 == 0 || tag >> 32 != 0 || reader->at - start > TAG_SIZE_MAX)
        return DIAG_ERR_PROTOCOL;
    next.number = (uint32_t)(tag >> 3);
    switch (tag & 7) {
    case DIAG_WIRE_VARINT:
        next.type = DIAG_WIRE_VARINT;
        status = read_varint(reader, &next.integer);
        break;
    case DIAG_WIRE_FIXED64:
        next.type = DIAG_WIRE_FIXED64;
        status = read_fixed(reader, 8, &next.integer);
        break;
    case DIAG_WIRE_FIXED32:
        next.type = DIAG_WIRE_FIXED32;
        status = read_fixed(reader, 4, &next.integer);
        break;
    case DIAG_WIRE_BYTES:
        next.type = DIAG_WIRE_BYTES;
        status = read_varint(reader, &length);
        if (status != DIAG_OK)
            return status;
        if (length > (uint64_t)(reader->end - reader->at))
            return DIAG_ERR_PROTOCOL;
        next.bytes = diag_bytes_make(reader->at, (size_t)length);
        reader->at += length;
        break;
    default:
        return DIAG_ERR_PROTOCOL;
    }
    if (status != DIAG_OK)
        return status;
    *field = next;
    return DIAG_OK;
}

void diag_wire_put_bytes(struct diag_wire_writer *writer, uint32_t number,
                         struct diag_bytes value) {
    uint64_t tag = diag_wire_tag(number, DIAG_WIRE_BYTES);

    if (!diag_wire_has_room(writer, diag_wire_varint_size(tag) + diag_wire_varint_size(value.size) +
                                        value.size))
        return;
    diag_wire_write_varint(writer, tag);
    diag_wire_write_varint(writer, value.size);
    diag_wire_put_raw(writer, value);
}
