/* SPDX-License-Identifier: MIT */
/* aggregate_writer - the process's end of its aggregates: finds slots by key, and updates them.
 *
 * Threading: open, retire, init and done by one thread at a time (the GIL), as are updates of
 *            histograms; updates of counters by any number of threads beside each other.
 * Fork:      the child must not write; it calls diag_aggregate_writer_done and gets a segment of
 *            its own.
 * Ownership: borrows the segment, which must outlive it.
 * Layout:    shm_aggregate_abi.h. What is in the segment is only written and never believed. */
#ifndef DIAG_LIB_SHM_AGGREGATE_WRITER_H
#define DIAG_LIB_SHM_AGGREGATE_WRITER_H

#include "lib/shm/segment.h"
#include "lib/shm/shm_aggregate_abi.h"

DIAG_DECLS_BEGIN

#define DIAG_AGGREGATE_TAG_SETS_MAX 64 /* of one spec, without its overflow */
/* Slots that only overflows may take, so that a spec with many tag sets leaves some to others. */
#define DIAG_AGGREGATE_COUNTERS_RESERVED 32
#define DIAG_AGGREGATE_HISTOGRAMS_RESERVED 16

struct diag_aggregate_entry {
    uint64_t hash; /* of the key */
    uint64_t spec_hash;
    uint32_t generation;
    uint16_t key_size;
    uint8_t state; /* enum diag_shm_aggregate_state */
    bool is_overflow;
};

#define DIAG_AGGREGATE_TABLE_SIZE 1024 /* a power of two, well above DIAG_SHM_AGGREGATES */

struct diag_aggregate_writer {
    struct diag_shm_aggregates *aggregates; /* NULL: nowhere to write */
    uint32_t epoch;                         /* handles of earlier ones are stale */
    struct diag_aggregate_entry entries[DIAG_SHM_AGGREGATES];
    uint16_t table[DIAG_AGGREGATE_TABLE_SIZE]; /* hash -> slot + 1; 0: none */
};

/* Each is a piece of an encoded diagnose.v1.Aggregate. */
struct diag_aggregate_key {
    struct diag_bytes spec;     /* id, revision, name: what diag_aggregate_writer_retire takes */
    struct diag_bytes tags;     /* the same bytes for the same set */
    struct diag_bytes overflow; /* instead of the tags, when there are too many sets */
    bool is_overflow;           /* go straight to that: the tags are too long to be given */
};

/* Begins anew on a fresh segment; the struct is all zero before the first time. */
void diag_aggregate_writer_init(struct diag_aggregate_writer *writer, struct diag_segment *segment);

/* Lets go of the segment. */
void diag_aggregate_writer_done(struct diag_aggregate_writer *writer);

/* Finds or makes the slot of `key`. Where the spec has its DIAG_AGGREGATE_TAG_SETS_MAX already, or
 * the key is too long, or no slot is left, that is the spec's overflow slot. DIAG_ERR_FULL: not
 * even that. DIAG_ERR_CLOSED: there is no segment. */
DIAG_MUST_CHECK enum diag_status diag_aggregate_writer_open(struct diag_aggregate_writer *writer,
                                                            bool is_histogram,
                                                            const struct diag_aggregate_key *key,
                                                            uint64_t *handle, bool *is_overflow);

/* Adds a finite value. DIAG_ERR_NOT_FOUND: the handle is stale, open again. */
DIAG_MUST_CHECK enum diag_status diag_aggregate_writer_update(struct diag_aggregate_writer *writer,
                                                              uint64_t handle, double value);

/* The spec's slots get no more updates; once the sidecar has read them they serve others. All
 * handles are stale afterwards. */
void diag_aggregate_writer_retire(struct diag_aggregate_writer *writer, struct diag_bytes spec);

DIAG_DECLS_END

#endif
