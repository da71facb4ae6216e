/* SPDX-License-Identifier: MIT */
/* ring_record - arithmetic on records and positions that both ends of the ring share.
 *
 * Threading: none needed; pure.
 * Layout:    shm_abi.h */
#ifndef DIAG_LIB_SHM_RING_RECORD_H
#define DIAG_LIB_SHM_RING_RECORD_H

#include "lib/shm/segment.h"

DIAG_DECLS_BEGIN

/* What a record with this payload takes in the ring. */
static inline uint64_t diag_ring_record_extent(uint64_t payload_size) {
    uint64_t size = sizeof(struct diag_shm_record) + payload_size;

    return (size + DIAG_SHM_RECORD_ALIGN - 1) & ~(uint64_t)(DIAG_SHM_RECORD_ALIGN - 1);
}

static inline uint64_t diag_ring_record_offset(const struct diag_segment *segment,
                                               uint64_t position) {
    return position & (segment->ring_size - 1);
}

/* `position` is a multiple of DIAG_SHM_RECORD_ALIGN; the ring is page-aligned. */
static inline struct diag_shm_record *diag_ring_record_at(const struct diag_segment *segment,
                                                          uint64_t position) {
    return (struct diag_shm_record *)(void *)(segment->ring +
                                              diag_ring_record_offset(segment, position));
}

static inline uint32_t diag_ring_record_stamp(uint64_t position) {
    return (uint32_t)(position / DIAG_SHM_RECORD_ALIGN);
}

/* A store or load that the other side's plain one may overtake needs a full barrier between. */
static inline void diag_ring_full_fence(void) {
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
/* TSan does not model fences, and GCC says so; what is ordered here is atomic itself, so that no
 * false report follows. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
}

DIAG_DECLS_END

#endif
