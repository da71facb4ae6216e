/* SPDX-License-Identifier: MIT */
#include "sidecar/outage.h"

#include <gtest/gtest.h>

#include <string>

namespace {

const uint64_t kRepeat = DIAG_OUTAGE_REPEAT_NS;

TEST(Outage, EachReasonIsSaidWhenItIsNewAndAgainAfterAWhile) {
    diag_outage outage = {};
    EXPECT_TRUE(diag_outage_note(&outage, 14, "refused", 100));
    EXPECT_FALSE(diag_outage_note(&outage, 14, "refused", 200));
    EXPECT_TRUE(diag_outage_note(&outage, 14, "another authority", 300));
    EXPECT_FALSE(diag_outage_note(&outage, 14, "refused", 400)) << "alternating ones are no news";
    EXPECT_FALSE(diag_outage_note(&outage, 14, "another authority", 500));
    EXPECT_FALSE(diag_outage_note(&outage, 14, "refused", 99 + kRepeat));
    EXPECT_TRUE(diag_outage_note(&outage, 14, "refused", 100 + kRepeat));
    EXPECT_FALSE(diag_outage_note(&outage, 14, "another authority", 299 + kRepeat));
    EXPECT_FALSE(diag_outage_note(&outage, 14, "refused", 99 + 2 * kRepeat));
    EXPECT_TRUE(diag_outage_note(&outage, 14, "refused", 100 + 2 * kRepeat));
}

TEST(Outage, TheCodeCountsAndAnEmptyMessageIsOne) {
    diag_outage outage = {};
    EXPECT_TRUE(diag_outage_note(&outage, 14, "", 1));
    EXPECT_FALSE(diag_outage_note(&outage, 14, "", 2));
    EXPECT_TRUE(diag_outage_note(&outage, 1, "", 3));
    EXPECT_FALSE(diag_outage_note(&outage, 1, "", 4));
}

/* A message with a number that is another one each time must not fill the log. */
TEST(Outage, ReasonsThatAreAlwaysNewAreBounded) {
    diag_outage outage = {};
    uint64_t now = 1;
    for (int round = 0; round < 3; round++, now += kRepeat) {
        int said = 0;
        for (uint64_t i = 0; i < 1000; i++)
            said += diag_outage_note(&outage, 14, std::to_string(now + i).c_str(), now + i);
        EXPECT_EQ(said, DIAG_OUTAGE_REASONS_MAX);
    }
    EXPECT_TRUE(diag_outage_note(&outage, 14, "the last", now));
    EXPECT_FALSE(diag_outage_note(&outage, 14, "the last", now + 1));
}

TEST(Outage, LongMessagesAreToldApartByTheirBeginning) {
    diag_outage outage = {};
    std::string message(DIAG_OUTAGE_MESSAGE_SIZE - 1, 'm');
    EXPECT_TRUE(diag_outage_note(&outage, 14, message.c_str(), 1));
    EXPECT_FALSE(diag_outage_note(&outage, 14, (message + "more").c_str(), 2));
    message[0] = 'n';
    EXPECT_TRUE(diag_outage_note(&outage, 14, message.c_str(), 3));
}

} // namespace
