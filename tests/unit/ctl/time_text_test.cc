/* SPDX-License-Identifier: MIT */
#include <gtest/gtest.h>

#include "ctl/time_text.h"
#include "lib/base/clock.h"

namespace {

TEST(TimeText, Durations) {
    const struct {
        uint64_t seconds;
        const char *expected;
    } cases[] = {
        {0, "0s"},        {59, "59s"},    {60, "1m0s"},      {590, "9m50s"},
        {3599, "59m59s"}, {3600, "1h0m"}, {86399, "23h59m"}, {86400 * 3 + 4 * 3600, "3d4h"}};
    for (const auto &c : cases) {
        char text[DIAG_TIME_TEXT_SIZE];
        diag_time_duration(text, c.seconds * DIAG_NS_PER_S + 999);
        EXPECT_STREQ(text, c.expected);
    }
}

TEST(TimeText, Times) {
    char text[DIAG_TIME_TEXT_SIZE];
    diag_time_rfc3339(text, UINT64_C(1772366400123456789));
    EXPECT_STREQ(text, "2026-03-01T12:00:00.123456789Z");
    setenv("TZ", "UTC", 1);
    diag_time_of_day(text, UINT64_C(1772366401123456789));
    EXPECT_STREQ(text, "12:00:01.123456");
    diag_time_rfc3339(text, UINT64_MAX);
    EXPECT_STREQ(text, "2554-07-21T23:34:33.709551615Z");
}

} // namespace
