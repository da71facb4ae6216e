/* SPDX-License-Identifier: MIT */
#include "sidecar/backoff.h"

#include <gtest/gtest.h>

namespace {

TEST(Backoff, DoublesWithinItsBounds) {
    diag_backoff backoff = {};
    const uint64_t bounds[] = {100, 200, 400, 800, 1600, 2000, 2000};
    for (int round = 0; round < 2; round++) {
        for (uint64_t bound : bounds) {
            uint64_t delay = diag_backoff_next_ms(&backoff);
            EXPECT_GE(delay, bound / 2);
            EXPECT_LE(delay, bound);
        }
        diag_backoff_reset(&backoff);
    }
}

TEST(Backoff, HasJitter) {
    diag_backoff backoff = {DIAG_BACKOFF_MAX_MS};
    uint64_t first = diag_backoff_next_ms(&backoff);
    bool differs = false;
    for (int i = 0; i < 20; i++)
        differs |= diag_backoff_next_ms(&backoff) != first;
    EXPECT_TRUE(differs);
}

} // namespace
