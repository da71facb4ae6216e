/* SPDX-License-Identifier: MIT */
/* The C part of tests/bench/transport: what an event costs the thread that emits it, by itself.
 * Prints lines of "NAME MINIMUM MEDIAN", in nanoseconds per event, over rounds.
 *
 * A round is a burst that fits the ring, while a reader in a thread of its own empties it: as fast
 * as it can ("emit"), or once in a millisecond, as the sidecar does ("paced"). The next burst
 * begins once the ring is empty. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "inproc/engine/hit_clock.h"
#include "lib/base/cleanup.h"
#include "lib/event/event_encoder.h"
#include "lib/shm/ring_reader.h"
#include "lib/shm/ring_writer.h"

#define UID "00112233445566778899aabbccddeeff"
#define ROUNDS 200
#define BURST 500
#define PRODUCERS_MAX 4
#define WAKE_UPS 2000

/* What the reader does when the ring is empty. */
enum reader_manner { POLLS, SLEEPS, IS_PACED };

struct bench {
    struct diag_segment segment;
    struct diag_ring_writer writer;
    struct diag_ring_reader reader;
    uint8_t prefix[DIAG_EVENT_PREFIX_MAX];
    size_t prefix_size;
    enum reader_manner manner;
    bool is_stopping;
    uint64_t read_count;
    uint64_t seen_ns; /* when the reader saw the last record */
};

static uint8_t payload[DIAG_EVENT_MAX];

static size_t encode(const struct bench *bench, uint8_t *event, size_t capacity,
                     size_t payload_size, uint64_t now_unix_ns) {
    struct diag_wire_writer writer = diag_wire_writer_make(event, capacity);

    diag_event_begin(&writer, diag_bytes_make(bench->prefix, bench->prefix_size),
                     DIAG_EVENT_KIND_HIT, now_unix_ns, 12345);
    if (payload_size == 8)
        diag_value_put_float(&writer, DIAG_EVENT_FIELD_VALUE, 0.001);
    else
        diag_value_put_bytes(&writer, DIAG_EVENT_FIELD_VALUE,
                             diag_bytes_make(payload, payload_size), 0);
    return diag_wire_size(&writer);
}

static bool emit(struct bench *bench, size_t payload_size, bool has_clock) {
    uint8_t event[1024];
    uint64_t now_unix_ns = has_clock ? diag_hit_clock_unix_ns(diag_hit_clock_monotonic_ns()) : 1;
    size_t size = encode(bench, event, sizeof event, payload_size, now_unix_ns);

    return diag_ring_writer_put(&bench->writer, diag_bytes_make(event, size)) == DIAG_OK;
}

/* ---- the reader ---- */

static void sleep_until_woken(struct bench *bench) {
    struct pollfd entry = {.fd = bench->writer.wake_fd, .events = POLLIN};
    uint64_t count;

    if (diag_ring_reader_prepare_sleep(&bench->reader) && poll(&entry, 1, 100) == 1 &&
        read(entry.fd, &count, sizeof count) < 0)
        return;
    diag_ring_reader_end_sleep(&bench->reader);
}

static void *read_all(void *context) {
    static uint8_t buffer[DIAG_SHM_RECORD_MAX];
    struct bench *bench = context;
    size_t size;

    while (!__atomic_load_n(&bench->is_stopping, __ATOMIC_ACQUIRE)) {
        uint64_t count = 0;

        while (diag_ring_reader_next(&bench->reader, buffer, &size) == DIAG_OK)
            count++;
        if (count > 0) {
            __atomic_store_n(&bench->seen_ns, diag_clock_monotonic_ns(), __ATOMIC_RELAXED);
            diag_ring_reader_release(&bench->reader);
            __atomic_fetch_add(&bench->read_count, count, __ATOMIC_RELEASE);
        } else if (bench->manner == SLEEPS) {
            sleep_until_woken(bench);
        } else if (bench->manner == IS_PACED) {
            usleep(1000);
        } else {
            sched_yield();
        }
    }
    return NULL;
}

static void wait_until_read(struct bench *bench, uint64_t count) {
    while (__atomic_load_n(&bench->read_count, __ATOMIC_ACQUIRE) < count)
        sched_yield();
}

/* ---- producers ---- */

struct producer {
    struct bench *bench;
    pthread_barrier_t *barrier;
    size_t payload_size;
    bool has_clock;
    double ns[ROUNDS]; /* per event */
};

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static void print_rounds(const char *name, double *ns, size_t count) {
    qsort(ns, count, sizeof *ns, compare);
    printf("%s %.1f %.1f\n", name, ns[0], ns[count / 2]);
}

static void *produce(void *context) {
    struct producer *producer = context;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t begin_ns;

        pthread_barrier_wait(producer->barrier); /* the ring is empty */
        begin_ns = diag_clock_monotonic_ns();
        for (int i = 0; i < BURST; i++)
            if (!emit(producer->bench, producer->payload_size, producer->has_clock))
                abort();
        producer->ns[round] = (double)(diag_clock_monotonic_ns() - begin_ns) / BURST;
        pthread_barrier_wait(producer->barrier);
    }
    return NULL;
}

