/* SPDX-License-Identifier: MIT */
/* aggregate_reader - the sidecar's end of a process's aggregates: copies of what has changed.
 *
 * Threading: one thread.
 * Ownership: borrows the segment, which must outlive it.
 * Trust:     nothing in the segment is believed. What is handed out is copied and within limits,
 *            but for the key and the numbers, which may be anything. */
#ifndef DIAG_LIB_SHM_AGGREGATE_READER_H
#define DIAG_LIB_SHM_AGGREGATE_READER_H

#include "lib/shm/segment.h"
#include "lib/shm/shm_aggregate_abi.h"

DIAG_DECLS_BEGIN

/* What a slot looked like when it was accepted last. */
struct diag_aggregate_seen {
    uint32_t generation; /* 0: never */
    uint32_t sequence;
    uint64_t sum;
    uint64_t count;
};

/* All zero but for the segment: nothing has been read yet. */
struct diag_aggregate_reader {
    const struct diag_segment *segment;
    struct diag_aggregate_seen seen[DIAG_SHM_AGGREGATES];
};

struct diag_aggregate_buckets {
    int32_t offset; /* of the first one */
    uint32_t count; /* how many; 0: none */
    uint64_t counts[DIAG_SHM_BUCKETS];
};

struct diag_aggregate_value {
    uint32_t slot;
    struct diag_aggregate_seen seen;
    bool is_histogram;
    bool is_final; /* its slot is retired */
    uint32_t key_size;
    uint64_t key[DIAG_SHM_AGGREGATE_KEY_MAX / 8];
    uint64_t start_unix_ns;
    double sum;
    uint64_t count; /* of updates, or of values */
    /* of histograms */
    double min, max;
    int32_t scale;
    uint64_t zero_count;
    struct diag_aggregate_buckets positive, negative;
};

void diag_aggregate_reader_init(struct diag_aggregate_reader *reader,
                                const struct diag_segment *segment);

/* Copies slot `slot` if it has changed since it was accepted. `is_dead`: nobody writes any more.
 *
 * DIAG_ERR_NOT_FOUND: nothing new. DIAG_ERR_BUSY: it changes all the time; later. DIAG_ERR_CLOSED:
 * its writer was killed while it rescaled a histogram, and left nothing of use.
 * DIAG_ERR_PROTOCOL: nonsense. The last two are told once for each sequence and generation. */
DIAG_MUST_CHECK enum diag_status diag_aggregate_reader_read(struct diag_aggregate_reader *reader,
                                                            uint32_t slot, bool is_dead,
                                                            struct diag_aggregate_value *out);

/* The value has been passed on: it is not new any more, and if it is final, the slot is free. */
void diag_aggregate_reader_accept(struct diag_aggregate_reader *reader,
                                  const struct diag_aggregate_value *value);

/* All values are new when they are read again, but for those that were final. */
void diag_aggregate_reader_repeat(struct diag_aggregate_reader *reader);

/* Nobody wants values: retired slots are free, and all others are new when they are read again. */
void diag_aggregate_reader_discard(struct diag_aggregate_reader *reader);

DIAG_DECLS_END

#endif
