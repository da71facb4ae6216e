/* SPDX-License-Identifier: MIT */
#include "lib/event/message_check.h"

#include "lib/event/event_check.h"
#include "lib/event/event_encoder.h"

/* One level of a nested dict is three messages: Value, DictValue, DictEntry. */
#define MESSAGE_DEPTH_MAX (3 * DIAG_EVENT_DEPTH_MAX)

#define FIELD_SPEC_ID 1

static const struct diag_field_rule *find_rule(const struct diag_field_rule *rules, size_t count,
                                               uint32_t number) {
    for (size_t i = 0; i < count; i++)
        if ((rules[i].number & ~DIAG_FIELD_SINGLE) == number)
            return &rules[i];
    return NULL;
}

enum diag_status diag_message_check(struct diag_bytes message, const struct diag_field_rule *rules,
                                    size_t rule_count, unsigned depth) {
    struct diag_wire_reader reader = diag_wire_reader_make(message);
    struct diag_wire_field field;
    uint32_t seen = 0; /* a bit for each rule */
    enum diag_status status;

    if (depth > MESSAGE_DEPTH_MAX)
        return DIAG_ERR_PROTOCOL;
    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        const struct diag_field_rule *rule = find_rule(rules, rule_count, field.number);
        if (rule == NULL)
            continue;
        if ((rule->number & DIAG_FIELD_SINGLE) != 0 && (seen >> (rule - rules) & 1) != 0)
            return DIAG_ERR_PROTOCOL;
        seen |= UINT32_C(1) << (rule - rules);
        if (field.type != rule->type || (rule->is_text && !diag_bytes_is_utf8(field.bytes)))
            return DIAG_ERR_PROTOCOL;
        if (rule->check != NULL && rule->check(field.bytes, depth + 1) != DIAG_OK)
            return DIAG_ERR_PROTOCOL;
    }
    return status == DIAG_ERR_CLOSED ? DIAG_OK : status;
}

enum diag_status diag_message_check_keyed(struct diag_bytes message,
                                          const struct diag_field_rule *rules, size_t rule_count,
                                          struct diag_bytes *spec_id) {
    struct diag_wire_reader reader = diag_wire_reader_make(message);
    struct diag_wire_field first;

    if (diag_wire_next(&reader, &first) != DIAG_OK || first.number != FIELD_SPEC_ID ||
        first.type != DIAG_WIRE_BYTES || first.bytes.size == 0)
        return DIAG_ERR_PROTOCOL;
    if (diag_message_check(message, rules, rule_count, 0) != DIAG_OK)
        return DIAG_ERR_PROTOCOL;
    if (spec_id != NULL)
        *spec_id = first.bytes;
    return DIAG_OK;
}

enum diag_status diag_tag_check(struct diag_bytes message, unsigned depth) {
    static const struct diag_field_rule rules[] = {
        {DIAG_TAG_FIELD_KEY, DIAG_WIRE_BYTES, true, NULL},
        {DIAG_TAG_FIELD_VALUE, DIAG_WIRE_BYTES, true, NULL},
    };

    return diag_message_check(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}
