/* SPDX-License-Identifier: MIT */
/* ring_reader - the consumer's end of the shared-memory event ring.
 *
 * The producer is not trusted: whatever it writes, the reader neither crashes nor loops, and hands
 * out at most DIAG_SHM_RECORD_MAX bytes that it has copied.
 *
 * Threading: one thread.
 * Ownership: borrows the segment, which must outlive it.
 * Layout:    shm_abi.h */
#ifndef DIAG_LIB_SHM_RING_READER_H
#define DIAG_LIB_SHM_RING_READER_H

#include <stdbool.h>

#include "lib/shm/segment.h"

DIAG_DECLS_BEGIN

struct diag_ring_reader {
    struct diag_segment *segment;
    uint64_t head;         /* ours; header->head only mirrors it */
    uint64_t dropped_seen; /* of header->dropped */
    uint64_t dropped_here; /* of these, told by LOST records and not taken yet */
    uint64_t torn;         /* records lost because their writer died or garbled them */
};

/* Starts where the segment's head says: 0 for a new one, where an earlier sidecar stopped for an
 * adopted one. DIAG_ERR_PROTOCOL: head and tail make no sense. */
DIAG_MUST_CHECK enum diag_status diag_ring_reader_init(struct diag_ring_reader *reader,
                                                       struct diag_segment *segment,
                                                       struct diag_error *err);

/* Copies the next committed event into `buffer` and moves on. LOST records on the way go to
 * diag_ring_reader_take_dropped_here.
 * DIAG_ERR_CLOSED: nothing to read now (the ring is empty, or the next record is being written).
 * DIAG_ERR_PROTOCOL: the ring is corrupt; the reader has skipped to the tail and counted. */
DIAG_MUST_CHECK enum diag_status diag_ring_reader_next(struct diag_ring_reader *reader,
                                                       uint8_t buffer[DIAG_SHM_RECORD_MAX],
                                                       size_t *size);

/* Like diag_ring_reader_next, for a ring whose process has ended: skips records that will never
 * be committed, and counts them as torn. DIAG_ERR_CLOSED: the ring is drained. */
DIAG_MUST_CHECK enum diag_status diag_ring_reader_salvage(struct diag_ring_reader *reader,
                                                          uint8_t buffer[DIAG_SHM_RECORD_MAX],
                                                          size_t *size);

/* How far a reader had come, and which losses it had told of. */
struct diag_ring_mark {
    uint64_t head;
    uint64_t dropped;
};
struct diag_ring_mark diag_ring_reader_mark(const struct diag_ring_reader *reader);

/* Publishes a mark, not older than the last one: the producer can reuse the room before it, and an
 * other reader that adopts the segment goes on from there. */
void diag_ring_reader_release_to(struct diag_ring_reader *reader, struct diag_ring_mark mark);

/* Publishes how far we have read. */
void diag_ring_reader_release(struct diag_ring_reader *reader);

/* Announces that we will sleep on the eventfd. False: something was committed meanwhile, read on
 * instead. */
bool diag_ring_reader_prepare_sleep(struct diag_ring_reader *reader);
void diag_ring_reader_end_sleep(struct diag_ring_reader *reader);

/* Events that were dropped between the event that was read last and the one before it. Each is
 * told of once, by this function or the next. */
uint64_t diag_ring_reader_take_dropped_here(struct diag_ring_reader *reader);

/* All that were dropped and not told of yet, by the producer's own counter. When there is nothing
 * more to read, this is what was dropped since the last event. */
uint64_t diag_ring_reader_take_dropped(struct diag_ring_reader *reader);

DIAG_DECLS_END

#endif
