/* SPDX-License-Identifier: MIT */
/* How it works: each thread of the producer keeps a row in memory that the parent shares: how many
 * puts it has begun and ended, and at which testpoint it was last. A put that was not ended when
 * the process died is in flight; the testpoint tells which fates are possible. The parent reads
 * the ring as the sidecar does, then salvages it, and compares.
 *
 * An event is produced once its room is reserved or its drop counted. With one thread that kills
 * itself at a testpoint the accounting must be exact; otherwise an event in flight may have gone
 * one step beyond the testpoint that was noted last. */
#include "tests/kill/kill_round.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "lib/base/clock.h"
#include "lib/shm/ring_reader.h"
#include "lib/shm/ring_writer.h"

namespace kill_round {
namespace {

const int kThreadsMax = 4;
const uint64_t kRing = DIAG_SHM_RING_SIZE_MIN;
const char kUid[] = "0123456789abcdef0123456789abcdef";
const size_t kWordsMax = 250; /* about 2 KiB: the ring is full after some thirty */

struct alignas(64) Row {
    std::atomic<uint64_t> begun, ended, stored, dropped;
    std::atomic<int> point;
    std::atomic<bool> was_full; /* in the put that is in flight */
};

struct Shared {
    Row rows[kThreadsMax];
    std::atomic<uint64_t> visits; /* of the point where it is to die */
};

struct Record {
    uint64_t thread, number, check;
    uint64_t words[kWordsMax];
};
const size_t kRecordHead = offsetof(Record, words);

uint64_t Mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

size_t CountOf(uint64_t thread, uint64_t number) {
    return Mix(thread << 32 ^ number) % kWordsMax;
}

/* Every seventh is as important as an error. */
bool IsKept(uint64_t number) {
    return number % 7 == 6;
}

size_t Fill(Record &record, uint64_t thread, uint64_t number) {
    size_t count = CountOf(thread, number);
    record.thread = thread;
    record.number = number;
    record.check = Mix(thread ^ Mix(number));
    for (size_t i = 0; i < count; i++)
        record.words[i] = Mix(record.check + i);
    return kRecordHead + count * sizeof(uint64_t);
}

/* The producer's side. */
Shared *shared;
const Plan *plan;
thread_local Row *row;

void AtPoint(diag_ring_testpoint point) {
    row->point.store(point, std::memory_order_relaxed);
    if (point == DIAG_RING_TESTPOINT_FULL)
        row->was_full.store(true, std::memory_order_relaxed);
    if (!plan->is_random && point == plan->point && ++shared->visits == plan->occurrence)
        kill(getpid(), SIGKILL);
}

void Produce(diag_segment *segment, int wake_fd, int thread) {
    diag_ring_writer writer = {segment, wake_fd};
    static thread_local Record record;
    row = &shared->rows[thread];

    for (uint64_t number = 0;; number++) {
        size_t size = Fill(record, (uint64_t)thread, number);
        diag_bytes bytes = diag_bytes_make(&record, size);
        row->was_full.store(false, std::memory_order_relaxed);
        row->point.store(-1, std::memory_order_relaxed);
        row->begun++;
        diag_status status = IsKept(number) ? diag_ring_writer_put_kept(&writer, bytes)
                                            : diag_ring_writer_put(&writer, bytes);
        if (status == DIAG_OK)
            row->stored++;
        else
            row->dropped++;
        row->ended++;
        /* Bursts fill the ring, pauses let the reader catch up and sleep. */
        if (number % 100 == 99)
            usleep(1);
    }
}

[[noreturn]] void ProducerProcess(diag_segment *segment, int wake_fd) {
    std::vector<std::thread> threads;
    diag_ring_testpoint_hook = AtPoint;
    for (int i = 1; i < plan->threads; i++)
        threads.emplace_back(Produce, segment, wake_fd, i);
    Produce(segment, wake_fd, 0);
    _exit(1);
}

/* What a put in flight may have come to, by the testpoint that was noted last. */
struct Fate {
    bool may_be_unborn, may_be_dropped, may_be_torn, may_be_delivered;
};

Fate FateOf(int point, bool was_full, bool is_exact) {
    switch (point) {
    case DIAG_RING_TESTPOINT_FULL:
        return {true, !is_exact, false, false};
    case DIAG_RING_TESTPOINT_DROP_COUNTED:
        return {false, true, false, false};
    case DIAG_RING_TESTPOINT_RESERVED:
    case DIAG_RING_TESTPOINT_PAD_WRITTEN:
    case DIAG_RING_TESTPOINT_LOST_UNMARKED:
    case DIAG_RING_TESTPOINT_LOST_WRITTEN:
    case DIAG_RING_TESTPOINT_UNSTAMPED:
    case DIAG_RING_TESTPOINT_BUSY:
    case DIAG_RING_TESTPOINT_HALF_COPIED:
        return {false, false, true, false};
    case DIAG_RING_TESTPOINT_COPIED:
        return {false, false, true, !is_exact};
    case DIAG_RING_TESTPOINT_COMMITTED:
    case DIAG_RING_TESTPOINT_WAKE_CLAIMED:
        return {false, false, false, true};
    case DIAG_RING_TESTPOINT_ENDED: /* counted as either, though not by the row */
        return {false, was_full, false, !was_full};
    default: /* before the reservation */
        return {true, false, !is_exact, false};
    }
}

struct Parent {
    const Plan &plan;
    diag_segment segment = {};
    diag_ring_reader reader = {};
    uint8_t buffer[DIAG_SHM_RECORD_MAX];
    int wake_fd = -1;
    uint64_t told = 0;
    uint64_t delivered[kThreadsMax] = {};
    int64_t last[kThreadsMax] = {-1, -1, -1, -1};
    Outcome outcome = {};

