/* SPDX-License-Identifier: MIT */
/* A producer is killed at every step of a put, and at random; tests/kill/run does the same for as
 * long as one likes. */
#include <gtest/gtest.h>

#include "tests/kill/kill_round.h"

namespace {

TEST(RingKill, EveryStep) {
    const uint64_t kRounds = 320;
    uint64_t produced = 0, torn = 0, dropped = 0;
    bool is_tried[DIAG_RING_TESTPOINT_COUNT] = {};

    for (uint64_t number = 0; number < kRounds; number++) {
        kill_round::Plan plan = kill_round::MakePlan(number);
#ifdef __SANITIZE_THREAD__
        /* Two laps' writers are ordered by the reader, whom TSan does not see in another process.
         */
        plan.threads = 1;
#endif
        SCOPED_TRACE("round " + std::to_string(number) + ", " + std::to_string(plan.threads) +
                     " threads, " + (plan.is_random ? "at random" : kill_round::Name(plan.point)));
        kill_round::Outcome outcome = kill_round::Run(plan);
        ASSERT_EQ(outcome.fault, "");
        if (!plan.is_random) {
            EXPECT_TRUE(outcome.is_killed_at_point);
            is_tried[plan.point] = true;
        }
        produced += outcome.produced;
        torn += outcome.torn;
        dropped += outcome.dropped;
    }
    for (int i = 0; i < DIAG_RING_TESTPOINT_COUNT; i++)
        EXPECT_TRUE(is_tried[i]) << kill_round::Name((diag_ring_testpoint)i);
    EXPECT_GT(produced, kRounds);
    EXPECT_GT(torn, kRounds / 10) << "most points lie between reserve and commit";
    EXPECT_GT(dropped, 0u);
}

/* One thread, killed at a point that tells exactly what becomes of its event. */
TEST(RingKill, ExactFates) {
    const struct {
        diag_ring_testpoint point;
        uint64_t torn;
    } cases[] = {
        {DIAG_RING_TESTPOINT_BEGUN, 0},         {DIAG_RING_TESTPOINT_HEAD_READ, 0},
        {DIAG_RING_TESTPOINT_FULL, 0},          {DIAG_RING_TESTPOINT_DROP_COUNTED, 0},
        {DIAG_RING_TESTPOINT_RESERVED, 1},      {DIAG_RING_TESTPOINT_PAD_WRITTEN, 1},
        {DIAG_RING_TESTPOINT_LOST_UNMARKED, 1}, {DIAG_RING_TESTPOINT_LOST_WRITTEN, 1},
        {DIAG_RING_TESTPOINT_UNSTAMPED, 1},     {DIAG_RING_TESTPOINT_BUSY, 1},
        {DIAG_RING_TESTPOINT_HALF_COPIED, 1},   {DIAG_RING_TESTPOINT_COPIED, 1},
        {DIAG_RING_TESTPOINT_COMMITTED, 0},     {DIAG_RING_TESTPOINT_WAKE_CLAIMED, 0},
        {DIAG_RING_TESTPOINT_ENDED, 0},
    };
    for (const auto &c : cases) {
        SCOPED_TRACE(kill_round::Name(c.point));
        kill_round::Plan plan = {};
        plan.threads = 1;
        plan.point = c.point;
        plan.occurrence = 2;
        kill_round::Outcome outcome = kill_round::Run(plan);
        EXPECT_EQ(outcome.fault, "");
        EXPECT_EQ(outcome.torn, c.torn);
        EXPECT_TRUE(outcome.is_killed_at_point);
    }
}

} // namespace
