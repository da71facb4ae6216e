// SPDX-License-Identifier: MIT
#include "deploy/webhook/text_list.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace {

std::string take(char *text) {
    EXPECT_NE(text, nullptr);
    std::string copy(text);
    free(text);
    return copy;
}

TEST(TextList, PutsAPartFirst) {
    const char *const cases[][2] = {
        {"", "/d"},
        {"/d", "/d"},
        {"/a", "/d:/a"},
        {"/a:/b", "/d:/a:/b"},
        {"/a:/d", "/d:/a"},
        {"/d:/a", "/d:/a"},
        {"/a:/d:/b:/d", "/d:/a:/b"},
        {"/d:/a:/d", "/d:/a"},
        {"/d/b", "/d:/d/b"},
        {"x/d", "/d:x/d"},
        {":", "/d::"},
        {":/d", "/d:"},
        {"/a:", "/d:/a:"},
    };

    for (const auto &c : cases) {
        EXPECT_EQ(take(diag_text_list_put_first(c[0], ':', "/d")), c[1]) << c[0];
        EXPECT_EQ(take(diag_text_list_put_first(c[1], ':', "/d")), c[1]) << c[0];
    }
}

TEST(TextList, AppendsWhatIsMissing) {
    const char *const cases[][2] = {
        {"", "a,b"},      {"a", "a,b"},     {"b", "b,a"},     {"b,a", "b,a"},   {"x", "x,a,b"},
        {"x,a", "x,a,b"}, {"ab", "ab,a,b"}, {" a", " a,a,b"}, {"x,", "x,,a,b"}, {"b,x,a", "b,x,a"},
    };

    for (const auto &c : cases) {
        EXPECT_EQ(take(diag_text_list_append_missing(c[0], ',', "a,b")), c[1]) << c[0];
        EXPECT_EQ(take(diag_text_list_append_missing(c[1], ',', "a,b")), c[1]) << c[0];
    }
    EXPECT_EQ(take(diag_text_list_append_missing("x", ',', "")), "x");
}

} // namespace
