// SPDX-License-Identifier: MIT
#include "deploy/webhook/json_read.h"

#include "tests/unit/webhook/json_testing.h"

namespace {

TEST(JsonRead, BearsEveryType) {
    for (const char *text : {"null", "7", "true", "[]", "{}", "2.5"}) {
        Json json = parse(text);
        EXPECT_EQ(diag_json_text(json.get()), nullptr);
        EXPECT_EQ(diag_json_member_text(json.get(), "a"), nullptr);
        EXPECT_FALSE(diag_json_is_text(json.get(), ""));
        EXPECT_EQ(diag_json_is_absent(json.get()), std::string(text) == "null");
        EXPECT_EQ(diag_json_find(json.get(), "a", "b", nullptr), nullptr);
    }
    EXPECT_EQ(diag_json_text(nullptr), nullptr);
    EXPECT_TRUE(diag_json_is_absent(nullptr));
    EXPECT_EQ(diag_json_find(nullptr, "a", "b", nullptr), nullptr);
}

TEST(JsonRead, TakesNoTextWithANul) {
    Json json(json_stringn("true\0x", 6));
    EXPECT_EQ(diag_json_text(json.get()), nullptr);
    EXPECT_FALSE(diag_json_is_text(json.get(), "true"));
}

TEST(JsonRead, FindsTheLast) {
    Json list = parse("[{'n':'a','i':0},7,{'n':'b'},{'n':'a','i':3},{'n':null}]");
    size_t index = 99;

    const json_t *found = diag_json_find(list.get(), "n", "a", &index);
    EXPECT_EQ(dump(found), "{'i':3,'n':'a'}");
    EXPECT_EQ(index, 3u);
    EXPECT_EQ(diag_json_find(list.get(), "n", "c", &index), nullptr);
    EXPECT_EQ(index, 3u);
}

} // namespace
