/* SPDX-License-Identifier: MIT */
/* How it works: each message type is a row of fields with the wire type that each must have.
 * Values nest, so the walk recurses, at most DIAG_EVENT_DEPTH_MAX deep. Unknown fields are let
 * through, as any protobuf parser would: an event of a newer library is still an event. */
#include "lib/event/event_check.h"

#include "lib/base/wire.h"
#include "lib/event/event_encoder.h"

/* One level of a nested dict is three messages: Value, DictValue, DictEntry. */
#define MESSAGE_DEPTH_MAX (3 * DIAG_EVENT_DEPTH_MAX)

typedef enum diag_status check_fn(struct diag_bytes message, unsigned depth);

/* What a known field must be. */
struct field_rule {
    uint32_t number;
    enum diag_wire_type type;
    bool is_text;    /* must be UTF-8 */
    check_fn *check; /* a nested message, or NULL */
};

static enum diag_status check_value(struct diag_bytes message, unsigned depth);

static const struct field_rule *find_rule(const struct field_rule *rules, size_t count,
                                          uint32_t number) {
    for (size_t i = 0; i < count; i++)
        if (rules[i].number == number)
            return &rules[i];
    return NULL;
}

static enum diag_status check_message(struct diag_bytes message, const struct field_rule *rules,
                                      size_t rule_count, unsigned depth) {
    struct diag_wire_reader reader = diag_wire_reader_make(message);
    struct diag_wire_field field;
    enum diag_status status;

    if (depth > MESSAGE_DEPTH_MAX)
        return DIAG_ERR_PROTOCOL;
    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        const struct field_rule *rule = find_rule(rules, rule_count, field.number);
        if (rule == NULL)
            continue;
        if (field.type != rule->type || (rule->is_text && !diag_bytes_is_utf8(field.bytes)))
            return DIAG_ERR_PROTOCOL;
        if (rule->check != NULL && rule->check(field.bytes, depth + 1) != DIAG_OK)
            return DIAG_ERR_PROTOCOL;
    }
    return status == DIAG_ERR_CLOSED ? DIAG_OK : status;
}

static enum diag_status check_list(struct diag_bytes message, unsigned depth) {
    static const struct field_rule rules[] = {
        {DIAG_LIST_FIELD_ITEMS, DIAG_WIRE_BYTES, false, check_value},
    };

    return check_message(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

static enum diag_status check_dict_entry(struct diag_bytes message, unsigned depth) {
    static const struct field_rule rules[] = {
        {DIAG_DICT_ENTRY_FIELD_KEY, DIAG_WIRE_BYTES, false, check_value},
        {DIAG_DICT_ENTRY_FIELD_VALUE, DIAG_WIRE_BYTES, false, check_value},
    };

    return check_message(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

static enum diag_status check_dict(struct diag_bytes message, unsigned depth) {
    static const struct field_rule rules[] = {
        {DIAG_DICT_FIELD_ENTRIES, DIAG_WIRE_BYTES, false, check_dict_entry},
    };

    return check_message(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

static enum diag_status check_repr(struct diag_bytes message, unsigned depth) {
    static const struct field_rule rules[] = {
        {DIAG_REPR_FIELD_TYPE, DIAG_WIRE_BYTES, true, NULL},
        {DIAG_REPR_FIELD_TEXT, DIAG_WIRE_BYTES, true, NULL},
    };

    return check_message(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

static enum diag_status check_value(struct diag_bytes message, unsigned depth) {
    static const struct field_rule rules[] = {
        {DIAG_VALUE_FIELD_NONE, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_VALUE_FIELD_BOOL, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_VALUE_FIELD_INT, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_VALUE_FIELD_FLOAT, DIAG_WIRE_FIXED64, false, NULL},
        {DIAG_VALUE_FIELD_STR, DIAG_WIRE_BYTES, true, NULL},
        {DIAG_VALUE_FIELD_BYTES, DIAG_WIRE_BYTES, false, NULL},
        {DIAG_VALUE_FIELD_LIST, DIAG_WIRE_BYTES, false, check_list},
        {DIAG_VALUE_FIELD_DICT, DIAG_WIRE_BYTES, false, check_dict},
        {DIAG_VALUE_FIELD_REPR, DIAG_WIRE_BYTES, false, check_repr},
        {DIAG_VALUE_FIELD_ORIGINAL_SIZE, DIAG_WIRE_VARINT, false, NULL},
    };

    return check_message(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

static enum diag_status check_tag(struct diag_bytes message, unsigned depth) {
    static const struct field_rule rules[] = {
        {DIAG_TAG_FIELD_KEY, DIAG_WIRE_BYTES, true, NULL},
        {DIAG_TAG_FIELD_VALUE, DIAG_WIRE_BYTES, true, NULL},
    };

    return check_message(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

enum diag_status diag_event_check(struct diag_bytes event, struct diag_bytes *spec_id) {
    static const struct field_rule rules[] = {
        {DIAG_EVENT_FIELD_SPEC_ID, DIAG_WIRE_BYTES, true, NULL},
        {DIAG_EVENT_FIELD_SPEC_REVISION, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_EVENT_FIELD_KIND, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_EVENT_FIELD_TIME_UNIX_NANOS, DIAG_WIRE_FIXED64, false, NULL},
        {DIAG_EVENT_FIELD_THREAD_ID, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_EVENT_FIELD_VALUE, DIAG_WIRE_BYTES, false, check_value},
        {DIAG_EVENT_FIELD_TAGS, DIAG_WIRE_BYTES, false, check_tag},
        {DIAG_EVENT_FIELD_ERROR, DIAG_WIRE_BYTES, true, NULL},
    };
    struct diag_wire_reader reader = diag_wire_reader_make(event);
    struct diag_wire_field first;

    if (event.size > DIAG_EVENT_MAX)
        return DIAG_ERR_TOO_LARGE;
    if (diag_wire_next(&reader, &first) != DIAG_OK || first.number != DIAG_EVENT_FIELD_SPEC_ID ||
        first.type != DIAG_WIRE_BYTES || first.bytes.size == 0)
        return DIAG_ERR_PROTOCOL;
    if (check_message(event, rules, DIAG_ARRAY_SIZE(rules), 0) != DIAG_OK)
        return DIAG_ERR_PROTOCOL;
    if (spec_id != NULL)
        *spec_id = first.bytes;
    return DIAG_OK;
}
