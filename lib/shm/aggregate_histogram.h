/* SPDX-License-Identifier: MIT */
/* aggregate_histogram - values into a base-2 exponential histogram in shared memory.
 *
 * The scale begins at 20 and falls when values do not fit 160 buckets: neighbours are merged.
 * Source: https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram
 *
 * Threading: one writer at a time for each histogram; readers as shm_aggregate_abi.h says.
 * Layout:    shm_aggregate_abi.h. Whatever the other side may have written there, a record ends,
 *            and stays within the slot. */
#ifndef DIAG_LIB_SHM_AGGREGATE_HISTOGRAM_H
#define DIAG_LIB_SHM_AGGREGATE_HISTOGRAM_H

#include "lib/base/compiler.h"
#include "lib/shm/shm_aggregate_abi.h"

DIAG_DECLS_BEGIN

/* The bucket of `magnitude`, which is finite and above 0. */
int32_t diag_histogram_index(double magnitude, int32_t scale);

/* Where bucket `index` is in its array. */
static inline uint32_t diag_histogram_position(int32_t index) {
    int32_t position = index % DIAG_SHM_BUCKETS;

    return (uint32_t)(position < 0 ? position + DIAG_SHM_BUCKETS : position);
}

/* Makes the slot's values those of an empty histogram; within the sequence lock of its caller. */
void diag_histogram_reset(struct diag_shm_histogram *histogram);

/* Adds a finite value. Takes the sequence lock. */
void diag_histogram_record(struct diag_shm_histogram *histogram, double value);

DIAG_DECLS_END

#endif
