// SPDX-License-Identifier: MIT
#include "deploy/webhook/base64.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace {

TEST(Base64, EncodesTheTextsOfRfc4648) {
    const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"},
    };

    for (const auto &c : cases) {
        char *text = diag_base64_encode(diag_bytes_from_text(c[0]));
        EXPECT_STREQ(text, c[1]);
        free(text);
    }
    EXPECT_EQ(diag_base64_encode(diag_bytes_make("", SIZE_MAX)), nullptr);
}

} // namespace
