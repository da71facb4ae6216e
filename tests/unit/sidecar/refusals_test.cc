/* SPDX-License-Identifier: MIT */
#include "sidecar/refusals.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace {

std::string Uid(int number) {
    char uid[DIAG_UID_SIZE];
    snprintf(uid, sizeof uid, "%032d", number);
    return uid;
}

TEST(Refusals, TellsOnceAndForgetsThoseThatStayAway) {
    diag_refusals refusals = {};
    char uid[DIAG_UID_SIZE];
    EXPECT_EQ(diag_refusals_next_ns(&refusals), UINT64_MAX);
    EXPECT_EQ(diag_refusals_note(&refusals, Uid(1).c_str(), 100), DIAG_REFUSALS_NEW);
    EXPECT_EQ(diag_refusals_note(&refusals, Uid(2).c_str(), 200), DIAG_REFUSALS_NEW);
    EXPECT_EQ(diag_refusals_next_ns(&refusals), 100 + DIAG_REFUSALS_KEPT_NS);
    EXPECT_EQ(diag_refusals_note(&refusals, Uid(1).c_str(), 300), DIAG_REFUSALS_KNOWN);
    EXPECT_EQ(diag_refusals_next_ns(&refusals), 200 + DIAG_REFUSALS_KEPT_NS);

    EXPECT_FALSE(diag_refusals_expire(&refusals, 199 + DIAG_REFUSALS_KEPT_NS, uid));
    ASSERT_TRUE(diag_refusals_expire(&refusals, 200 + DIAG_REFUSALS_KEPT_NS, uid));
    EXPECT_EQ(uid, Uid(2));
    EXPECT_FALSE(diag_refusals_expire(&refusals, 200 + DIAG_REFUSALS_KEPT_NS, uid));
    ASSERT_TRUE(diag_refusals_expire(&refusals, 300 + DIAG_REFUSALS_KEPT_NS, uid));
    EXPECT_EQ(uid, Uid(1));
    EXPECT_EQ(refusals.count, 0u);
}

TEST(Refusals, ForgetsTheOneThatIsServed) {
    diag_refusals refusals = {};
    char uid[DIAG_UID_SIZE];
    for (int i = 1; i <= 3; i++)
        diag_refusals_note(&refusals, Uid(i).c_str(), 0);
    diag_refusals_forget(&refusals, Uid(1).c_str());
    diag_refusals_forget(&refusals, Uid(9).c_str());
    EXPECT_EQ(refusals.count, 2u);
    while (diag_refusals_expire(&refusals, UINT64_MAX, uid))
        EXPECT_NE(uid, Uid(1));
}

TEST(Refusals, IsBounded) {
    diag_refusals refusals = {};
    for (int i = 0; i < DIAG_REFUSALS_MAX; i++)
        ASSERT_EQ(diag_refusals_note(&refusals, Uid(i).c_str(), 0), DIAG_REFUSALS_NEW);
    EXPECT_EQ(diag_refusals_note(&refusals, Uid(1000).c_str(), 0), DIAG_REFUSALS_FULL);
    EXPECT_EQ(diag_refusals_note(&refusals, Uid(3).c_str(), 0), DIAG_REFUSALS_KNOWN);
}

} // namespace
