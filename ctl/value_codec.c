/* SPDX-License-Identifier: MIT */
#include "ctl/value_codec.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/base64.h"
#include "ctl/memory.h"
#include "lib/base/map.h"

/* Field numbers of diagnose/v1/value.proto. */
enum {
    VALUE_NONE = 1,
    VALUE_BOOL = 2,
    VALUE_INT = 3,
    VALUE_FLOAT = 4,
    VALUE_STR = 5,
    VALUE_BYTES = 6,
    VALUE_LIST = 7,
    VALUE_DICT = 8,
    VALUE_REPR = 9,
    VALUE_ORIGINAL_SIZE = 15,
    LIST_ITEMS = 1,
    DICT_ENTRIES = 1,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2,
    REPR_TYPE = 1,
    REPR_TEXT = 2,
};

static enum diag_status decode(struct diag_bytes encoded, unsigned depth,
                               struct diag_document **out);

/* The last field `number` of `message` that has this wire type; empty if there is none. */
static enum diag_status find_bytes(struct diag_bytes message, uint32_t number,
                                   struct diag_bytes *out) {
    struct diag_wire_reader reader = diag_wire_reader_make(message);
    struct diag_wire_field field;
    enum diag_status status;

    *out = diag_bytes_make(NULL, 0);
    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK)
        if (field.number == number && field.type == DIAG_WIRE_BYTES)
            *out = field.bytes;
    return status == DIAG_ERR_CLOSED ? DIAG_OK : status;
}

static enum diag_status decode_list(struct diag_bytes encoded, unsigned depth,
                                    struct diag_document **out) {
    DIAG_CLEANUP(diag_document_freep) struct diag_document *list = diag_document_list();
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        struct diag_document *item;

        if (field.number != LIST_ITEMS || field.type != DIAG_WIRE_BYTES)
            continue;
        status = decode(field.bytes, depth, &item);
        if (status != DIAG_OK)
            return status;
        diag_document_add(list, item);
    }
    if (status != DIAG_ERR_CLOSED)
        return status;
    *out = DIAG_TAKE_PTR(list);
    return DIAG_OK;
}

/* As a list of [KEY, VALUE] pairs. */
static enum diag_status decode_pairs(struct diag_bytes encoded, unsigned depth,
                                     struct diag_document **out) {
    DIAG_CLEANUP(diag_document_freep) struct diag_document *pairs = diag_document_list();
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        struct diag_document *pair;

        if (field.number != DICT_ENTRIES || field.type != DIAG_WIRE_BYTES)
            continue;
        pair = diag_document_add(pairs, diag_document_list());
        for (uint32_t number = ENTRY_KEY; number <= ENTRY_VALUE; number++) {
            struct diag_document *member;
            struct diag_bytes bytes;

            status = find_bytes(field.bytes, number, &bytes);
            if (status == DIAG_OK)
                status = decode(bytes, depth, &member);
            if (status != DIAG_OK)
                return status;
            diag_document_add(pair, member);
        }
    }
    if (status != DIAG_ERR_CLOSED)
        return status;
    *out = DIAG_TAKE_PTR(pairs);
    return DIAG_OK;
}

static bool can_be_map(const struct diag_document *pairs) {
    DIAG_CLEANUP(diag_map_done) struct diag_map seen = {0};

    for (size_t i = 0; i < pairs->item_count; i++) {
        const struct diag_document *key = pairs->items[i]->items[0];

        if (key->kind != DIAG_DOCUMENT_TEXT || key->text[0] == '$' ||
            strlen(key->text) != key->text_size || diag_map_get(&seen, key->text) != NULL ||
            diag_map_put(&seen, key->text, &seen) != DIAG_OK)
            return false;
    }
    return true;
}

/* Takes the pairs. */
static struct diag_document *dict_of_pairs(struct diag_document *pairs) {
    struct diag_document *map = diag_document_map();

    if (!can_be_map(pairs)) {
        diag_document_put(map, "$dict", pairs);
        return map;
    }
    for (size_t i = 0; i < pairs->item_count; i++) {
        struct diag_document *pair = pairs->items[i];

        diag_document_put(map, pair->items[0]->text, pair->items[1]);
        pair->item_count = 1;
    }
    diag_document_free(pairs);
    return map;
}

static enum diag_status decode_dict(struct diag_bytes encoded, unsigned depth,
                                    struct diag_document **out) {
    struct diag_document *pairs;
    enum diag_status status = decode_pairs(encoded, depth, &pairs);

    if (status != DIAG_OK)
        return status;
    *out = dict_of_pairs(pairs);
    return DIAG_OK;
}

