/* SPDX-License-Identifier: MIT */
/* Any bytes as a protobuf message: fields lie within it, and survive being written again. */
#include "lib/base/wire.h"
#include "tests/fuzz/fuzz_input.h"

static void write_field(struct diag_wire_writer *writer, const struct diag_wire_field *field) {
    switch (field->type) {
    case DIAG_WIRE_VARINT:
        diag_wire_put_varint(writer, field->number, field->integer);
        break;
    case DIAG_WIRE_FIXED64:
        diag_wire_put_fixed64(writer, field->number, field->integer);
        break;
    case DIAG_WIRE_BYTES:
        diag_wire_put_bytes(writer, field->number, field->bytes);
        break;
    case DIAG_WIRE_FIXED32: /* nothing of ours writes one */
        break;
    }
}

static void check_round_trip(const struct diag_wire_field *field) {
    static uint8_t buffer[1 << 16];
    struct diag_wire_writer writer = diag_wire_writer_make(buffer, sizeof buffer);
    struct diag_wire_reader reader;
    struct diag_wire_field again;

    write_field(&writer, field);
    if (writer.has_overflowed || diag_wire_size(&writer) == 0)
        return;
    reader = diag_wire_reader_make(diag_bytes_make(buffer, diag_wire_size(&writer)));
    MUST(diag_wire_next(&reader, &again) == DIAG_OK);
    MUST(again.number == field->number && again.type == field->type);
    MUST(again.integer == field->integer && diag_bytes_equal(again.bytes, field->bytes));
    MUST(diag_wire_next(&reader, &again) == DIAG_ERR_CLOSED);
}

/* A writer with little room stops within it. */
static void check_overflow(struct diag_bytes message, size_t room) {
    uint8_t *buffer = malloc(room + 1);
    struct diag_wire_writer writer = diag_wire_writer_make(buffer, room);
    struct diag_wire_reader reader = diag_wire_reader_make(message);
    struct diag_wire_field field;
    size_t mark = diag_wire_begin(&writer, 1);

    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        diag_wire_put_sint(&writer, field.number, (int64_t)field.integer);
        write_field(&writer, &field);
    }
    if (mark != 0)
        diag_wire_end(&writer, mark);
    MUST(diag_wire_size(&writer) <= room);
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct diag_bytes message = {data, size};
    struct diag_wire_reader reader = diag_wire_reader_make(message);
    struct diag_wire_field field;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        MUST(field.number > 0 && field.number < UINT32_C(1) << 29);
        if (field.type == DIAG_WIRE_BYTES)
            MUST(field.bytes.data >= data && field.bytes.data + field.bytes.size <= data + size);
        check_round_trip(&field);
    }
    MUST(status == DIAG_ERR_CLOSED || status == DIAG_ERR_PROTOCOL);
    if (size > 0)
        check_overflow(message, data[0]);
    return 0;
}
