/* SPDX-License-Identifier: MIT */
#include "ctl/aggregate_view.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ctl/memory.h"
#include "ctl/spec_view.h"
#include "ctl/tag_view.h"
#include "lib/base/wire.h"
#include "lib/event/aggregate_check.h"
#include "lib/event/aggregate_encoder.h"

struct buckets {
    int64_t offset;
    size_t count;
    uint64_t counts[DIAG_AGGREGATE_BUCKETS_MAX];
};

struct histogram {
    uint64_t count, zero_count;
    double sum, min, max;
    int64_t scale;
    struct buckets positive, negative;
};

static double double_of(uint64_t bits) {
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- reading: what diag_aggregate_check took cannot fail ---- */

static void read_counts(struct diag_bytes packed, struct buckets *buckets) {
    unsigned shift = 0;
    uint64_t value = 0;

    for (size_t i = 0; i < packed.size; i++) {
        value |= (uint64_t)(packed.data[i] & 0x7f) << shift;
        shift += 7;
        if (packed.data[i] >= 0x80)
            continue;
        if (buckets->count < DIAG_AGGREGATE_BUCKETS_MAX)
            buckets->counts[buckets->count++] = value;
        value = shift = 0;
    }
}

static void read_buckets(struct diag_bytes encoded, struct buckets *buckets) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;

    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        if (field.number == DIAG_BUCKETS_FIELD_OFFSET)
            buckets->offset = (int32_t)diag_wire_zigzag_decode(field.integer);
        if (field.number == DIAG_BUCKETS_FIELD_COUNTS)
            read_counts(field.bytes, buckets);
    }
}

static void read_histogram(struct diag_bytes encoded, struct histogram *histogram) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;

    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        switch (field.number) {
        case DIAG_HISTOGRAM_FIELD_COUNT:
            histogram->count = field.integer;
            break;
        case DIAG_HISTOGRAM_FIELD_SUM:
            histogram->sum = double_of(field.integer);
            break;
        case DIAG_HISTOGRAM_FIELD_SCALE:
            histogram->scale = diag_wire_zigzag_decode(field.integer);
            break;
        case DIAG_HISTOGRAM_FIELD_ZERO_COUNT:
            histogram->zero_count = field.integer;
            break;
        case DIAG_HISTOGRAM_FIELD_POSITIVE:
            read_buckets(field.bytes, &histogram->positive);
            break;
        case DIAG_HISTOGRAM_FIELD_NEGATIVE:
            read_buckets(field.bytes, &histogram->negative);
            break;
        case DIAG_HISTOGRAM_FIELD_MIN:
            histogram->min = double_of(field.integer);
            break;
        case DIAG_HISTOGRAM_FIELD_MAX:
            histogram->max = double_of(field.integer);
            break;
        default:
            break;
        }
    }
}

/* ---- estimates ---- */

/* The middle of bucket `index`, on the logarithmic scale that the buckets are on. */
static double middle(int64_t index, int64_t scale) {
    return exp2(((double)index + 0.5) * exp2((double)-scale));
}

/* From the lowest value up, until `rank` values are passed. */
static double estimate(const struct histogram *histogram, double rank) {
    const struct buckets *negative = &histogram->negative, *positive = &histogram->positive;
    double passed = 0;

    for (size_t i = negative->count; i-- > 0;) {
        passed += (double)negative->counts[i];
        if (passed >= rank)
            return -middle(negative->offset + (int64_t)i, histogram->scale);
    }
    passed += (double)histogram->zero_count;
    if (passed >= rank && histogram->zero_count > 0)
        return 0;
    for (size_t i = 0; i < positive->count; i++) {
        passed += (double)positive->counts[i];
        if (passed >= rank)
            return middle(positive->offset + (int64_t)i, histogram->scale);
    }
    return histogram->max;
}

static double percentile(const struct histogram *histogram, double part) {
    double value = estimate(histogram, part * (double)histogram->count);

    return fmin(fmax(value, histogram->min), histogram->max);
}

/* ---- documents ---- */

