/* SPDX-License-Identifier: MIT */
/* hit_clock - the time of a hit in both of the project's clocks, from one reading.
 *
 * Where the kernel itself trusts the processor's counter (x86-64 with an invariant TSC that is the
 * system's clock source), a reading is that counter, scaled; elsewhere it is clock_gettime. A hit
 * that finds the scale older than DIAG_HIT_CLOCK_AGE_MAX_NS takes it anew, so that no other thread
 * need run: steps of the system's clock, changes of its rate and suspends of the machine are
 * followed within that time, and at once after a pause. Two readings on either side of such a
 * renewal may contradict each other by some tens of nanoseconds.
 *
 * Threading: the GIL. The scale belongs to the process, as the clocks do (see thread_state.h).
 * Fork:      the child's clocks are its parent's; nothing to do. */
#ifndef DIAG_INPROC_ENGINE_HIT_CLOCK_H
#define DIAG_INPROC_ENGINE_HIT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

DIAG_DECLS_BEGIN

#define DIAG_HIT_CLOCK_AGE_MAX_NS (100 * DIAG_NS_PER_MS)
#define DIAG_HIT_CLOCK_SHIFT 32

struct diag_hit_clock {
    uint64_t base_ticks;
    uint64_t age_max_ticks; /* 0: there is no scale; ask the system's clock */
    uint64_t ns_per_tick;   /* times 2 to the power of DIAG_HIT_CLOCK_SHIFT */
    uint64_t base_monotonic_ns;
    uint64_t unix_offset_ns; /* to be added to monotonic time, modulo 2^64 */
};

extern struct diag_hit_clock diag_hit_clock __attribute__((visibility("hidden")));

/* Finds out whether the counter can be trusted. May be called again. */
void diag_hit_clock_init(void);

/* What to do where there is no scale, or only an old one. */
uint64_t diag_hit_clock_renew(void);

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline uint64_t diag_hit_clock_monotonic_ns(void) {
#if defined(__x86_64__)
    const struct diag_hit_clock *clock = &diag_hit_clock;
    /* a counter that was set back wraps around, and is too old as well */
    uint64_t ticks = __rdtsc() - clock->base_ticks;

    if (DIAG_LIKELY(ticks < clock->age_max_ticks)) /* so that the product fits 64 bits */
        return clock->base_monotonic_ns + (ticks * clock->ns_per_tick >> DIAG_HIT_CLOCK_SHIFT);
#endif
    return diag_hit_clock_renew();
}

/* The same instant as nanoseconds since the Unix epoch. `monotonic_ns` is a reading of just now. */
static inline uint64_t diag_hit_clock_unix_ns(uint64_t monotonic_ns) {
    return monotonic_ns + diag_hit_clock.unix_offset_ns;
}

DIAG_DECLS_END

#endif
