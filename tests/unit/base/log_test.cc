// SPDX-License-Identifier: MIT
#include "lib/base/log.h"

#include <gtest/gtest.h>

#include <string>

TEST(Log, LevelsHaveNames) {
    const struct {
        const char *name;
        enum diag_log_level level;
    } table[] = {
        {"debug", DIAG_LOG_DEBUG},
        {"info", DIAG_LOG_INFO},
        {"warning", DIAG_LOG_WARNING},
        {"error", DIAG_LOG_ERROR},
    };

    for (const auto &row : table) {
        enum diag_log_level level;
        ASSERT_EQ(diag_log_level_parse(row.name, &level, nullptr), DIAG_OK) << row.name;
        EXPECT_EQ(level, row.level) << row.name;
    }
}

TEST(Log, AnotherNameIsRefused) {
    for (const char *name : {"", "Info", "verbose", "warn", "debug ", "0"}) {
        enum diag_log_level level = DIAG_LOG_WARNING;
        struct diag_error err;
        ASSERT_EQ(diag_log_level_parse(name, &level, &err), DIAG_ERR_INVALID) << name;
        EXPECT_EQ(level, DIAG_LOG_WARNING) << "untouched";
        EXPECT_NE(std::string(err.message).find(name), std::string::npos) << err.message;
    }
}
