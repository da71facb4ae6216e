// SPDX-License-Identifier: MIT
#include "lib/event/event_check.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>

#include "diagnose/v1/event.pb-c.h"
#include "lib/event/event_encoder.h"

namespace {

struct diag_bytes bytes(const std::string &text) {
    return diag_bytes_make(text.data(), text.size());
}

std::string encode(const std::function<void(struct diag_wire_writer *)> &body) {
    static uint8_t data[4 * DIAG_EVENT_MAX];
    uint8_t prefix[DIAG_EVENT_PREFIX_MAX];
    size_t prefix_size = diag_event_prefix(prefix, "id", 1);
    struct diag_wire_writer writer = diag_wire_writer_make(data, sizeof data);

    diag_event_begin(&writer, diag_bytes_make(prefix, prefix_size), DIAG_EVENT_KIND_HIT, 1, 2);
    body(&writer);
    EXPECT_FALSE(writer.has_overflowed);
    return std::string(reinterpret_cast<char *>(data), diag_wire_size(&writer));
}

std::string nested(int depth, uint32_t container, uint32_t item) {
    return encode([&](struct diag_wire_writer *writer) {
        std::vector<struct diag_value_mark> marks;
        for (int i = 0; i < depth; i++)
            marks.push_back(diag_value_begin(
                writer, i == 0 ? uint32_t{DIAG_EVENT_FIELD_VALUE} : item, container));
        for (; !marks.empty(); marks.pop_back())
            diag_value_end(writer, marks.back(), 0);
    });
}

TEST(EventCheck, Table) {
    struct {
        const char *name;
        std::string event;
        enum diag_status status;
    } const cases[] = {
        {"no value", encode([](struct diag_wire_writer *) {}), DIAG_OK},
        {"empty", "", DIAG_ERR_PROTOCOL},
        {"id not first", std::string("\x10\x01\x0a\x01x", 5), DIAG_ERR_PROTOCOL},
        {"empty id", std::string("\x0a\x00", 2), DIAG_ERR_PROTOCOL},
        {"value twice", std::string("\x0a\x01s\x32\x00\x32\x00", 7), DIAG_ERR_PROTOCOL},
        {"id of wrong type", std::string("\x08\x01", 2), DIAG_ERR_PROTOCOL},
        {"id not UTF-8", "\x0a\x01\xff", DIAG_ERR_PROTOCOL},
        {"str", encode([](struct diag_wire_writer *w) {
             diag_value_put_str(w, DIAG_EVENT_FIELD_VALUE, bytes("\xc3\xa9"), 0);
         }),
         DIAG_OK},
        {"str not UTF-8", encode([](struct diag_wire_writer *w) {
             diag_value_put_str(w, DIAG_EVENT_FIELD_VALUE, bytes("\xc3"), 0);
         }),
         DIAG_ERR_PROTOCOL},
        {"bytes may be anything", encode([](struct diag_wire_writer *w) {
             diag_value_put_bytes(w, DIAG_EVENT_FIELD_VALUE, bytes("\xc3"), 0);
         }),
         DIAG_OK},
        {"repr not UTF-8", encode([](struct diag_wire_writer *w) {
             diag_value_put_repr(w, DIAG_EVENT_FIELD_VALUE, bytes("T"), bytes("\xff"), 0);
         }),
         DIAG_ERR_PROTOCOL},
        {"tag not UTF-8", encode([](struct diag_wire_writer *w) {
             diag_event_put_tag(w, bytes("k"), bytes("\xff"));
         }),
         DIAG_ERR_PROTOCOL},
        {"error not UTF-8",
         encode([](struct diag_wire_writer *w) { diag_event_put_error(w, bytes("\xff")); }),
         DIAG_ERR_PROTOCOL},
        {"value of wrong type",
         encode([](struct diag_wire_writer *w) { diag_wire_put_varint(w, 6, 1); }),
         DIAG_ERR_PROTOCOL},
        {"unknown field",
         encode([](struct diag_wire_writer *w) { diag_wire_put_varint(w, 99, 1); }), DIAG_OK},
        {"lists as deep as allowed",
         nested(DIAG_EVENT_DEPTH_MAX, DIAG_VALUE_FIELD_LIST, DIAG_LIST_FIELD_ITEMS), DIAG_OK},
        {"lists far too deep", nested(1000, DIAG_VALUE_FIELD_LIST, DIAG_LIST_FIELD_ITEMS),
         DIAG_ERR_PROTOCOL},
        {"too large", encode([](struct diag_wire_writer *w) {
             diag_value_put_str(w, DIAG_EVENT_FIELD_VALUE, bytes(std::string(DIAG_EVENT_MAX, 'x')),
                                0);
         }),
         DIAG_ERR_TOO_LARGE},
    };

    for (const auto &c : cases)
        EXPECT_EQ(diag_event_check(bytes(c.event), nullptr), c.status) << c.name;
}

// Whatever passes the check, protobuf-c takes too: no reader's stream ends because of it.
TEST(EventCheck, WhatPassesIsAnEvent) {
    std::mt19937 random(3);
    std::string good = encode([](struct diag_wire_writer *w) {
        struct diag_value_mark mark =
            diag_value_begin(w, DIAG_EVENT_FIELD_VALUE, DIAG_VALUE_FIELD_DICT);
        size_t entry = diag_wire_begin(w, DIAG_DICT_FIELD_ENTRIES);
        diag_value_put_str(w, DIAG_DICT_ENTRY_FIELD_KEY, bytes("key"), 0);
        diag_value_put_float(w, DIAG_DICT_ENTRY_FIELD_VALUE, 1.5);
        diag_wire_end(w, entry);
        diag_value_end(w, mark, 3);
        diag_event_put_tag(w, bytes("k"), bytes("v"));
        diag_event_put_error(w, bytes("e"));
    });
    size_t passed = 0, refused = 0;

    for (int round = 0; round < 50000; round++) {
        std::string event = good;
        for (size_t i = random() % 4; i > 0; i--)
            event[random() % event.size()] = static_cast<char>(random());
        if (diag_event_check(bytes(event), nullptr) != DIAG_OK) {
            refused++;
            continue;
        }
        passed++;
        Diagnose__V1__Event *unpacked = diagnose__v1__event__unpack(
            nullptr, event.size(), reinterpret_cast<const uint8_t *>(event.data()));
        ASSERT_NE(unpacked, nullptr) << round;
        diagnose__v1__event__free_unpacked(unpacked, nullptr);
    }
    EXPECT_GT(passed, 1000u);
    EXPECT_GT(refused, 1000u);
}

} // namespace
