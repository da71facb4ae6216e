// SPDX-License-Identifier: MIT
#include "deploy/webhook/json_patch.h"

#include "tests/unit/webhook/json_testing.h"

namespace {

TEST(JsonPatch, AddsOperations) {
    Json operations(json_array());
    struct diag_error err = {};

    EXPECT_EQ(diag_json_patch_add(operations.get(), json_integer(1), &err, "/a/%d", 7), DIAG_OK);
    EXPECT_EQ(dump(operations.get()), "[{'op':'add','path':'/a/7','value':1}]");
    EXPECT_EQ(diag_json_patch_add(operations.get(), nullptr, &err, "/b"), DIAG_ERR_NO_MEMORY);
    std::string path(DIAG_JSON_PATH_MAX, 'x');
    EXPECT_EQ(diag_json_patch_add(operations.get(), json_integer(1), &err, "%s", path.c_str()),
              DIAG_ERR_TOO_LARGE);
    EXPECT_EQ(json_array_size(operations.get()), 1u);
}

TEST(JsonPatch, EscapesSegments) {
    const struct {
        const char *key;
        size_t size;
        const char *escaped;
    } cases[] = {
        {"a/b", 9, "a~1b"}, {"a~b", 9, "a~0b"}, {"~1", 9, "~01"}, {"", 9, ""},
        {"abc", 4, "abc"},  {"abc", 3, "ab"},   {"a/", 3, "a"},   {"a/", 4, "a~1"},
    };

    for (const auto &c : cases) {
        char escaped[9];
        diag_json_pointer_escape(c.key, escaped, c.size);
        EXPECT_STREQ(escaped, c.escaped) << c.key;
    }
}

} // namespace
