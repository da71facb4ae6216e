/* SPDX-License-Identifier: MIT */
#include "lib/event/aggregate_check.h"

#include "lib/event/aggregate_encoder.h"
#include "lib/event/message_check.h"

#define SCALE_MIN (-10)
#define SCALE_MAX 20
#define VARINT_MAX 10

static enum diag_status check_counter(struct diag_bytes message, unsigned depth) {
    static const struct diag_field_rule rules[] = {
        {DIAG_COUNTER_FIELD_SUM, DIAG_WIRE_FIXED64, false, NULL},
        {DIAG_COUNTER_FIELD_COUNT, DIAG_WIRE_VARINT, false, NULL},
    };

    return diag_message_check(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

/* Packed varints: none unfinished, none too long, not too many. */
static enum diag_status check_counts(struct diag_bytes packed, unsigned depth) {
    size_t count = 0, length = 0;

    (void)depth;
    for (size_t i = 0; i < packed.size; i++) {
        if (++length > VARINT_MAX || (length == VARINT_MAX && packed.data[i] > 1))
            return DIAG_ERR_PROTOCOL;
        if (packed.data[i] >= 0x80)
            continue;
        length = 0;
        count++;
    }
    return length == 0 && count <= DIAG_AGGREGATE_BUCKETS_MAX ? DIAG_OK : DIAG_ERR_PROTOCOL;
}

static enum diag_status check_buckets(struct diag_bytes message, unsigned depth) {
    static const struct diag_field_rule rules[] = {
        {DIAG_BUCKETS_FIELD_OFFSET, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_BUCKETS_FIELD_COUNTS, DIAG_WIRE_BYTES, false, check_counts},
    };

    return diag_message_check(message, rules, DIAG_ARRAY_SIZE(rules), depth);
}

static enum diag_status check_histogram(struct diag_bytes message, unsigned depth) {
    static const struct diag_field_rule rules[] = {
        {DIAG_HISTOGRAM_FIELD_COUNT, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_HISTOGRAM_FIELD_SUM, DIAG_WIRE_FIXED64, false, NULL},
        {DIAG_HISTOGRAM_FIELD_SCALE, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_HISTOGRAM_FIELD_ZERO_COUNT, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_HISTOGRAM_FIELD_POSITIVE, DIAG_WIRE_BYTES, false, check_buckets},
        {DIAG_HISTOGRAM_FIELD_NEGATIVE, DIAG_WIRE_BYTES, false, check_buckets},
        {DIAG_HISTOGRAM_FIELD_MIN, DIAG_WIRE_FIXED64, false, NULL},
        {DIAG_HISTOGRAM_FIELD_MAX, DIAG_WIRE_FIXED64, false, NULL},
    };
    struct diag_wire_reader reader = diag_wire_reader_make(message);
    struct diag_wire_field field;
    enum diag_status status = diag_message_check(message, rules, DIAG_ARRAY_SIZE(rules), depth);

    while (status == DIAG_OK && diag_wire_next(&reader, &field) == DIAG_OK)
        if (field.number == DIAG_HISTOGRAM_FIELD_SCALE) {
            int64_t scale = diag_wire_zigzag_decode(field.integer);

            if (scale < SCALE_MIN || scale > SCALE_MAX)
                status = DIAG_ERR_PROTOCOL;
        }
    return status;
}

/* One, and only once: parsers would merge two of a kind. */
static bool has_one_value(struct diag_bytes aggregate) {
    struct diag_wire_reader reader = diag_wire_reader_make(aggregate);
    struct diag_wire_field field;
    unsigned count = 0;

    while (diag_wire_next(&reader, &field) == DIAG_OK)
        if (field.number == DIAG_AGGREGATE_FIELD_COUNTER ||
            field.number == DIAG_AGGREGATE_FIELD_HISTOGRAM)
            count++;
    return count == 1;
}

enum diag_status diag_aggregate_check(struct diag_bytes aggregate, struct diag_bytes *spec_id) {
    static const struct diag_field_rule rules[] = {
        {DIAG_AGGREGATE_FIELD_SPEC_ID, DIAG_WIRE_BYTES, true, NULL},
        {DIAG_AGGREGATE_FIELD_SPEC_REVISION, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_AGGREGATE_FIELD_NAME, DIAG_WIRE_BYTES, true, NULL},
        {DIAG_AGGREGATE_FIELD_START_UNIX_NANOS, DIAG_WIRE_FIXED64, false, NULL},
        {DIAG_AGGREGATE_FIELD_TIME_UNIX_NANOS, DIAG_WIRE_FIXED64, false, NULL},
        {DIAG_AGGREGATE_FIELD_IS_OVERFLOW, DIAG_WIRE_VARINT, false, NULL},
        {DIAG_AGGREGATE_FIELD_TAGS, DIAG_WIRE_BYTES, false, diag_tag_check},
        {DIAG_AGGREGATE_FIELD_COUNTER, DIAG_WIRE_BYTES, false, check_counter},
        {DIAG_AGGREGATE_FIELD_HISTOGRAM, DIAG_WIRE_BYTES, false, check_histogram},
    };

    if (aggregate.size > DIAG_AGGREGATE_MAX)
        return DIAG_ERR_TOO_LARGE;
    if (!has_one_value(aggregate))
        return DIAG_ERR_PROTOCOL;
    return diag_message_check_keyed(aggregate, rules, DIAG_ARRAY_SIZE(rules), spec_id);
}
