// SPDX-License-Identifier: MIT
#include "lib/base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

TEST(Error, CarriesStatusErrnoAndMessage) {
    struct diag_error err = {};

    EXPECT_EQ(diag_error_set(&err, DIAG_ERR_IO, ENOENT, "open %s", "x.db"), DIAG_ERR_IO);
    EXPECT_EQ(err.status, DIAG_ERR_IO);
    EXPECT_EQ(err.os_errno, ENOENT);
    EXPECT_STREQ(err.message, "open x.db: No such file or directory");
}

TEST(Error, WithoutErrnoTheMessageStandsAlone) {
    struct diag_error err = {};

    (void)diag_error_set(&err, DIAG_ERR_INVALID, 0, "id: missing");
    EXPECT_STREQ(err.message, "id: missing");
}

TEST(Error, NullIsFine) {
    EXPECT_EQ(diag_error_set(nullptr, DIAG_ERR_FULL, 0, "x"), DIAG_ERR_FULL);
    diag_error_prefix(nullptr, "x");
}

TEST(Error, LongMessagesAreCut) {
    struct diag_error err = {};
    std::string text(2 * DIAG_ERROR_MESSAGE_MAX, 'x');

    (void)diag_error_set(&err, DIAG_ERR_IO, ENOENT, "%s", text.c_str());
    EXPECT_EQ(std::string(err.message), std::string(DIAG_ERROR_MESSAGE_MAX - 1, 'x'));
    diag_error_prefix(&err, "here");
    EXPECT_EQ(std::string(err.message).substr(0, 8), "here: xx");
    EXPECT_EQ(std::string(err.message).size(), DIAG_ERROR_MESSAGE_MAX - 1u);
}

TEST(Error, PrefixSaysWhere) {
    struct diag_error err = {};

    (void)diag_error_set(&err, DIAG_ERR_INVALID, 0, "missing");
    diag_error_prefix(&err, "%s:%d", "a.yaml", 3);
    EXPECT_STREQ(err.message, "a.yaml:3: missing");
}

TEST(Error, EveryStatusHasItsOwnName) {
    std::set<std::string> names;

    for (int status = DIAG_OK; status <= DIAG_ERR_INTERNAL; status++)
        names.insert(diag_status_name(static_cast<enum diag_status>(status)));
    EXPECT_EQ(names.size(), static_cast<size_t>(DIAG_ERR_INTERNAL) + 1);
    EXPECT_EQ(names.count("unknown"), 0u);
}
