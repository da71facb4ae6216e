// SPDX-License-Identifier: MIT
// json_testing - JSON in tests: written with single quotes, compared as sorted text, and patched by
// the one operation of RFC 6902 that the webhook uses.
#ifndef DIAG_TESTS_UNIT_WEBHOOK_JSON_TESTING_H
#define DIAG_TESTS_UNIT_WEBHOOK_JSON_TESTING_H

#include <gtest/gtest.h>
#include <jansson.h>
#include <malloc.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

// An allocator for jansson that counts, and fails on demand. Each test has a process of its own.
struct Allocator {
    static inline size_t used = 0, peak = 0, calls = 0, fail_from = SIZE_MAX;

    static void *allocate(size_t size) {
        if (calls++ >= fail_from)
            return nullptr;
        void *memory = malloc(size);
        used += malloc_usable_size(memory) + sizeof(size_t);
        peak = std::max(peak, used);
        return memory;
    }
    static void release(void *memory) {
        if (memory != nullptr)
            used -= malloc_usable_size(memory) + sizeof(size_t);
        free(memory);
    }
    static void install() {
        json_set_alloc_funcs(allocate, release);
        used = peak = calls = 0;
        fail_from = SIZE_MAX;
    }
};

struct JsonFree {
    void operator()(json_t *json) const { json_decref(json); }
};
using Json = std::unique_ptr<json_t, JsonFree>;

inline std::string quoted(std::string text) {
    std::replace(text.begin(), text.end(), '\'', '"');
    return text;
}

inline Json parse(const std::string &text) {
    json_error_t error;
    Json json(json_loads(quoted(text).c_str(), JSON_DECODE_ANY, &error));

    EXPECT_NE(json, nullptr) << error.text << ": " << text;
    return json;
}

inline std::string dump(const json_t *json) {
    if (json == nullptr)
        return "(none)";
    std::string copy;
    json_dump_callback(
        json,
        [](const char *text, size_t size, void *target) {
            static_cast<std::string *>(target)->append(text, size);
            return 0;
        },
        &copy, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    std::replace(copy.begin(), copy.end(), '"', '\'');
    return copy;
}

inline std::vector<std::string> segments(const std::string &path) {
    std::vector<std::string> found;

    for (char c : path) {
        if (c == '/')
            found.emplace_back();
        else
            found.back().push_back(c);
    }
    for (std::string &segment : found) {
        for (size_t at; (at = segment.find("~1")) != std::string::npos;)
            segment.replace(at, 2, "/");
        for (size_t at; (at = segment.find("~0")) != std::string::npos;)
            segment.replace(at, 2, "~");
    }
    return found;
}

// Applies "add" as of RFC 6902 section 4.1, in place.
inline void add(json_t *document, const std::string &path, json_t *value) {
    std::vector<std::string> way = segments(path);
    json_t *place = document;

    ASSERT_FALSE(way.empty());
    for (size_t i = 0; i + 1 < way.size(); i++) {
        place = json_is_array(place) ? json_array_get(place, std::stoul(way[i]))
                                     : json_object_get(place, way[i].c_str());
        ASSERT_NE(place, nullptr) << path << ": no " << way[i];
    }
    if (json_is_object(place)) {
        ASSERT_EQ(json_object_set(place, way.back().c_str(), value), 0);
        return;
    }
    ASSERT_TRUE(json_is_array(place)) << path;
    size_t index = way.back() == "-" ? json_array_size(place) : std::stoul(way.back());
    ASSERT_LE(index, json_array_size(place)) << path;
    ASSERT_EQ(json_array_insert(place, index, value), 0);
}

inline Json patched(const json_t *document, const json_t *operations) {
    Json result(json_deep_copy(document));
    size_t index;
    json_t *operation;

    json_array_foreach(operations, index, operation) {
        EXPECT_STREQ(json_string_value(json_object_get(operation, "op")), "add");
        add(result.get(), json_string_value(json_object_get(operation, "path")),
            json_object_get(operation, "value"));
    }
    return result;
}

#endif