static void put_buckets(struct diag_document *map, const char *key, const struct buckets *buckets) {
    struct diag_document *range, *counts;

    range = diag_document_put(map, key, diag_document_map());
    diag_document_put(range, "offset", diag_document_int(buckets->offset));
    counts = diag_document_put(range, "counts", diag_document_list());
    for (size_t i = 0; i < buckets->count; i++)
        diag_document_add(counts, diag_document_uint(buckets->counts[i]));
}

static void put_histogram(struct diag_document *map, struct diag_bytes encoded) {
    struct histogram histogram = {0};

    read_histogram(encoded, &histogram);
    diag_document_put(map, "sum", diag_document_float(histogram.sum));
    diag_document_put(map, "count", diag_document_uint(histogram.count));
    diag_document_put(map, "min", diag_document_float(histogram.min));
    diag_document_put(map, "p50", diag_document_float(percentile(&histogram, 0.5)));
    diag_document_put(map, "p90", diag_document_float(percentile(&histogram, 0.9)));
    diag_document_put(map, "p99", diag_document_float(percentile(&histogram, 0.99)));
    diag_document_put(map, "max", diag_document_float(histogram.max));
    diag_document_put(map, "scale", diag_document_int(histogram.scale));
    diag_document_put(map, "zero_count", diag_document_uint(histogram.zero_count));
    put_buckets(map, "positive", &histogram.positive);
    put_buckets(map, "negative", &histogram.negative);
}

static void put_counter(struct diag_document *map, struct diag_bytes encoded) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    double sum = 0;
    uint64_t count = 0;

    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        if (field.number == DIAG_COUNTER_FIELD_SUM)
            sum = double_of(field.integer);
        if (field.number == DIAG_COUNTER_FIELD_COUNT)
            count = field.integer;
    }
    diag_document_put(map, "sum", diag_document_float(sum));
    diag_document_put(map, "count", diag_document_uint(count));
}

struct aggregate {
    struct diag_bytes spec_id, name, value;
    uint64_t spec_revision, start_unix_ns, time_unix_ns;
    bool is_overflow, is_histogram;
};

static void read_field(struct aggregate *aggregate, const struct diag_wire_field *field) {
    switch (field->number) {
    case DIAG_AGGREGATE_FIELD_SPEC_ID:
        aggregate->spec_id = field->bytes;
        break;
    case DIAG_AGGREGATE_FIELD_SPEC_REVISION:
        aggregate->spec_revision = field->integer;
        break;
    case DIAG_AGGREGATE_FIELD_NAME:
        aggregate->name = field->bytes;
        break;
    case DIAG_AGGREGATE_FIELD_START_UNIX_NANOS:
        aggregate->start_unix_ns = field->integer;
        break;
    case DIAG_AGGREGATE_FIELD_TIME_UNIX_NANOS:
        aggregate->time_unix_ns = field->integer;
        break;
    case DIAG_AGGREGATE_FIELD_IS_OVERFLOW:
        aggregate->is_overflow = field->integer != 0;
        break;
    case DIAG_AGGREGATE_FIELD_COUNTER:
    case DIAG_AGGREGATE_FIELD_HISTOGRAM:
        aggregate->is_histogram = field->number == DIAG_AGGREGATE_FIELD_HISTOGRAM;
        aggregate->value = field->bytes;
        break;
    default:
        break;
    }
}

enum diag_status diag_aggregate_view_read(struct diag_bytes encoded, struct diag_document *map) {
    DIAG_CLEANUP(diag_document_freep) struct diag_document *tags = diag_document_list();
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct aggregate aggregate = {0};
    struct diag_wire_field field;

