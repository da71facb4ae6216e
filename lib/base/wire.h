/* SPDX-License-Identifier: MIT */
/* wire - the protobuf wire format, both ways, without allocation.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/. Groups are refused, as proto3 has
 * none. The writer fills memory of its caller; lengths of nested messages are three-byte
 * varints, padded, which every parser accepts, so that nothing is moved afterwards.
 *
 * Threading: none needed; a reader or writer belongs to one thread at a time. */
#ifndef DIAG_LIB_BASE_WIRE_H
#define DIAG_LIB_BASE_WIRE_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

enum diag_wire_type {
    DIAG_WIRE_VARINT = 0,
    DIAG_WIRE_FIXED64 = 1,
    DIAG_WIRE_BYTES = 2,
    DIAG_WIRE_FIXED32 = 5,
};

/* ---- reading ---- */

struct diag_wire_field {
    uint32_t number;
    enum diag_wire_type type;
    uint64_t integer;        /* VARINT, FIXED64, FIXED32 */
    struct diag_bytes bytes; /* BYTES: borrowed from the message */
};

struct diag_wire_reader {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct diag_wire_reader diag_wire_reader_make(struct diag_bytes message) {
    /* nothing may be added to NULL, not even 0 */
    struct diag_wire_reader reader = {message.data, message.size > 0 ? message.data + message.size
                                                                     : message.data};
    return reader;
}

/* Reads the next field. DIAG_ERR_CLOSED: the message is at its end. DIAG_ERR_PROTOCOL: what
 * follows is not a field. */
DIAG_MUST_CHECK enum diag_status diag_wire_next(struct diag_wire_reader *reader,
                                                struct diag_wire_field *field);

static inline int64_t diag_wire_zigzag_decode(uint64_t value) {
    return (int64_t)((value >> 1) ^ (~(value & 1) + 1));
}

/* ---- writing ---- */

/* Nested messages longer than this overflow the writer. */
#define DIAG_WIRE_NESTED_MAX ((1u << 21) - 1)
#define DIAG_WIRE_NESTED_LENGTH_SIZE 3

struct diag_wire_writer {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    bool has_overflowed; /* once set, further writes do nothing */
};

static inline struct diag_wire_writer diag_wire_writer_make(void *data, size_t capacity) {
    struct diag_wire_writer writer = {(uint8_t *)data, (uint8_t *)data, (uint8_t *)data + capacity,
                                      false};
    return writer;
}

static inline size_t diag_wire_size(const struct diag_wire_writer *writer) {
    return (size_t)(writer->at - writer->start);
}

/* Room that is left, in bytes. */
static inline size_t diag_wire_room(const struct diag_wire_writer *writer) {
    return writer->has_overflowed ? 0 : (size_t)(writer->end - writer->at);
}

/* False: there is not as much, which is remembered. */
static inline bool diag_wire_has_room(struct diag_wire_writer *writer, size_t size) {
    if (DIAG_LIKELY(diag_wire_room(writer) >= size))
        return true;
    writer->has_overflowed = true;
    return false;
}

/* The least bytes that hold `value` as a varint: 1 to 10. */
static inline size_t diag_wire_varint_size(uint64_t value) {
    size_t size = 1;

    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

/* Room for it has been made sure of. */
static inline void diag_wire_write_varint(struct diag_wire_writer *writer, uint64_t value) {
    while (value >= 0x80) {
        *writer->at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *writer->at++ = (uint8_t)value;
}

static inline uint64_t diag_wire_tag(uint32_t number, enum diag_wire_type type) {
    return (uint64_t)number << 3 | (uint64_t)type;
}

static inline void diag_wire_put_varint(struct diag_wire_writer *writer, uint32_t number,
                                        uint64_t value) {
    uint64_t tag = diag_wire_tag(number, DIAG_WIRE_VARINT);

    if (!diag_wire_has_room(writer, diag_wire_varint_size(tag) + diag_wire_varint_size(value)))
        return;
    diag_wire_write_varint(writer, tag);
    diag_wire_write_varint(writer, value);
}

static inline void diag_wire_put_sint(struct diag_wire_writer *writer, uint32_t number,
                                      int64_t value) {
    uint64_t sign = value < 0 ? UINT64_MAX : 0;

    diag_wire_put_varint(writer, number, ((uint64_t)value << 1) ^ sign);
}

static inline void diag_wire_put_fixed64(struct diag_wire_writer *writer, uint32_t number,
                                         uint64_t value) {
    uint64_t tag = diag_wire_tag(number, DIAG_WIRE_FIXED64);

    if (!diag_wire_has_room(writer, diag_wire_varint_size(tag) + 8))
        return;
    diag_wire_write_varint(writer, tag);
    value = htole64(value);
    memcpy(writer->at, &value, sizeof value);
    writer->at += sizeof value;
}

static inline void diag_wire_put_double(struct diag_wire_writer *writer, uint32_t number,
                                        double value) {
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    diag_wire_put_fixed64(writer, number, bits);
}

/* Bytes that are encoded already. */
static inline void diag_wire_put_raw(struct diag_wire_writer *writer, struct diag_bytes encoded) {
    if (encoded.size == 0 || !diag_wire_has_room(writer, encoded.size))
        return;
    memcpy(writer->at, encoded.data, encoded.size);
    writer->at += encoded.size;
}

void diag_wire_put_bytes(struct diag_wire_writer *writer, uint32_t number, struct diag_bytes value);

/* Opens a nested message; give what it returns to diag_wire_end. */
static inline size_t diag_wire_begin(struct diag_wire_writer *writer, uint32_t number) {
    uint64_t tag = diag_wire_tag(number, DIAG_WIRE_BYTES);

    if (!diag_wire_has_room(writer, diag_wire_varint_size(tag) + DIAG_WIRE_NESTED_LENGTH_SIZE))
        return 0;
    diag_wire_write_varint(writer, tag);
    writer->at += DIAG_WIRE_NESTED_LENGTH_SIZE;
    return diag_wire_size(writer);
}

static inline void diag_wire_end(struct diag_wire_writer *writer, size_t mark) {
    size_t length = diag_wire_size(writer) - mark;
    uint8_t *at;

    if (writer->has_overflowed)
        return;
    if (length > DIAG_WIRE_NESTED_MAX) {
        writer->has_overflowed = true;
        return;
    }
    at = writer->start + mark - DIAG_WIRE_NESTED_LENGTH_SIZE;
    at[0] = (uint8_t)(length | 0x80);
    at[1] = (uint8_t)(length >> 7 | 0x80);
    at[2] = (uint8_t)(length >> 14 & 0x7F);
}

/* Takes back everything after `size` bytes, an overflow included. */
static inline void diag_wire_rewind(struct diag_wire_writer *writer, size_t size) {
    writer->at = writer->start + size;
    writer->has_overflowed = false;
}

DIAG_DECLS_END

#endif