    explicit Parent(const Plan &the_plan) : plan(the_plan) {}

    bool Fault(const std::string &text) {
        if (outcome.fault.empty())
            outcome.fault = text;
        return false;
    }

    bool Check(size_t size) {
        Record got, expected;
        if (size < kRecordHead || size > sizeof got)
            return Fault("a record of " + std::to_string(size) + " bytes");
        memcpy(&got, buffer, size);
        if (got.thread >= (uint64_t)plan.threads)
            return Fault("a record of no thread");
        if (Fill(expected, got.thread, got.number) != size || memcmp(&got, &expected, size) != 0)
            return Fault("a record with another content than was put");
        if ((int64_t)got.number <= last[got.thread])
            return Fault("a record out of order, or twice");
        last[got.thread] = (int64_t)got.number;
        delivered[got.thread]++;
        outcome.delivered++;
        told += diag_ring_reader_take_dropped_here(&reader);
        return true;
    }

    /* Sleeps as the sidecar does: the eventfd ends it, and so does a while. */
    void Sleep() {
        struct pollfd wait = {wake_fd, POLLIN, 0};
        uint64_t count;
        diag_ring_reader_release(&reader);
        if (!diag_ring_reader_prepare_sleep(&reader))
            return;
        if (poll(&wait, 1, 1) == 1 && read(wake_fd, &count, sizeof count) != sizeof count)
            Fault("the eventfd is readable and cannot be read");
        diag_ring_reader_end_sleep(&reader);
    }

    bool ReadSome() {
        for (int i = 0; i < 32; i++) {
            size_t size;
            diag_status status = diag_ring_reader_next(&reader, buffer, &size);
            if (status == DIAG_ERR_CLOSED) {
                Sleep();
                return true;
            }
            if (status != DIAG_OK)
                return Fault("a corrupt ring");
            if (!Check(size))
                return false;
            if (i % 8 == 0)
                diag_ring_reader_release(&reader);
            if (plan.reader_pause != 0 && outcome.delivered % plan.reader_pause == 0)
                usleep(1);
        }
        return true;
    }

    /* Reads as the sidecar does while the process lives, and sees to its end. */
    void ReadWhileAlive(pid_t child) {
        uint64_t begun_ns = diag_clock_monotonic_ns();
        bool is_killed = false;
        while (ReadSome()) {
            uint64_t passed_ns = diag_clock_monotonic_ns() - begun_ns;
            if (waitpid(child, nullptr, WNOHANG) == child)
                return;
            if (plan.is_random && !is_killed && passed_ns > plan.delay_ns) {
                kill(child, SIGKILL);
                is_killed = true;
            }
            if (passed_ns > 20 * DIAG_NS_PER_S) {
                Fault("no end after 20 s");
                break;
            }
        }
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }

    void Salvage() {
        size_t size;
        while (outcome.fault.empty() && diag_ring_reader_salvage(&reader, buffer, &size) == DIAG_OK)
            Check(size);
        diag_ring_reader_release(&reader);
        if (reader.head != segment.header->tail)
            Fault("salvage left something behind");
        outcome.torn = reader.torn;
        outcome.dropped = told + diag_ring_reader_take_dropped(&reader);
        if (outcome.dropped != segment.header->dropped)
            Fault("told of " + std::to_string(outcome.dropped) + " drops, there were " +
                  std::to_string(segment.header->dropped));
    }

