/* SPDX-License-Identifier: MIT */
/* aggregate_slot - what writer and reader of aggregates share: slots by index, the sequence lock.
 *
 * The lock has no fences, which TSan does not know: each store within is a release, so that it is
 * seen after the odd sequence; each load of a reader is an acquire, so that the second look at the
 * sequence comes after it. On x86-64 both are plain moves.
 *
 * Threading: as shm_aggregate_abi.h says. */
#ifndef DIAG_LIB_SHM_AGGREGATE_SLOT_H
#define DIAG_LIB_SHM_AGGREGATE_SLOT_H

#include <stdbool.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/shm/shm_aggregate_abi.h"

#define diag_slot_load(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define diag_slot_store(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)

static inline struct diag_shm_aggregate *diag_slot_at(const struct diag_shm_aggregates *aggregates,
                                                      uint32_t slot) {
    const struct diag_shm_aggregate *head =
        slot < DIAG_SHM_COUNTERS ? &aggregates->counters[slot]
                                 : &aggregates->histograms[slot - DIAG_SHM_COUNTERS].head;

    return (struct diag_shm_aggregate *)(uintptr_t)head;
}

static inline bool diag_slot_is_histogram(uint32_t slot) {
    return slot >= DIAG_SHM_COUNTERS;
}

/* The head is the first member. */
static inline struct diag_shm_histogram *diag_slot_histogram(struct diag_shm_aggregate *head) {
    return (struct diag_shm_histogram *)(void *)head;
}

/* Returns the odd number to give to diag_slot_end. */
static inline uint32_t diag_slot_begin(struct diag_shm_aggregate *head) {
    uint32_t odd = __atomic_load_n(&head->sequence, __ATOMIC_RELAXED) | 1;

    __atomic_store_n(&head->sequence, odd, __ATOMIC_RELAXED);
    return odd;
}

static inline void diag_slot_end(struct diag_shm_aggregate *head, uint32_t odd) {
    diag_slot_store(head->sequence, odd + 1);
}

static inline uint64_t diag_slot_bits(double value) {
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double diag_slot_double(uint64_t bits) {
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
