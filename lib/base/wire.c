/* SPDX-License-Identifier: MIT */
#include "lib/base/wire.h"

#define NESTED_LENGTH_SIZE 3

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
    uint64_t tag, length;

    if (reader->at == reader->end)
        return DIAG_ERR_CLOSED;
    status = read_varint(reader, &tag);
    if (status != DIAG_OK)
        return status;
    if (tag >> 3 == 0 || tag >> 32 != 0)
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

static bool has_room(struct diag_wire_writer *writer, size_t size) {
    if (DIAG_UNLIKELY(diag_wire_room(writer) < size)) {
        writer->has_overflowed = true;
        return false;
    }
    return true;
}

size_t diag_wire_varint_size(uint64_t value) {
    size_t size = 1;

    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

static void write_varint(struct diag_wire_writer *writer, uint64_t value) {
    while (value >= 0x80) {
        *writer->at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *writer->at++ = (uint8_t)value;
}

static uint64_t tag_of(uint32_t number, enum diag_wire_type type) {
    return (uint64_t)number << 3 | (uint64_t)type;
}

void diag_wire_put_varint(struct diag_wire_writer *writer, uint32_t number, uint64_t value) {
    uint64_t tag = tag_of(number, DIAG_WIRE_VARINT);

    if (!has_room(writer, diag_wire_varint_size(tag) + diag_wire_varint_size(value)))
        return;
    write_varint(writer, tag);
    write_varint(writer, value);
}

void diag_wire_put_sint(struct diag_wire_writer *writer, uint32_t number, int64_t value) {
    uint64_t sign = value < 0 ? UINT64_MAX : 0;

    diag_wire_put_varint(writer, number, ((uint64_t)value << 1) ^ sign);
}

void diag_wire_put_fixed64(struct diag_wire_writer *writer, uint32_t number, uint64_t value) {
    uint64_t tag = tag_of(number, DIAG_WIRE_FIXED64);

    if (!has_room(writer, diag_wire_varint_size(tag) + 8))
        return;
    write_varint(writer, tag);
    for (size_t i = 0; i < 8; i++)
        *writer->at++ = (uint8_t)(value >> (8 * i));
}

void diag_wire_put_double(struct diag_wire_writer *writer, uint32_t number, double value) {
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    diag_wire_put_fixed64(writer, number, bits);
}

void diag_wire_put_bytes(struct diag_wire_writer *writer, uint32_t number,
                         struct diag_bytes value) {
    uint64_t tag = tag_of(number, DIAG_WIRE_BYTES);

    if (!has_room(writer,
                  diag_wire_varint_size(tag) + diag_wire_varint_size(value.size) + value.size))
        return;
    write_varint(writer, tag);
    write_varint(writer, value.size);
    diag_wire_put_raw(writer, value);
}

void diag_wire_put_raw(struct diag_wire_writer *writer, struct diag_bytes encoded) {
    if (encoded.size == 0 || !has_room(writer, encoded.size))
        return;
    memcpy(writer->at, encoded.data, encoded.size);
    writer->at += encoded.size;
}

size_t diag_wire_begin(struct diag_wire_writer *writer, uint32_t number) {
    uint64_t tag = tag_of(number, DIAG_WIRE_BYTES);

    if (!has_room(writer, diag_wire_varint_size(tag) + NESTED_LENGTH_SIZE))
        return 0;
    write_varint(writer, tag);
    writer->at += NESTED_LENGTH_SIZE;
    return diag_wire_size(writer);
}

void diag_wire_end(struct diag_wire_writer *writer, size_t mark) {
    size_t length = diag_wire_size(writer) - mark;
    uint8_t *at = writer->start + mark - NESTED_LENGTH_SIZE;

    if (writer->has_overflowed)
        return;
    if (length > DIAG_WIRE_NESTED_MAX) {
        writer->has_overflowed = true;
        return;
    }
    at[0] = (uint8_t)(length | 0x80);
    at[1] = (uint8_t)(length >> 7 | 0x80);
    at[2] = (uint8_t)(length >> 14 & 0x7F);
}
