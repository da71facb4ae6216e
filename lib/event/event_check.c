/* SPDX-License-Identifier: MIT */
#include "lib/event/event_check.h"

#include "lib/event/event_encoder.h"
#include "lib/event/message_check.h"

static enum diag_status check_value(struct diag_bytes message, unsigned depth);

static enum diag_status check_list(struct diag_bytes message, unsigned depth) {
    static const struct diag_field_rule rules[] = {
        {DIAG_LIST_FIELD_ITEMS, DIAG_WIRE_BYTES, false, check_value},
    };

    return diag_message_check(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

static enum diag_status check_dict_entry(struct diag_bytes message, unsigned depth) {
    static const struct diag_field_rule rules[] = {
        {DIAG_DICT_ENTRY_FIELD_KEY | DIAG_FIELD_SINGLE, DIAG_WIRE_BYTES, false, check_value},
        {DIAG_DICT_ENTRY_FIELD_VALUE | DIAG_FIELD_SINGLE, DIAG_WIRE_BYTES, false, check_value},
    };

    return diag_message_check(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

static enum diag_status check_dict(struct diag_bytes message, unsigned depth) {
    static const struct diag_field_rule rules[] = {
        {DIAG_DICT_FIELD_ENTRIES, DIAG_WIRE_BYTES, false, check_dict_entry},
    };

    return diag_message_check(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

static enum diag_status check_repr(struct diag_bytes message, unsigned depth) {
    static const struct diag_field_rule rules[] = {
        {DIAG_REPR_FIELD_TYPE, DIAG_WIRE_BYTES, true, NULL},
        {DIAG_REPR_FIELD_TEXT, DIAG_WIRE_BYTES, true, NULL},
    };

    return diag_message_check(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

static enum diag_status check_value(struct diag_bytes message, unsigned depth) {
    static const struct diag_field_rule rules[] = {
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

    return diag_message_check(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

enum diag_status diag_event_check(struct diag_bytes event, struct diag_bytes *spec_id) {
    static const struct diag_field_rule rules[] = {
        {DIAG_EVENT_FIELD_SPEC_ID, DIAG_WIRE_BYTES, true, NULL},
        {DIAG_EVENT_FIELD_SPEC_REVISION, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_EVENT_FIELD_KIND, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_EVENT_FIELD_TIME_UNIX_NANOS, DIAG_WIRE_FIXED64, false, NULL},
        {DIAG_EVENT_FIELD_THREAD_ID, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_EVENT_FIELD_VALUE | DIAG_FIELD_SINGLE, DIAG_WIRE_BYTES, false, check_value},
        {DIAG_EVENT_FIELD_TAGS, DIAG_WIRE_BYTES, false, diag_tag_check},
        {DIAG_EVENT_FIELD_ERROR, DIAG_WIRE_BYTES, true, NULL},
    };

    if (event.size > DIAG_EVENT_MAX)
        return DIAG_ERR_TOO_LARGE;
    return diag_message_check_keyed(event, rules, DIAG_ARRAY_SIZE(rules), spec_id);
}
