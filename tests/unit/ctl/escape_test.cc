/* SPDX-License-Identifier: MIT */
#include <gtest/gtest.h>
#include <string>

#include "ctl/escape.h"

namespace {

std::string take(struct diag_buffer *buffer) {
    std::string text(reinterpret_cast<char *>(buffer->data), buffer->size);
    diag_buffer_done(buffer);
    return text;
}

std::string plain(const std::string &text) {
    struct diag_buffer out = {};
    diag_escape_plain(&out, diag_bytes_make(text.data(), text.size()));
    return take(&out);
}

TEST(Escape, LeavesTextThatATerminalOnlyShows) {
    for (const char *text : {"", "plain", "caf\u00e9", "\u65e5\u672c", "\U0001F600", "a\\b \"c\""})
        EXPECT_EQ(plain(text), text);
}

TEST(Escape, DisarmsWhatDrivesATerminal) {
    const struct {
        std::string text, expected;
    } cases[] = {
        {"\x1b[31mred", "\\x1b[31mred"},
        {"a\nb\tc\r", "a\\nb\\tc\\r"},
        {std::string("nul\0!", 5), "nul\\x00!"},
        {"\x7f", "\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\\x9b31m"},                        /* CSI of C1 */
        {"\u202egnp.exe", "\\u202egnp.exe"}, /* right-to-left override */
        {"\u2028", "\\u2028"},
        {"\ufeff", "\\ufeff"},
        {"\xff\xc3", "\\xff\\xc3"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* a surrogate is no UTF-8 */
    };
    for (const auto &c : cases)
        EXPECT_EQ(plain(c.text), c.expected);
}

TEST(Escape, QuotesAndBytes) {
    struct diag_buffer out = {};
    diag_escape_quoted(&out, diag_bytes_from_text("a\"b\\c\n"));
    EXPECT_EQ(take(&out), "\"a\\\"b\\\\c\\n\"");
    struct diag_buffer bytes = {};
    diag_escape_bytes(&bytes, diag_bytes_make("a\xc3\xa9\0\"", 5));
    EXPECT_EQ(take(&bytes), "a\\xc3\\xa9\\x00\\\"");
}

TEST(Escape, CutsBetweenCharacters) {
    char *cut = diag_escape_text("ab\u00e9\u00e9", 5);
    EXPECT_STREQ(cut, "ab\u00e9...");
    free(cut);
    EXPECT_EQ(diag_escape_width("ab\u00e9"), 3u);
}

} // namespace
