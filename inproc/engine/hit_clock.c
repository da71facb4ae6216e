/* SPDX-License-Identifier: MIT */
/* How it works: a sample is the counter and both clocks, read together. The rate comes from two
 * samples that are at least RATE_WINDOW_NS apart, the later of which is the present one; until
 * there are two, and whenever the rate makes no sense any more (the machine was suspended, the
 * counter set back), readings come from the system's clock. */
#include "inproc/engine/hit_clock.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define CLOCK_SOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"
#define RATE_WINDOW_NS (20 * DIAG_NS_PER_MS)    /* shorter ones are too inexact */
#define RATE_WINDOW_MAX_NS (10 * DIAG_NS_PER_S) /* longer ones follow changes too slowly */
#define RATE_CHANGE_MAX 500                     /* one part in so many */
#define SAMPLE_ATTEMPTS 3

struct sample {
    uint64_t ticks;
    uint64_t monotonic_ns;
    uint64_t unix_offset_ns;
};

struct diag_hit_clock diag_hit_clock;

/* Of the process, like diag_hit_clock: what its scale was made of. */
static struct {
    bool is_counter_trusted;
    bool has_origin;
    struct sample origin; /* where the rate is measured from */
    struct sample latest;
} calibration;

#if defined(__x86_64__)

static uint64_t read_counter(void) {
    return __rdtsc();
}

/* The kernel compares the counters of all processors, and gives the TSC up where they differ. */
static bool is_counter_trusted(void) {
    unsigned eax, ebx, ecx, edx;
    char name[16] = "";
    FILE *file;

    if (!__get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) || (edx & 1u << 8) == 0)
        return false;
    file = fopen(CLOCK_SOURCE, "re");
    if (file == NULL)
        return false;
    if (fgets(name, sizeof name, file) == NULL)
        name[0] = '\0';
    fclose(file);
    return strcmp(name, "tsc\n") == 0;
}

#else

static uint64_t read_counter(void) {
    return 0;
}

static bool is_counter_trusted(void) {
    return false;
}

#endif

void diag_hit_clock_init(void) {
    calibration.is_counter_trusted = is_counter_trusted();
    diag_hit_clock_renew();
}

/* The quickest of a few attempts, since the thread may be interrupted in the middle of one. */
static struct sample take_sample(void) {
    uint64_t best_ns = UINT64_MAX;
    struct sample best = {0};

    for (int i = 0; i < SAMPLE_ATTEMPTS; i++) {
        uint64_t before_ns = diag_clock_monotonic_ns();
        uint64_t ticks = read_counter();
        uint64_t unix_ns = diag_clock_unix_ns();
        uint64_t after_ns = diag_clock_monotonic_ns();

        if (after_ns - before_ns >= best_ns)
            continue;
        best_ns = after_ns - before_ns;
        best.ticks = ticks;
        best.monotonic_ns = before_ns + best_ns / 2;
        best.unix_offset_ns = unix_ns - best.monotonic_ns;
    }
    return best;
}

/* Nanoseconds per tick between two samples, shifted; 0: they say nothing. */
static uint64_t rate_between(const struct sample *from, const struct sample *to) {
    uint64_t ns = to->monotonic_ns - from->monotonic_ns, ticks = to->ticks - from->ticks;

    if (ns < RATE_WINDOW_NS || ticks == 0 || ticks > UINT64_MAX / 2)
        return 0;
    return (uint64_t)((double)ns / (double)ticks * (double)(UINT64_C(1) << DIAG_HIT_CLOCK_SHIFT));
}

static bool is_like(uint64_t rate, uint64_t earlier) {
    uint64_t change = rate > earlier ? rate - earlier : earlier - rate;

    return earlier == 0 || change < earlier / RATE_CHANGE_MAX;
}

static void start_over(const struct sample *now) {
    calibration.origin = *now;
    calibration.has_origin = true;
    diag_hit_clock.age_max_ticks = 0;
    diag_hit_clock.ns_per_tick = 0;
}

static void scale(const struct sample *now) {
    uint64_t rate;

    if (!calibration.has_origin) {
        start_over(now);
        return;
    }
    if (now->monotonic_ns - calibration.origin.monotonic_ns < RATE_WINDOW_NS)
        return;
    rate = rate_between(&calibration.origin, now);
    if (rate == 0 || !is_like(rate, diag_hit_clock.ns_per_tick)) {
        start_over(now);
        return;
    }
    if (now->monotonic_ns - calibration.origin.monotonic_ns > RATE_WINDOW_MAX_NS)
        calibration.origin = calibration.latest;
    diag_hit_clock.base_ticks = now->ticks;
    diag_hit_clock.base_monotonic_ns = now->monotonic_ns;
    diag_hit_clock.ns_per_tick = rate;
    diag_hit_clock.age_max_ticks =
        (uint64_t)((double)DIAG_HIT_CLOCK_AGE_MAX_NS *
                   (double)(UINT64_C(1) << DIAG_HIT_CLOCK_SHIFT) / (double)rate);
}

uint64_t diag_hit_clock_renew(void) {
    uint64_t now_ns = diag_clock_monotonic_ns();
    struct sample now;

    /* Without a scale every reading comes here: sample no more often than is needed. */
    if (diag_hit_clock.age_max_ticks == 0 && calibration.latest.monotonic_ns != 0 &&
        now_ns - calibration.latest.monotonic_ns < RATE_WINDOW_NS)
        return now_ns;
    now = take_sample();
    diag_hit_clock.unix_offset_ns = now.unix_offset_ns;
    if (calibration.is_counter_trusted)
        scale(&now);
    calibration.latest = now;
    return now.monotonic_ns;
}
