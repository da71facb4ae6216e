/* SPDX-License-Identifier: MIT */
#include "inproc/engine/hit_clock.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace {

/* Of a reading; a thread may be interrupted while it takes a sample. */
constexpr uint64_t kTolerance = 50000;

void ExpectRight() {
    uint64_t before = diag_clock_monotonic_ns();
    uint64_t now = diag_hit_clock_monotonic_ns();
    uint64_t after = diag_clock_monotonic_ns();
    EXPECT_GE(now + kTolerance, before);
    EXPECT_LE(now, after + kTolerance);
    uint64_t unix_before = diag_clock_unix_ns();
    uint64_t unix_now = diag_hit_clock_unix_ns(diag_hit_clock_monotonic_ns());
    uint64_t unix_after = diag_clock_unix_ns();
    EXPECT_GE(unix_now + kTolerance, unix_before);
    EXPECT_LE(unix_now, unix_after + kTolerance);
}

void ReadFor(uint64_t ms) {
    uint64_t end = diag_clock_monotonic_ns() + ms * DIAG_NS_PER_MS;
    while (diag_clock_monotonic_ns() < end && !testing::Test::HasFailure())
        ExpectRight();
}

TEST(HitClock, AgreesWithTheSystemFromTheStart) {
    diag_hit_clock_init();
    ReadFor(250);
}

TEST(HitClock, AgreesAfterAPause) {
    diag_hit_clock_init();
    ReadFor(30);
    usleep(150000);
    ReadFor(10);
}

TEST(HitClock, SurvivesACounterThatIsSetBack) {
    diag_hit_clock_init();
    ReadFor(60);
    diag_hit_clock.base_ticks += UINT64_C(1) << 50;
    ReadFor(150);
}

TEST(HitClock, DoesNotBelieveARateThatHasChanged) {
    diag_hit_clock_init();
    ReadFor(60);
    diag_hit_clock.ns_per_tick *= 2;
    diag_hit_clock.base_ticks -= diag_hit_clock.age_max_ticks; /* too old: taken anew */
    ReadFor(150);
}

TEST(HitClock, GoesWithoutACounter) {
    diag_hit_clock.age_max_ticks = 0;
    ReadFor(50);
}

} // namespace