    if (diag_aggregate_check(encoded, NULL) != DIAG_OK)
        return DIAG_ERR_PROTOCOL;
    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        read_field(&aggregate, &field);
        if (field.number == DIAG_AGGREGATE_FIELD_TAGS &&
            diag_tag_view_read(field.bytes, tags) != DIAG_OK)
            return DIAG_ERR_PROTOCOL;
    }
    diag_spec_view_put_time(map, "time", aggregate.time_unix_ns);
    diag_spec_view_put_time(map, "start", aggregate.start_unix_ns);
    diag_document_put(map, "spec_id", diag_document_bytes(aggregate.spec_id));
    diag_document_put(map, "spec_revision", diag_document_uint(aggregate.spec_revision));
    diag_document_put(map, "name", diag_document_bytes(aggregate.name));
    diag_document_put(map, "kind",
                      diag_document_text(aggregate.is_histogram ? "histogram" : "counter"));
    diag_document_put(map, "is_overflow", diag_document_bool(aggregate.is_overflow));
    if (aggregate.is_histogram)
        put_histogram(map, aggregate.value);
    else
        put_counter(map, aggregate.value);
    diag_document_put(map, "tags", DIAG_TAKE_PTR(tags));
    return DIAG_OK;
}

/* ---- what was added ---- */

struct seen {
    double sum;
    uint64_t count;
};

void diag_aggregate_totals_done(struct diag_aggregate_totals *totals) {
    size_t cursor = 0;
    void *seen;

    while ((seen = diag_map_next(&totals->seen, &cursor)) != NULL)
        free(seen);
    diag_map_done(&totals->seen);
}

static char *key_of(const struct diag_document *document) {
    DIAG_CLEANUP(diag_buffer_done) struct diag_buffer key = {0};

    diag_memory_append_format(&key, "%s %" PRIu64 " %s %" PRIu64 " %s",
                              diag_document_get_text(document, "process_uid"),
                              diag_document_get_uint(document, "start_unix_nanos"),
                              diag_document_get_text(document, "spec_id"),
                              diag_document_get_uint(document, "spec_revision"),
                              diag_document_get_text(document, "kind"));
    diag_tag_view_append_text(&key, diag_document_get(document, "tags"));
    return diag_memory_format("%.*s", (int)key.size, (const char *)key.data);
}

/* Without memory to note it in, it is as if it were new the next time. */
static struct seen *find_seen(struct diag_aggregate_totals *totals,
                              const struct diag_document *document) {
    DIAG_CLEANUP(diag_freep) char *key = key_of(document);
    struct seen *seen = diag_map_get(&totals->seen, key);

    if (seen != NULL)
        return seen;
    seen = diag_memory_new(1, sizeof *seen);
    if (diag_map_put(&totals->seen, key, seen) == DIAG_OK)
        return seen;
    free(seen);
    return NULL;
}

bool diag_aggregate_totals_follow(struct diag_aggregate_totals *totals,
                                  struct diag_document *document) {
    const struct diag_document *sum = diag_document_get(document, "sum");
    struct seen now = {0}, last = {0}, *seen;

    if (sum == NULL)
        return true;
    now.sum = sum->number;
    now.count = diag_document_get_uint(document, "count");
    seen = find_seen(totals, document);
    if (seen != NULL) {
        last = *seen;
        *seen = now;
    }
    if (last.count == now.count && last.sum == now.sum)
        return false;
    if (strcmp(diag_document_get_text(document, "kind"), "counter") == 0)
        diag_document_put(document, "added", diag_document_float(now.sum - last.sum));
    return true;
}

static void append_number(struct diag_buffer *out, const char *label,
                          const struct diag_document *document, const char *key) {
    diag_memory_append_format(out, "%s%.6g", label, diag_document_get(document, key)->number);
}

void diag_aggregate_view_append_text(struct diag_buffer *out,
                                     const struct diag_document *document) {
    if (diag_document_get(document, "added") != NULL) {
        diag_memory_append_format(out, "+%.15g (sum %.15g)",
                                  diag_document_get(document, "added")->number,
                                  diag_document_get(document, "sum")->number);
        return;
    }
    diag_memory_append_format(out, "count %" PRIu64, diag_document_get_uint(document, "count"));
    append_number(out, " sum ", document, "sum");
    if (diag_document_get(document, "min") == NULL)
        return;
    append_number(out, " min ", document, "min");
    append_number(out, " p50 ", document, "p50");
    append_number(out, " p90 ", document, "p90");
    append_number(out, " p99 ", document, "p99");
    append_number(out, " max ", document, "max");
}
