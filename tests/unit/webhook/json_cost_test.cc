// SPDX-License-Identifier: MIT
#include "deploy/webhook/json_cost.h"

#include "tests/unit/webhook/json_testing.h"

namespace {

std::string repeated(const std::string &text, size_t count) {
    std::string all;

    for (size_t i = 0; i < count; i++)
        all += text;
    return all;
}

size_t cost_of(const std::string &text) {
    return diag_json_cost(diag_bytes_make(text.data(), text.size()));
}

// What jansson takes at most while it reads the text.
size_t peak_of(const std::string &text) {
    Allocator::install();
    json_t *json =
        json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, nullptr);
    EXPECT_NE(json, nullptr) << text.substr(0, 80);
    json_decref(json);
    EXPECT_EQ(Allocator::used, 0u);
    return Allocator::peak;
}

std::string members(size_t count, const std::string &value) {
    std::string text = "{";

    for (size_t i = 0; i < count; i++)
        text += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":" + value;
    return text + "}";
}

TEST(JsonCost, IsAnUpperBound) {
    for (size_t count : {0, 1, 7, 8, 9, 100, 1025, 40000}) {
        for (const std::string &text : {
                 "[1" + repeated(",1", count) + "]",
                 "[[]" + repeated(",[]", count) + "]",
                 "[{}" + repeated(",{}", count) + "]",
                 "[\"\"" + repeated(",\"\"", count) + "]",
                 "[2.5" + repeated(",1e9", count) + "]",
                 "[null" + repeated(",true", count) + "]",
                 "[{\"name\":\"A\",\"value\":\"b\"}" +
                     repeated(",{\"name\":\"A\",\"value\":\"b\"}", count) + "]",
                 members(count, "\"v\""),
                 members(count, "{}"),
                 members(count, "[]"),
                 "[\"" + repeated("x", count) + "\"]",
                 "[\"" + repeated("\\u00e9\\\"\\\\", count) + "\"]",
                 "{\"" + repeated("k", count) + "\":\"" + repeated("\xc3\xa9", count) + "\"}",
                 repeated("[", count % 2000) + repeated("]", count % 2000) +
                     (count % 2000 ? "" : "[]"),
             }) {
            size_t cost = cost_of(text), peak = peak_of(text);

            EXPECT_GE(cost, peak) << text.substr(0, 40) << " " << count;
        }
    }
}

TEST(JsonCost, IsNotFarAbove) {
    std::string pod = "[{\"name\":\"A\",\"value\":\"b\"}" +
                      repeated(",{\"name\":\"A\",\"value\":\"b\"}", 30000) + "]";
    EXPECT_LT(cost_of(pod), 2 * peak_of(pod));
}

TEST(JsonCost, LooksAtStringsAsStrings) {
    EXPECT_EQ(cost_of("\"[{:,\\\"[\""), cost_of("\"xxxx\\\"x\""));
    EXPECT_LT(cost_of("\"[\""), cost_of("[\"\""));
    EXPECT_GT(cost_of("\"\\\\\"["), cost_of("\"\\x\\\"["));
    EXPECT_GT(cost_of("\"\\"), 0u); // ends within an escape
}

} // namespace