/* Each thread times its own bursts; the figures are over the bursts of all. */
static void measure(struct bench *bench, size_t payload_size, bool has_clock, int threads) {
    static struct producer producers[PRODUCERS_MAX];
    static double ns[PRODUCERS_MAX * ROUNDS];
    pthread_t ids[PRODUCERS_MAX];
    pthread_barrier_t barrier;
    uint64_t count = bench->read_count;
    char name[64];

    pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++) {
        producers[i] = (struct producer){.bench = bench,
                                         .barrier = &barrier,
                                         .payload_size = payload_size,
                                         .has_clock = has_clock};
        pthread_create(&ids[i], NULL, produce, &producers[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        count += (uint64_t)threads * BURST;
        wait_until_read(bench, count);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        memcpy(&ns[i * ROUNDS], producers[i].ns, sizeof producers[i].ns);
    }
    pthread_barrier_destroy(&barrier);
    snprintf(name, sizeof name, "%s_%zu_%s_%d", bench->manner == IS_PACED ? "paced" : "emit",
             payload_size, has_clock ? "clock" : "noclock", threads);
    print_rounds(name, ns, (size_t)threads * ROUNDS);
}

static void measure_emit(struct bench *bench) {
    static const size_t sizes[] = {8, 64, 512};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(sizes); i++)
        for (int has_clock = 0; has_clock < 2; has_clock++)
            for (int threads = 1; threads <= PRODUCERS_MAX; threads *= 2)
                measure(bench, sizes[i], has_clock, threads);
}

/* The reader has been stopped. The event is encoded beforehand: only the refusal is timed. */
static void measure_drop(struct bench *bench) {
    uint8_t event[1024];
    size_t size = encode(bench, event, sizeof event, 64, 1);
    double ns[ROUNDS];

    while (diag_ring_writer_put(&bench->writer, diag_bytes_make(event, size)) == DIAG_OK)
        continue;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t begin_ns = diag_clock_monotonic_ns();

        for (int i = 0; i < BURST; i++)
            if (diag_ring_writer_put(&bench->writer, diag_bytes_make(event, size)) == DIAG_OK)
                abort();
        ns[round] = (double)(diag_clock_monotonic_ns() - begin_ns) / BURST;
    }
    print_rounds("drop", ns, ROUNDS);
}

/* From before the event is written until the reader has it. */
static void measure_wake_up(struct bench *bench, const char *name) {
    static double ns[WAKE_UPS];
    struct timespec pause = {.tv_nsec = 200000};

    for (int i = 0; i < WAKE_UPS; i++) {
        uint64_t count = bench->read_count, begin_ns;

        nanosleep(&pause, NULL); /* it sleeps by now, if it does at all */
        begin_ns = diag_clock_monotonic_ns();
        if (!emit(bench, 8, true))
            abort();
        wait_until_read(bench, count + 1);
        ns[i] = (double)(__atomic_load_n(&bench->seen_ns, __ATOMIC_RELAXED) - begin_ns);
    }
    qsort(ns, WAKE_UPS, sizeof *ns, compare);
    printf("wake_%s_p50 %.0f\nwake_%s_p99 %.0f\n", name, ns[WAKE_UPS / 2], name,
           ns[WAKE_UPS * 99 / 100]);
}

static pthread_t start_reader(struct bench *bench, enum reader_manner manner) {
    pthread_t thread;

    bench->manner = manner;
    bench->is_stopping = false;
    if (pthread_create(&thread, NULL, read_all, bench) != 0)
        abort();
    return thread;
}

static void stop_reader(struct bench *bench, pthread_t thread) {
    __atomic_store_n(&bench->is_stopping, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
}

int main(void) {
    static struct bench bench;
    struct diag_error err = {0};
    pthread_t reader;

    bench.prefix_size = diag_event_prefix(bench.prefix, "benchmark", 1);
    diag_hit_clock_init();
    usleep(50000); /* the clock's scale is measured over some 20 ms */
    if (diag_segment_create(UID, UINT64_C(1) << 22, &bench.segment, &err) != DIAG_OK ||
        diag_ring_reader_init(&bench.reader, &bench.segment, &err) != DIAG_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    bench.writer.segment = &bench.segment;
    bench.writer.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    reader = start_reader(&bench, POLLS);
    measure_emit(&bench);
    measure_wake_up(&bench, "busy");
    stop_reader(&bench, reader);
    reader = start_reader(&bench, SLEEPS);
    measure_wake_up(&bench, "sleeping");
    stop_reader(&bench, reader);
    reader = start_reader(&bench, IS_PACED);
    measure_emit(&bench);
    stop_reader(&bench, reader);
    measure_drop(&bench);
    close(bench.writer.wake_fd);
    diag_segment_done(&bench.segment);
    return 0;
}
