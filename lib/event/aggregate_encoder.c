/* SPDX-License-Identifier: MIT */
#include "lib/event/aggregate_encoder.h"

#include <stdlib.h>

#include "lib/event/event_encoder.h"

#define TAGS_MAX 96
#define VARINT_MAX 10

size_t diag_aggregate_put_spec(uint8_t *out, const char *spec_id, uint64_t spec_revision,
                               const char *name) {
    struct diag_wire_writer writer = diag_wire_writer_make(out, DIAG_AGGREGATE_SPEC_MAX);

    diag_wire_put_bytes(&writer, DIAG_AGGREGATE_FIELD_SPEC_ID, diag_bytes_from_text(spec_id));
    diag_wire_put_varint(&writer, DIAG_AGGREGATE_FIELD_SPEC_REVISION, spec_revision);
    diag_wire_put_bytes(&writer, DIAG_AGGREGATE_FIELD_NAME, diag_bytes_from_text(name));
    return diag_wire_size(&writer);
}

size_t diag_aggregate_put_overflow(uint8_t *out) {
    struct diag_wire_writer writer = diag_wire_writer_make(out, DIAG_AGGREGATE_OVERFLOW_MAX);

    diag_wire_put_varint(&writer, DIAG_AGGREGATE_FIELD_IS_OVERFLOW, 1);
    diag_event_put_tag(&writer, diag_bytes_from_text("otel.metric.overflow"),
                       diag_bytes_from_text("true"));
    return diag_wire_size(&writer);
}

struct tag {
    struct diag_bytes encoded; /* with its field's head */
    struct diag_bytes key, value;
};

static int compare_bytes(struct diag_bytes a, struct diag_bytes b) {
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_tags(const void *a, const void *b) {
    const struct tag *left = a, *right = b;
    int order = compare_bytes(left->key, right->key);

    return order != 0 ? order : compare_bytes(left->value, right->value);
}

static void read_tag(struct diag_bytes encoded, struct tag *tag) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;

    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        if (field.number == DIAG_TAG_FIELD_KEY)
            tag->key = field.bytes;
        if (field.number == DIAG_TAG_FIELD_VALUE)
            tag->value = field.bytes;
    }
}

enum diag_status diag_aggregate_sort_tags(struct diag_bytes tags, uint8_t *out, size_t capacity,
                                          size_t *size) {
    struct diag_wire_reader reader = diag_wire_reader_make(tags);
    struct diag_wire_writer writer = diag_wire_writer_make(out, capacity);
    const uint8_t *start = reader.at;
    struct diag_wire_field field;
    struct tag sorted[TAGS_MAX];
    size_t count = 0;

    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        if (count == TAGS_MAX)
            return DIAG_ERR_TOO_LARGE;
        sorted[count] =
            (struct tag){.encoded = diag_bytes_make(start, (size_t)(reader.at - start))};
        read_tag(field.bytes, &sorted[count++]);
        start = reader.at;
    }
    if (count > 1)
        qsort(sorted, count, sizeof sorted[0], compare_tags);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || compare_tags(&sorted[i - 1], &sorted[i]) != 0)
            diag_wire_put_raw(&writer, sorted[i].encoded);
    if (writer.has_overflowed)
        return DIAG_ERR_TOO_LARGE;
    *size = diag_wire_size(&writer);
    return DIAG_OK;
}

void diag_aggregate_put_times(struct diag_wire_writer *writer, uint64_t start_unix_ns,
                              uint64_t time_unix_ns) {
    diag_wire_put_fixed64(writer, DIAG_AGGREGATE_FIELD_START_UNIX_NANOS, start_unix_ns);
    diag_wire_put_fixed64(writer, DIAG_AGGREGATE_FIELD_TIME_UNIX_NANOS, time_unix_ns);
}

void diag_aggregate_put_counter(struct diag_wire_writer *writer, double sum, uint64_t count) {
    size_t mark = diag_wire_begin(writer, DIAG_AGGREGATE_FIELD_COUNTER);

    diag_wire_put_double(writer, DIAG_COUNTER_FIELD_SUM, sum);
    diag_wire_put_varint(writer, DIAG_COUNTER_FIELD_COUNT, count);
    diag_wire_end(writer, mark);
}

static size_t pack_varint(uint8_t *out, uint64_t value) {
    size_t size = 0;

    while (value >= 0x80) {
        out[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[size++] = (uint8_t)value;
    return size;
}

static void put_buckets(struct diag_wire_writer *writer, uint32_t number,
                        const struct diag_aggregate_bucket_range *range) {
    size_t mark, packed;

    if (range->count == 0)
        return;
    mark = diag_wire_begin(writer, number);
    diag_wire_put_sint(writer, DIAG_BUCKETS_FIELD_OFFSET, range->offset);
    packed = diag_wire_begin(writer, DIAG_BUCKETS_FIELD_COUNTS);
    for (size_t i = 0; i < range->count; i++) {
        uint8_t varint[VARINT_MAX];

        diag_wire_put_raw(writer, diag_bytes_make(varint, pack_varint(varint, range->counts[i])));
    }
    diag_wire_end(writer, packed);
    diag_wire_end(writer, mark);
}

void diag_aggregate_put_histogram(struct diag_wire_writer *writer,
                                  const struct diag_aggregate_histogram *histogram) {
    size_t mark = diag_wire_begin(writer, DIAG_AGGREGATE_FIELD_HISTOGRAM);

    diag_wire_put_varint(writer, DIAG_HISTOGRAM_FIELD_COUNT, histogram->count);
    diag_wire_put_double(writer, DIAG_HISTOGRAM_FIELD_SUM, histogram->sum);
    diag_wire_put_sint(writer, DIAG_HISTOGRAM_FIELD_SCALE, histogram->scale);
    diag_wire_put_varint(writer, DIAG_HISTOGRAM_FIELD_ZERO_COUNT, histogram->zero_count);
    put_buckets(writer, DIAG_HISTOGRAM_FIELD_POSITIVE, &histogram->positive);
    put_buckets(writer, DIAG_HISTOGRAM_FIELD_NEGATIVE, &histogram->negative);
    diag_wire_put_double(writer, DIAG_HISTOGRAM_FIELD_MIN, histogram->min);
    diag_wire_put_double(writer, DIAG_HISTOGRAM_FIELD_MAX, histogram->max);
    diag_wire_end(writer, mark);
}
