// SPDX-License-Identifier: MIT
#include "lib/base/map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

TEST(Map, BehavesLikeTheStandardOneUnderRandomUse) {
    struct diag_map map = {};
    std::map<std::string, void *> model;
    std::mt19937 random(42);
    static char values[64];

    for (int step = 0; step < 20000; step++) {
        std::string key = "key-" + std::to_string(random() % 300);
        switch (random() % 3) {
        case 0:
        case 1: {
            void *value = &values[random() % sizeof values];
            ASSERT_EQ(diag_map_put(&map, key.c_str(), value), DIAG_OK);
            model[key] = value;
            break;
        }
        default: {
            void *expected = model.count(key) ? model[key] : nullptr;
            ASSERT_EQ(diag_map_remove(&map, key.c_str()), expected);
            model.erase(key);
        }
        }
        ASSERT_EQ(map.count, model.size());
        void *expected = model.count(key) ? model[key] : nullptr;
        ASSERT_EQ(diag_map_get(&map, key.c_str()), expected);
    }
    size_t count = 0;
    for (size_t cursor = 0; diag_map_next(&map, &cursor) != nullptr;)
        count++;
    EXPECT_EQ(count, model.size());
    diag_map_done(&map);
}

TEST(Map, AddingAndRemovingForeverDoesNotGrowIt) {
    struct diag_map map = {};
    static char value;

    for (int i = 0; i < 100000; i++) {
        std::string key = std::to_string(i);
        ASSERT_EQ(diag_map_put(&map, key.c_str(), &value), DIAG_OK);
        ASSERT_EQ(diag_map_remove(&map, key.c_str()), &value);
    }
    EXPECT_LE(map.capacity, 64u);
    diag_map_done(&map);
}

TEST(Map, RemovingWhileWalking) {
    struct diag_map map = {};
    static char values[100];

    for (int i = 0; i < 100; i++)
        ASSERT_EQ(diag_map_put(&map, std::to_string(i).c_str(), &values[i]), DIAG_OK);
    void *value;
    size_t count = 0;
    for (size_t cursor = 0; (value = diag_map_next(&map, &cursor)) != nullptr; count++)
        diag_map_remove(&map, std::to_string(static_cast<char *>(value) - values).c_str());
    EXPECT_EQ(count, 100u);
    EXPECT_EQ(map.count, 0u);
    diag_map_done(&map);
}

TEST(Map, EmptyKeyAndEmptyMap) {
    struct diag_map map = {};
    static char value;

    EXPECT_EQ(diag_map_get(&map, "x"), nullptr);
    EXPECT_EQ(diag_map_remove(&map, "x"), nullptr);
    ASSERT_EQ(diag_map_put(&map, "", &value), DIAG_OK);
    EXPECT_EQ(diag_map_get(&map, ""), &value);
    EXPECT_EQ(diag_map_remove(&map, ""), &value);
    EXPECT_EQ(diag_map_get(&map, ""), nullptr);
    diag_map_done(&map);
}
