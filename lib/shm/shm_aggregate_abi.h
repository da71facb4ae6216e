/* SPDX-License-Identifier: MIT */
/* shm_aggregate_abi - the aggregates of a process in its segment: counters and histograms that hits
 * update in place. Layout only; shm_abi.h says where the region is, docs/shm-format.md why it is
 * so.
 *
 *   0                          196608                       413696
 *   +--------------------------+----------------------------+
 *   | 256 counter slots of 768 | 64 histogram slots of 3392 |
 *   +--------------------------+----------------------------+
 *
 * A slot holds the totals of one spec, revision and tag set, the key. `key` is the beginning of an
 * encoded diagnose.v1.Aggregate: spec_id, spec_revision, name, tags, is_overflow.
 *
 *            open                       spec removed or edited
 *   [FREE] ---------> [LIVE: updated] --------------------------> [RETIRED: final]
 *                        ^                                             |
 *                        |  open, with a new generation                | the sidecar has read it:
 *                        +---------------------------------------------+ released = generation
 *
 * Who may touch what: `released` the sidecar; all else the process. Slots and their keys are
 * changed, and histograms updated, by one thread at a time (the one that has the GIL); counters by
 * any.
 *
 * `sequence` is a sequence lock: odd while the process writes key, state or a histogram. Whoever
 * reads takes a copy between two equal, even loads of it. A counter's sum and count are added to
 * outside of it: the sum first, then, with release, the count.
 *
 * A process that was killed within leaves `sequence` odd. If `is_rescaling` is 0, the buckets are
 * whole: at most the last value is missing in sum, min or max. If it is 1, they are not, and what
 * was read before is the last that is known.
 *
 * Buckets: the ones of OTLP's ExponentialHistogram. Bucket i covers (base^i, base^(i + 1)], base =
 * 2^(2^-scale). Those from `start` to `end` are in use, none if end < start; i is at position
 * i modulo 160 of its array. How many values there are is the sum of all buckets and zeroes. */
#ifndef DIAG_LIB_SHM_SHM_AGGREGATE_ABI_H
#define DIAG_LIB_SHM_SHM_AGGREGATE_ABI_H

#include "lib/shm/shm_abi.h"

#define DIAG_SHM_COUNTERS 256
#define DIAG_SHM_HISTOGRAMS 64
#define DIAG_SHM_AGGREGATES (DIAG_SHM_COUNTERS + DIAG_SHM_HISTOGRAMS)
#define DIAG_SHM_BUCKETS 160
#define DIAG_SHM_SCALE_MIN (-10)
#define DIAG_SHM_SCALE_MAX 20
#define DIAG_SHM_AGGREGATE_KEY_MAX 640 /* bytes */

enum diag_shm_aggregate_state {
    DIAG_SHM_AGGREGATE_FREE = 0,
    DIAG_SHM_AGGREGATE_LIVE = 1,
    DIAG_SHM_AGGREGATE_RETIRED = 2,
};

struct diag_shm_aggregate {
    uint32_t sequence;
    uint32_t state;
    uint32_t generation; /* of the slot's use: from 1 */
    uint32_t key_size;
    uint64_t start_unix_ns;
    uint64_t sum;   /* bits of a double */
    uint64_t count; /* updates of a counter; zeroes of a histogram */
    uint64_t min;   /* of a histogram, bits of a double */
    uint64_t max;
    int32_t scale;
    uint32_t is_rescaling;

    uint32_t released; /* the generation whose last values the sidecar has read */
    uint8_t reserved[60];

    uint64_t key[DIAG_SHM_AGGREGATE_KEY_MAX / 8]; /* bytes, in words as they are copied */
};

struct diag_shm_buckets {
    int32_t start;
    int32_t end;
};

struct diag_shm_histogram {
    struct diag_shm_aggregate head;
    struct diag_shm_buckets positive;
    struct diag_shm_buckets negative; /* by magnitude */
    uint8_t reserved[48];
    uint64_t positive_counts[DIAG_SHM_BUCKETS];
    uint64_t negative_counts[DIAG_SHM_BUCKETS];
};

struct diag_shm_aggregates {
    struct diag_shm_aggregate counters[DIAG_SHM_COUNTERS];
    struct diag_shm_histogram histograms[DIAG_SHM_HISTOGRAMS];
};

DIAG_SHM_ASSERT(sizeof(struct diag_shm_aggregate) == 768);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_aggregate, start_unix_ns) == 16);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_aggregate, sum) == 24);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_aggregate, scale) == 56);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_aggregate, released) == 64);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_aggregate, key) == 128);
DIAG_SHM_ASSERT(sizeof(struct diag_shm_histogram) == 3392);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_histogram, positive) == 768);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_histogram, positive_counts) == 832);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_aggregates, histograms) == 196608);
DIAG_SHM_ASSERT(sizeof(struct diag_shm_aggregates) == DIAG_SHM_AGGREGATE_REGION_SIZE);

#endif
