// SPDX-License-Identifier: MIT
#include "lib/base/uid.h"

#include <gtest/gtest.h>

#include <cstring>

TEST(Uid, MadeOnesAreValidAndDiffer) {
    char a[DIAG_UID_SIZE], b[DIAG_UID_SIZE];

    ASSERT_EQ(diag_uid_make(a, nullptr), DIAG_OK);
    ASSERT_EQ(diag_uid_make(b, nullptr), DIAG_OK);
    EXPECT_TRUE(diag_uid_is_valid(a));
    EXPECT_STRNE(a, b);
}

TEST(Uid, Validity) {
    EXPECT_TRUE(diag_uid_is_valid("0123456789abcdef0123456789abcdef"));
    EXPECT_FALSE(diag_uid_is_valid(""));
    EXPECT_FALSE(diag_uid_is_valid("0123456789abcdef0123456789abcde"));
    EXPECT_FALSE(diag_uid_is_valid("0123456789abcdef0123456789abcdef0"));
    EXPECT_FALSE(diag_uid_is_valid("0123456789ABCDEF0123456789abcdef"));
    EXPECT_FALSE(diag_uid_is_valid("0123456789abcdef/123456789abcdef"));
}
