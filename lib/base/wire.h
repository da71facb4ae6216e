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

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/bytes.h"

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
    struct diag_wire_reader reader = {message.data, message.data + message.size};
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

/* The least bytes that hold `value` as a varint: 1 to 10. */
size_t diag_wire_varint_size(uint64_t value);

void diag_wire_put_varint(struct diag_wire_writer *writer, uint32_t number, uint64_t value);
void diag_wire_put_sint(struct diag_wire_writer *writer, uint32_t number, int64_t value);
void diag_wire_put_fixed64(struct diag_wire_writer *writer, uint32_t number, uint64_t value);
void diag_wire_put_double(struct diag_wire_writer *writer, uint32_t number, double value);
void diag_wire_put_bytes(struct diag_wire_writer *writer, uint32_t number, struct diag_bytes value);
/* Bytes that are encoded already. */
void diag_wire_put_raw(struct diag_wire_writer *writer, struct diag_bytes encoded);

/* Opens a nested message; give what it returns to diag_wire_end. */
size_t diag_wire_begin(struct diag_wire_writer *writer, uint32_t number);
void diag_wire_end(struct diag_wire_writer *writer, size_t mark);

/* Takes back everything after `size` bytes, an overflow included. */
static inline void diag_wire_rewind(struct diag_wire_writer *writer, size_t size) {
    writer->at = writer->start + size;
    writer->has_overflowed = false;
}

DIAG_DECLS_END

#endif
