/* SPDX-License-Identifier: MIT */
/* How it works: the bucket of a value at scale s is floor(log2(value) * 2^s), one less for powers
 * of two, as upper bounds are inclusive. Exponent and fraction are taken apart first: the logarithm
 * is that of a number from 1 to 2, and exact enough for the finest scale. At a scale that is lower
 * by n the bucket is the same number shifted right by n, so that rescaling agrees with indexing. */
#include "lib/shm/aggregate_histogram.h"

#include <float.h>
#include <math.h>

#include "lib/shm/aggregate_slot.h"

#define FRACTION_BITS 52
#define FRACTION_MASK ((UINT64_C(1) << FRACTION_BITS) - 1)
#define EXPONENT_BIAS 1023

int32_t diag_histogram_index(double magnitude, int32_t scale) {
    uint64_t bits = diag_slot_bits(magnitude), fraction = bits & FRACTION_MASK;
    int32_t exponent = (int32_t)(bits >> FRACTION_BITS) - EXPONENT_BIAS;
    int32_t within, last;

    if (exponent == -EXPONENT_BIAS) { /* subnormal */
        int shift = __builtin_clzll(fraction) - (63 - FRACTION_BITS);

        fraction = fraction << shift & FRACTION_MASK;
        exponent = 1 - EXPONENT_BIAS - shift;
    }
    if (scale <= 0)
        return (exponent - (fraction == 0)) >> -scale;
    if (fraction == 0)
        return exponent * (1 << scale) - 1;
    fraction |= (uint64_t)EXPONENT_BIAS << FRACTION_BITS;
    within = (int32_t)(log2(diag_slot_double(fraction)) * (double)(1 << scale));
    last = (1 << scale) - 1; /* the logarithm of what is next to 2 is rounded to 1 */
    return exponent * (1 << scale) + (within < last ? within : last);
}

static void clear(uint64_t counts[DIAG_SHM_BUCKETS], struct diag_shm_buckets *buckets) {
    for (int i = 0; i < DIAG_SHM_BUCKETS; i++)
        diag_slot_store(counts[i], 0);
    diag_slot_store(buckets->start, 1);
    diag_slot_store(buckets->end, 0);
}

void diag_histogram_reset(struct diag_shm_histogram *histogram) {
    struct diag_shm_aggregate *head = &histogram->head;

    diag_slot_store(head->min, diag_slot_bits(DBL_MAX));
    diag_slot_store(head->max, diag_slot_bits(-DBL_MAX));
    diag_slot_store(head->scale, DIAG_SHM_SCALE_MAX);
    diag_slot_store(head->is_rescaling, 0);
    clear(histogram->positive_counts, &histogram->positive);
    clear(histogram->negative_counts, &histogram->negative);
}

/* Merges each 2^shift neighbours. */
static void merge(uint64_t counts[DIAG_SHM_BUCKETS], struct diag_shm_buckets *buckets, int shift) {
    uint64_t merged[DIAG_SHM_BUCKETS] = {0};

    int32_t start = diag_slot_load(buckets->start), end = diag_slot_load(buckets->end);

    for (int64_t i = start; i <= end && i < (int64_t)start + DIAG_SHM_BUCKETS; i++)
        merged[diag_histogram_position((int32_t)i >> shift)] +=
            counts[diag_histogram_position((int32_t)i)];
    if (end < start)
        return;
    for (int i = 0; i < DIAG_SHM_BUCKETS; i++)
        diag_slot_store(counts[i], merged[i]);
    diag_slot_store(buckets->start, start >> shift);
    diag_slot_store(buckets->end, end >> shift);
}

static __attribute__((noinline)) void rescale(struct diag_shm_histogram *histogram, int shift) {
    struct diag_shm_aggregate *head = &histogram->head;

    diag_slot_store(head->is_rescaling, 1);
    merge(histogram->positive_counts, &histogram->positive, shift);
    merge(histogram->negative_counts, &histogram->negative, shift);
    diag_slot_store(head->scale, head->scale - shift);
    diag_slot_store(head->is_rescaling, 0);
}

/* How far to shift until both indices fit the array. */
static int shift_to_fit(int64_t low, int64_t high) {
    int shift = 0;

    while ((high >> shift) - (low >> shift) >= DIAG_SHM_BUCKETS)
        shift++;
    return shift;
}

/* No process that keeps to the rules leaves such ranges; a peer that does not may. */
static bool is_sound(const struct diag_shm_buckets *buckets) {
    return (int64_t)buckets->end - buckets->start < DIAG_SHM_BUCKETS;
}

/* Puts `index` into the range, after rescaling if need be. Returns the index at the new scale. */
static __attribute__((noinline)) int32_t extend(struct diag_shm_histogram *histogram,
                                                struct diag_shm_buckets *buckets, int32_t index) {
    int32_t low, high;
    int shift;

    if (!is_sound(&histogram->positive) || !is_sound(&histogram->negative))
        diag_histogram_reset(histogram);
    if (buckets->end < buckets->start) {
        diag_slot_store(buckets->start, index);
        diag_slot_store(buckets->end, index);
        return index;
    }
    low = index < buckets->start ? index : buckets->start;
    high = index > buckets->end ? index : buckets->end;
    shift = shift_to_fit(low, high);
    if (shift > 0)
        rescale(histogram, shift);
    diag_slot_store(buckets->start, low >> shift);
    diag_slot_store(buckets->end, high >> shift);
    return index >> shift;
}

static void count(struct diag_shm_histogram *histogram, double magnitude, bool is_negative) {
    struct diag_shm_buckets *buckets = is_negative ? &histogram->negative : &histogram->positive;
    uint64_t *counts = is_negative ? histogram->negative_counts : histogram->positive_counts;
    int32_t scale = histogram->head.scale, index;
    uint64_t *bucket;

    if (scale < DIAG_SHM_SCALE_MIN || scale > DIAG_SHM_SCALE_MAX) {
        diag_histogram_reset(histogram);
        scale = DIAG_SHM_SCALE_MAX;
    }
    index = diag_histogram_index(magnitude, scale);
    if (index < buckets->start || index > buckets->end)
        index = extend(histogram, buckets, index);
    bucket = &counts[diag_histogram_position(index)];
    diag_slot_store(*bucket, *bucket + 1);
}

void diag_histogram_record(struct diag_shm_histogram *histogram, double value) {
    struct diag_shm_aggregate *head = &histogram->head;
    double magnitude = value < 0 ? -value : value;
    uint32_t odd = diag_slot_begin(head);

    if (magnitude > 0)
        count(histogram, magnitude, value < 0);
    else
        diag_slot_store(head->count, head->count + 1);
    diag_slot_store(head->sum, diag_slot_bits(diag_slot_double(head->sum) + value));
    if (value < diag_slot_double(head->min))
        diag_slot_store(head->min, diag_slot_bits(value));
    if (value > diag_slot_double(head->max))
        diag_slot_store(head->max, diag_slot_bits(value));
    diag_slot_end(head, odd);
}
