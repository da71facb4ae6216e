/* SPDX-License-Identifier: MIT */
/* aggregate_bench - what an update of a counter or a histogram in shared memory takes, one thread.
 * Prints "NAME NS" lines, the best of several rounds.
 *
 * usage: aggregate_bench [updates per round] */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/event/aggregate_encoder.h"
#include "lib/shm/aggregate_writer.h"

#define ROUNDS 7
#define VALUES 4096 /* a power of two */

struct bench {
    struct diag_segment segment;
    struct diag_aggregate_writer writer;
    uint64_t updates;
    double values[VALUES];
};

static struct bench bench;

static enum diag_status open_aggregate(bool is_histogram, uint64_t *handle) {
    uint8_t spec[DIAG_AGGREGATE_SPEC_MAX], overflow[DIAG_AGGREGATE_OVERFLOW_MAX];
    struct diag_aggregate_key key = {
        .spec = diag_bytes_make(spec, diag_aggregate_put_spec(spec, "bench", 1, "bench")),
        .overflow = diag_bytes_make(overflow, diag_aggregate_put_overflow(overflow)),
    };
    bool is_overflow;

    return diag_aggregate_writer_open(&bench.writer, is_histogram, &key, handle, &is_overflow);
}

static double best_ns(uint64_t handle) {
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start_ns = diag_clock_monotonic_ns();
        double ns;

        for (uint64_t i = 0; i < bench.updates; i++)
            if (diag_aggregate_writer_update(&bench.writer, handle, bench.values[i % VALUES]) !=
                DIAG_OK)
                abort();
        ns = (double)(diag_clock_monotonic_ns() - start_ns) / (double)bench.updates;
        if (round == 0 || ns < best)
            best = ns;
    }
    return best;
}

int main(int argc, char **argv) {
    uint64_t counter, histogram;
    struct diag_error err;

    bench.updates = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
    if (bench.updates == 0) {
        fprintf(stderr, "usage: aggregate_bench [updates per round]\n");
        return 2;
    }
    if (diag_segment_create("0123456789abcdef0123456789abcdef", DIAG_SHM_RING_SIZE_MIN,
                            &bench.segment, &err) != DIAG_OK) {
        fprintf(stderr, "aggregate_bench: %s\n", err.message);
        return 1;
    }
    /* durations between a microsecond and a second, as a `hist` of `elapsed` has them */
    srand48(1);
    for (size_t i = 0; i < VALUES; i++) {
        bench.values[i] = 1e-6;
        for (int j = 0; j < 20; j++)
            bench.values[i] *= 1 + drand48();
    }
    diag_aggregate_writer_init(&bench.writer, &bench.segment);
    if (open_aggregate(false, &counter) != DIAG_OK || open_aggregate(true, &histogram) != DIAG_OK)
        return 1;
    printf("counter_update %.1f\n", best_ns(counter));
    printf("histogram_update %.1f\n", best_ns(histogram));
    diag_segment_done(&bench.segment);
    return 0;
}
