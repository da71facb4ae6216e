/* SPDX-License-Identifier: MIT */
/* aggregate_encoder - diagnose.v1.Aggregate in its wire form, in pieces: the process writes the
 * key (spec, tags), the sidecar the numbers.
 *
 * No allocation, no failure but running out of room, which the wire writer remembers.
 *
 * Threading: none needed; a writer belongs to one thread at a time. */
#ifndef DIAG_LIB_EVENT_AGGREGATE_ENCODER_H
#define DIAG_LIB_EVENT_AGGREGATE_ENCODER_H

#include "lib/base/wire.h"

DIAG_DECLS_BEGIN

#define DIAG_AGGREGATE_MAX 8192     /* bytes of one encoded aggregate */
#define DIAG_AGGREGATE_TAGS_MAX 224 /* bytes of the tags of one */

/* Field numbers of diagnose.v1.Aggregate, Counter and ExponentialHistogram. Tags have the number
 * that they have in an Event. */
enum {
    DIAG_AGGREGATE_FIELD_SPEC_ID = 1,
    DIAG_AGGREGATE_FIELD_SPEC_REVISION = 2,
    DIAG_AGGREGATE_FIELD_NAME = 3,
    DIAG_AGGREGATE_FIELD_START_UNIX_NANOS = 4,
    DIAG_AGGREGATE_FIELD_TIME_UNIX_NANOS = 5,
    DIAG_AGGREGATE_FIELD_IS_OVERFLOW = 6,
    DIAG_AGGREGATE_FIELD_TAGS = 7,
    DIAG_AGGREGATE_FIELD_COUNTER = 8,
    DIAG_AGGREGATE_FIELD_HISTOGRAM = 9,

    DIAG_COUNTER_FIELD_SUM = 1,
    DIAG_COUNTER_FIELD_COUNT = 2,

    DIAG_HISTOGRAM_FIELD_COUNT = 1,
    DIAG_HISTOGRAM_FIELD_SUM = 2,
    DIAG_HISTOGRAM_FIELD_SCALE = 3,
    DIAG_HISTOGRAM_FIELD_ZERO_COUNT = 4,
    DIAG_HISTOGRAM_FIELD_POSITIVE = 5,
    DIAG_HISTOGRAM_FIELD_NEGATIVE = 6,
    DIAG_HISTOGRAM_FIELD_MIN = 7,
    DIAG_HISTOGRAM_FIELD_MAX = 8,

    DIAG_BUCKETS_FIELD_OFFSET = 1,
    DIAG_BUCKETS_FIELD_COUNTS = 2,
};

/* Encodes id, revision and name. Returns the size; `out` has at least DIAG_AGGREGATE_SPEC_MAX
 * bytes. `spec_id` has at most 128 bytes, `name` at most 256. */
#define DIAG_AGGREGATE_SPEC_MAX 408
size_t diag_aggregate_put_spec(uint8_t *out, const char *spec_id, uint64_t spec_revision,
                               const char *name);

/* What stands for all further tag sets: is_overflow, and its tag. Returns the size. */
#define DIAG_AGGREGATE_OVERFLOW_MAX 48
size_t diag_aggregate_put_overflow(uint8_t *out);

/* Copies encoded tags in order of key and value, each pair once, so that the same set always has
 * the same bytes. DIAG_ERR_TOO_LARGE: over `capacity` bytes or 96 tags. */
DIAG_MUST_CHECK enum diag_status diag_aggregate_sort_tags(struct diag_bytes tags, uint8_t *out,
                                                          size_t capacity, size_t *size);

void diag_aggregate_put_times(struct diag_wire_writer *writer, uint64_t start_unix_ns,
                              uint64_t time_unix_ns);
void diag_aggregate_put_counter(struct diag_wire_writer *writer, double sum, uint64_t count);

struct diag_aggregate_bucket_range {
    int32_t offset;
    const uint64_t *counts;
    size_t count; /* how many; 0: none */
};

struct diag_aggregate_histogram {
    uint64_t count, zero_count;
    double sum, min, max;
    int32_t scale;
    struct diag_aggregate_bucket_range positive, negative;
};

void diag_aggregate_put_histogram(struct diag_wire_writer *writer,
                                  const struct diag_aggregate_histogram *histogram);

DIAG_DECLS_END

#endif
