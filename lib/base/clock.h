/* SPDX-License-Identifier: MIT */
/* clock - the two clocks of the project, in nanoseconds.
 *
 * Threading: any thread, signal handlers included. */
#ifndef DIAG_LIB_BASE_CLOCK_H
#define DIAG_LIB_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "lib/base/compiler.h"

#define DIAG_NS_PER_MS UINT64_C(1000000)
#define DIAG_NS_PER_S UINT64_C(1000000000)

static inline DIAG_UNUSED uint64_t diag_clock_ns(clockid_t clock) {
    struct timespec time;

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * DIAG_NS_PER_S + (uint64_t)time.tv_nsec;
}

/* Since an arbitrary point; never goes back. For durations and deadlines. */
static inline DIAG_UNUSED uint64_t diag_clock_monotonic_ns(void) {
    return diag_clock_ns(CLOCK_MONOTONIC);
}

/* Since the Unix epoch; may jump. For timestamps that leave the process. */
static inline DIAG_UNUSED uint64_t diag_clock_unix_ns(void) {
    return diag_clock_ns(CLOCK_REALTIME);
}

#endif