static enum diag_status decode_repr(struct diag_bytes encoded, struct diag_document **out) {
    struct diag_document *repr;
    struct diag_bytes type, text;
    enum diag_status status = find_bytes(encoded, REPR_TYPE, &type);

    if (status == DIAG_OK)
        status = find_bytes(encoded, REPR_TEXT, &text);
    if (status != DIAG_OK)
        return status;
    *out = diag_document_map();
    repr = diag_document_put(*out, "$repr", diag_document_map());
    diag_document_put(repr, "type", diag_document_bytes(type));
    diag_document_put(repr, "text", diag_document_bytes(text));
    return DIAG_OK;
}

static struct diag_document *document_of_bytes(struct diag_bytes bytes) {
    DIAG_CLEANUP(diag_freep) char *encoded = diag_base64_encode(bytes);
    struct diag_document *map = diag_document_map();

    diag_document_put(map, "$bytes", diag_document_text(encoded));
    return map;
}

static enum diag_status decode_nested(const struct diag_wire_field *field, unsigned depth,
                                      struct diag_document **out) {
    switch (field->number) {
    case VALUE_STR:
        if (!diag_bytes_is_utf8(field->bytes))
            return DIAG_ERR_PROTOCOL;
        *out = diag_document_bytes(field->bytes);
        return DIAG_OK;
    case VALUE_BYTES:
        *out = document_of_bytes(field->bytes);
        return DIAG_OK;
    case VALUE_LIST:
        return decode_list(field->bytes, depth + 1, out);
    case VALUE_DICT:
        return decode_dict(field->bytes, depth + 1, out);
    default:
        return decode_repr(field->bytes, out);
    }
}

/* DIAG_ERR_NOT_FOUND: a field that says nothing of the value's kind, to be skipped. */
static enum diag_status decode_field(const struct diag_wire_field *field, unsigned depth,
                                     struct diag_document **out) {
    double number;

    if (field->number >= VALUE_STR && field->number <= VALUE_REPR && field->type == DIAG_WIRE_BYTES)
        return decode_nested(field, depth, out);
    if (field->number == VALUE_NONE && field->type == DIAG_WIRE_VARINT)
        *out = diag_document_null();
    else if (field->number == VALUE_BOOL && field->type == DIAG_WIRE_VARINT)
        *out = diag_document_bool(field->integer != 0);
    else if (field->number == VALUE_INT && field->type == DIAG_WIRE_VARINT)
        *out = diag_document_int(diag_wire_zigzag_decode(field->integer));
    else if (field->number == VALUE_FLOAT && field->type == DIAG_WIRE_FIXED64) {
        memcpy(&number, &field->integer, sizeof number);
        *out = diag_document_float(number);
    } else
        return DIAG_ERR_NOT_FOUND;
    return DIAG_OK;
}

static enum diag_status decode(struct diag_bytes encoded, unsigned depth,
                               struct diag_document **out) {
    DIAG_CLEANUP(diag_document_freep) struct diag_document *value = NULL;
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    uint64_t original_size = 0;
    enum diag_status status;

    if (depth > DIAG_VALUE_DEPTH_MAX)
        return DIAG_ERR_PROTOCOL;
    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        struct diag_document *found = NULL;

        if (field.number == VALUE_ORIGINAL_SIZE && field.type == DIAG_WIRE_VARINT)
            original_size = field.integer;
        status = decode_field(&field, depth, &found);
        if (status == DIAG_ERR_NOT_FOUND)
            continue;
        if (status != DIAG_OK)
            return status;
        diag_document_free(value);
        value = found;
    }
    if (status != DIAG_ERR_CLOSED)
        return status;
    if (value == NULL) /* a kind that a later release has added */
        value = diag_document_null();
    if (original_size != 0) {
        struct diag_document *cut = diag_document_map();

        diag_document_put(cut, "$cut", value);
        diag_document_put(cut, "original_size", diag_document_uint(original_size));
        value = cut;
    }
    *out = DIAG_TAKE_PTR(value);
    return DIAG_OK;
}

enum diag_status diag_value_decode(struct diag_bytes encoded, struct diag_document **out) {
    return decode(encoded, 0, out);
}

enum diag_status diag_value_from_dict(const Diagnose__V1__DictValue *dict,
                                      struct diag_document **out) {
    size_t size = diagnose__v1__dict_value__get_packed_size(dict);
    DIAG_CLEANUP(diag_freep) uint8_t *encoded = diag_memory_new(size + 1, 1);

    diagnose__v1__dict_value__pack(dict, encoded);
    return decode_dict(diag_bytes_make(encoded, size), 0, out);
}
