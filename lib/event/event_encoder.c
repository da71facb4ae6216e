/* SPDX-License-Identifier: MIT */
#include "lib/event/event_encoder.h"

size_t diag_event_prefix(uint8_t *prefix, const char *spec_id, uint64_t spec_revision) {
    struct diag_wire_writer writer = diag_wire_writer_make(prefix, DIAG_EVENT_PREFIX_MAX);

    diag_wire_put_bytes(&writer, DIAG_EVENT_FIELD_SPEC_ID, diag_bytes_from_text(spec_id));
    diag_wire_put_varint(&writer, DIAG_EVENT_FIELD_SPEC_REVISION, spec_revision);
    return diag_wire_size(&writer);
}

void diag_event_put_tag(struct diag_wire_writer *writer, struct diag_bytes key,
                        struct diag_bytes value) {
    size_t mark = diag_wire_begin(writer, DIAG_EVENT_FIELD_TAGS);

    diag_wire_put_bytes(writer, DIAG_TAG_FIELD_KEY, key);
    diag_wire_put_bytes(writer, DIAG_TAG_FIELD_VALUE, value);
    diag_wire_end(writer, mark);
}

void diag_event_put_error(struct diag_wire_writer *writer, struct diag_bytes text) {
    diag_wire_put_bytes(writer, DIAG_EVENT_FIELD_ERROR, text);
}

static void put_original_size(struct diag_wire_writer *writer, uint64_t original_size) {
    if (original_size != 0)
        diag_wire_put_varint(writer, DIAG_VALUE_FIELD_ORIGINAL_SIZE, original_size);
}

/* None and bool: a Value whose kind is a varint of 0 or 1. */
static void put_flag(struct diag_wire_writer *writer, uint32_t number, uint32_t kind_field,
                     bool flag) {
    size_t mark = diag_wire_begin(writer, number);

    diag_wire_put_varint(writer, kind_field, flag ? 1 : 0);
    diag_wire_end(writer, mark);
}

void diag_value_put_none(struct diag_wire_writer *writer, uint32_t number) {
    put_flag(writer, number, DIAG_VALUE_FIELD_NONE, true);
}

void diag_value_put_bool(struct diag_wire_writer *writer, uint32_t number, bool value) {
    put_flag(writer, number, DIAG_VALUE_FIELD_BOOL, value);
}

/* Str and bytes: a Value whose kind is a span. */
static void put_span(struct diag_wire_writer *writer, uint32_t number, uint32_t kind_field,
                     struct diag_bytes span, uint64_t original_size) {
    size_t mark = diag_wire_begin(writer, number);

    diag_wire_put_bytes(writer, kind_field, span);
    put_original_size(writer, original_size);
    diag_wire_end(writer, mark);
}

void diag_value_put_str(struct diag_wire_writer *writer, uint32_t number, struct diag_bytes text,
                        uint64_t original_size) {
    put_span(writer, number, DIAG_VALUE_FIELD_STR, text, original_size);
}

void diag_value_put_bytes(struct diag_wire_writer *writer, uint32_t number, struct diag_bytes data,
                          uint64_t original_size) {
    put_span(writer, number, DIAG_VALUE_FIELD_BYTES, data, original_size);
}

void diag_value_put_repr(struct diag_wire_writer *writer, uint32_t number, struct diag_bytes type,
                         struct diag_bytes text, uint64_t original_size) {
    struct diag_value_mark mark = diag_value_begin(writer, number, DIAG_VALUE_FIELD_REPR);

    diag_wire_put_bytes(writer, DIAG_REPR_FIELD_TYPE, type);
    diag_wire_put_bytes(writer, DIAG_REPR_FIELD_TEXT, text);
    diag_value_end(writer, mark, original_size);
}

struct diag_value_mark diag_value_begin(struct diag_wire_writer *writer, uint32_t number,
                                        uint32_t kind_field) {
    struct diag_value_mark mark;

    mark.value = diag_wire_begin(writer, number);
    mark.container = diag_wire_begin(writer, kind_field);
    return mark;
}

void diag_value_end(struct diag_wire_writer *writer, struct diag_value_mark mark,
                    uint64_t original_size) {
    diag_wire_end(writer, mark.container);
    put_original_size(writer, original_size);
    diag_wire_end(writer, mark.value);
}