    void Account() {
        bool is_exact = plan.threads == 1 && !plan.is_random;
        uint64_t dropped_min = 0, dropped_max = 0, torn_min = 0, torn_max = 0, in_flight = 0;
        outcome.is_killed_at_point = shared->visits >= plan.occurrence;
        for (int i = 0; i < plan.threads; i++) {
            Row &its = shared->rows[i];
            uint64_t stored = its.stored, stored_max = stored, dropped = its.dropped;
            dropped_min += dropped;
            dropped_max += dropped;
            if (its.begun != stored + dropped) {
                Fate fate = FateOf(its.point, its.was_full, is_exact);
                bool is_certain = fate.may_be_unborn + fate.may_be_dropped + fate.may_be_torn +
                                      fate.may_be_delivered ==
                                  1;
                in_flight++;
                dropped_max += fate.may_be_dropped;
                dropped_min += fate.may_be_dropped && is_certain;
                torn_max += fate.may_be_torn;
                torn_min += fate.may_be_torn && is_certain;
                stored += fate.may_be_delivered && is_certain;
                stored_max += fate.may_be_delivered;
            }
            if (delivered[i] < stored || delivered[i] > stored_max)
                Fault("thread " + std::to_string(i) + ": " + std::to_string(delivered[i]) +
                      " delivered, committed were " + std::to_string(stored) + " to " +
                      std::to_string(stored_max));
        }
        if (outcome.dropped < dropped_min || outcome.dropped > dropped_max)
            Fault("dropped " + std::to_string(outcome.dropped) + ", not " +
                  std::to_string(dropped_min) + " to " + std::to_string(dropped_max));
        /* Threads that died side by side before their stamps leave one gap. */
        if (outcome.torn > torn_max || (torn_min > 0 && outcome.torn == 0) ||
            (is_exact && outcome.torn != torn_min))
            Fault("torn " + std::to_string(outcome.torn) + ", not " + std::to_string(torn_min) +
                  " to " + std::to_string(torn_max));
        if (in_flight > (uint64_t)plan.threads)
            Fault("more in flight than threads");
        outcome.produced = outcome.delivered + outcome.dropped + outcome.torn;
    }

    /* A second process goes on with the ring, as after a restart of the sidecar. */
    void CheckThatTheRingStillWorks() {
        diag_ring_writer writer = {&segment, -1};
        Record record;
        size_t size;
        diag_ring_testpoint_hook = nullptr;
        for (uint64_t number = 1; number <= 3 * kRing / sizeof record; number++) {
            size_t filled = Fill(record, 0, ((uint64_t)1 << 40) + number);
            if (diag_ring_writer_put(&writer, diag_bytes_make(&record, filled)) != DIAG_OK ||
                diag_ring_reader_next(&reader, buffer, &size) != DIAG_OK || size != filled ||
                memcmp(buffer, &record, size) != 0) {
                Fault("the ring does not work any more");
                return;
            }
            diag_ring_reader_release(&reader);
        }
    }
};

} // namespace

Outcome Run(const Plan &the_plan) {
    Parent parent(the_plan);
    diag_error err = {};

    if (shared == nullptr)
        shared = (Shared *)mmap(nullptr, sizeof *shared, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset((void *)shared, 0, sizeof *shared);
    plan = &the_plan;
    parent.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (diag_segment_create(kUid, kRing, &parent.segment, &err) != DIAG_OK ||
        diag_ring_reader_init(&parent.reader, &parent.segment, &err) != DIAG_OK) {
        parent.Fault(err.message);
        return parent.outcome;
    }
    pid_t child = fork();
    if (child == 0)
        ProducerProcess(&parent.segment, parent.wake_fd);
    if (child > 0) {
        parent.ReadWhileAlive(child);
        parent.Salvage();
        parent.Account();
        parent.CheckThatTheRingStillWorks();
    } else {
        parent.Fault("fork failed");
    }
    diag_segment_done(&parent.segment);
    close(parent.wake_fd);
    return parent.outcome;
}

const char *Name(diag_ring_testpoint point) {
    static const char *const names[] = {
        "begun",       "head read",     "full",         "drop counted", "reserved",
        "pad written", "lost unmarked", "lost written", "unstamped",    "busy",
        "half copied", "copied",        "committed",    "wake claimed", "ended",
    };
    static_assert(sizeof names / sizeof *names == DIAG_RING_TESTPOINT_COUNT, "a name for each");
    return names[point];
}

Plan MakePlan(uint64_t number) {
    uint64_t random = Mix(number);
    Plan made = {};
    made.threads = (int)(1 + (random & 3) * (random >> 2 & 1)); /* half of them: one */
    made.is_random = number % 4 == 3;
    made.point = (diag_ring_testpoint)(number / 4 * 3 % DIAG_RING_TESTPOINT_COUNT + number % 4);
    if (made.point >= DIAG_RING_TESTPOINT_COUNT)
        made.point = (diag_ring_testpoint)(made.point - DIAG_RING_TESTPOINT_COUNT);
    made.occurrence = 1 + (random >> 8) % 40;
    made.delay_ns = (random >> 16) % 1500000;
    made.reader_pause = (random >> 40 & 1) != 0 ? 5 + (random >> 41) % 20 : 0;
    if (!made.is_random && made.point == DIAG_RING_TESTPOINT_WAKE_CLAIMED) {
        made.occurrence = 1 + made.occurrence % 3; /* the reader sleeps seldom, ... */
        made.reader_pause = 0;                     /* ... and never if it lags behind */
    }
    return made;
}

} // namespace kill_round
