// SPDX-License-Identifier: MIT
#include "lib/base/bytes.h"

#include <gtest/gtest.h>

#include <string>

namespace {

struct diag_bytes bytes(const std::string &text) {
    return diag_bytes_make(text.data(), text.size());
}

TEST(Bytes, Utf8AsInRfc3629) {
    struct {
        const char *name;
        std::string text;
        bool is_valid;
    } const cases[] = {
        {"empty", "", true},
        {"ascii", "hello", true},
        {"NUL is a character", std::string("a\0b", 3), true},
        {"two bytes", "\xc3\xa9", true},
        {"three bytes", "\xe2\x82\xac", true},
        {"four bytes", "\xf0\x9f\x90\x8d", true},
        {"largest code point", "\xf4\x8f\xbf\xbf", true},
        {"beyond the largest", "\xf4\x90\x80\x80", false},
        {"overlong two", "\xc0\x80", false},
        {"overlong three", "\xe0\x9f\xbf", false},
        {"overlong four", "\xf0\x8f\xbf\xbf", false},
        {"surrogate", "\xed\xa0\x80", false},
        {"last before the surrogates", "\xed\x9f\xbf", true},
        {"lone continuation", "\x80", false},
        {"cut off", "\xe2\x82", false},
        {"second byte wrong", "\xc3(", false},
        {"third byte wrong", "\xe2\x82(", false},
        {"byte that never occurs", "\xff", false},
    };

    for (const auto &c : cases)
        EXPECT_EQ(diag_bytes_is_utf8(bytes(c.text)), c.is_valid) << c.name;
}

TEST(Bytes, Utf8CutKeepsWholeCharacters) {
    std::string text = "a\xe2\x82\xac"
                       "b";

    EXPECT_EQ(diag_bytes_utf8_cut(bytes(text), 0), 0u);
    EXPECT_EQ(diag_bytes_utf8_cut(bytes(text), 1), 1u);
    EXPECT_EQ(diag_bytes_utf8_cut(bytes(text), 2), 1u);
    EXPECT_EQ(diag_bytes_utf8_cut(bytes(text), 3), 1u);
    EXPECT_EQ(diag_bytes_utf8_cut(bytes(text), 4), 4u);
    EXPECT_EQ(diag_bytes_utf8_cut(bytes(text), 99), 5u);
}

TEST(Bytes, EqualAndDup) {
    EXPECT_TRUE(diag_bytes_equal(bytes("ab"), diag_bytes_from_text("ab")));
    EXPECT_FALSE(diag_bytes_equal(bytes("ab"), bytes("ac")));
    EXPECT_FALSE(diag_bytes_equal(bytes("ab"), bytes("a")));
    EXPECT_TRUE(diag_bytes_equal(diag_bytes_make(nullptr, 0), bytes("")));
    char *text = diag_bytes_dup_text(diag_bytes_make("abc", 2));
    EXPECT_STREQ(text, "ab");
    free(text);
}

TEST(Buffer, GrowsAndKeepsWhatItHas) {
    struct diag_buffer buffer = {};
    std::string expected;

    for (int i = 0; i < 1000; i++) {
        std::string part(static_cast<size_t>(i % 37), static_cast<char>('a' + i % 26));
        ASSERT_EQ(diag_buffer_append(&buffer, bytes(part)), DIAG_OK);
        expected += part;
    }
    EXPECT_TRUE(diag_bytes_equal(diag_buffer_bytes(&buffer), bytes(expected)));
    EXPECT_EQ(diag_buffer_reserve(&buffer, SIZE_MAX / 2), DIAG_ERR_NO_MEMORY);
    EXPECT_EQ(buffer.size, expected.size());
    diag_buffer_done(&buffer);
    EXPECT_EQ(buffer.data, nullptr);
}

} // namespace
