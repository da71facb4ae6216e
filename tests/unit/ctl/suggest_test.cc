/* SPDX-License-Identifier: MIT */
#include <gtest/gtest.h>

#include "ctl/suggest.h"

namespace {

const char *const kWords[] = {"id", "target", "instrument", "lifespan", "event", "value"};

std::string suggest(const char *typed) {
    const char *near = diag_suggest(typed, kWords, DIAG_ARRAY_SIZE(kWords));
    return near != nullptr ? near : "(none)";
}

TEST(Suggest, FindsTheNearestWord) {
    const struct {
        const char *typed, *expected;
    } cases[] = {
        {"vlaue", "value"},        {"Target", "target"},          {"lifespam", "lifespan"},
        {"life_span", "lifespan"}, {"instrment", "instrument"},   {"ID", "id"},
        {"evnt", "event"},         {"instruments", "instrument"}, {"tragte", "target"},
    };
    for (const auto &c : cases)
        EXPECT_EQ(suggest(c.typed), c.expected) << c.typed;
}

TEST(Suggest, IsSilentWhenNothingIsNear) {
    for (const char *typed : {"", "x", "colour", "expression", "applied",
                              "a-word-that-is-far-too-long-to-be-a-slip-of-the-finger"})
        EXPECT_EQ(suggest(typed), "(none)") << typed;
}

} // namespace
