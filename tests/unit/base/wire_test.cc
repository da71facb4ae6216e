// SPDX-License-Identifier: MIT
#include "lib/base/wire.h"

#include <gtest/gtest.h>

#include <climits>
#include <string>
#include <vector>

namespace {

struct diag_bytes bytes(const std::string &text) {
    return diag_bytes_make(text.data(), text.size());
}

// Reads all fields, which borrow from `message`; the status that ended it.
enum diag_status read_all(const std::string &message, std::vector<diag_wire_field> *fields) {
    struct diag_wire_reader reader = diag_wire_reader_make(bytes(message));
    struct diag_wire_field field;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK)
        if (fields != nullptr)
            fields->push_back(field);
    return status;
}

TEST(WireReader, RefusesWhatIsNoField) {
    struct {
        const char *name;
        std::string message;
        enum diag_status status;
    } const cases[] = {
        {"empty", "", DIAG_ERR_CLOSED},
        {"varint", std::string("\x08\x96\x01", 3), DIAG_ERR_CLOSED},
        {"tag alone", "\x08", DIAG_ERR_PROTOCOL},
        {"varint cut off", "\x08\x96", DIAG_ERR_PROTOCOL},
        {"varint of eleven bytes", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
         DIAG_ERR_PROTOCOL},
        {"varint over 64 bits", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", DIAG_ERR_PROTOCOL},
        {"field number 0", std::string("\x00\x01", 2), DIAG_ERR_PROTOCOL},
        {"field number over 29 bits", "\x80\x80\x80\x80\x10\x01", DIAG_ERR_PROTOCOL},
        {"tag of six bytes", std::string("\x88\x87\xd6\x87\x87\x00\x01", 7), DIAG_ERR_PROTOCOL},
        {"tag of five bytes", std::string("\x88\x87\xd6\x87\x07\x01", 6), DIAG_ERR_CLOSED},
        {"fixed64 cut off", "\x09\x01\x02\x03", DIAG_ERR_PROTOCOL},
        {"fixed32 cut off", "\x0d\x01\x02", DIAG_ERR_PROTOCOL},
        {"fixed32", std::string("\x0d\x01\x02\x03\x04", 5), DIAG_ERR_CLOSED},
        {"length beyond the end",
         "\x0a\x05"
         "abc",
         DIAG_ERR_PROTOCOL},
        {"length of 2^64 - 1", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", DIAG_ERR_PROTOCOL},
        {"group", "\x0b", DIAG_ERR_PROTOCOL},
        {"wire type 7", "\x0f", DIAG_ERR_PROTOCOL},
    };

    for (const auto &c : cases)
        EXPECT_EQ(read_all(c.message, nullptr), c.status) << c.name;
}

TEST(Wire, WhatIsWrittenIsRead) {
    uint8_t data[256];
    struct diag_wire_writer writer = diag_wire_writer_make(data, sizeof data);
    std::vector<diag_wire_field> fields;
    int64_t const sints[] = {0, -1, 1, INT64_MIN, INT64_MAX, -64, 64};

    diag_wire_put_varint(&writer, 1, UINT64_MAX);
    for (int64_t value : sints)
        diag_wire_put_sint(&writer, 2, value);
    diag_wire_put_fixed64(&writer, 3, UINT64_C(0x0102030405060708));
    diag_wire_put_double(&writer, 4, -1.5);
    diag_wire_put_bytes(&writer, 536870911, bytes("abc"));
    ASSERT_FALSE(writer.has_overflowed);
    std::string message(reinterpret_cast<char *>(data), diag_wire_size(&writer));
    ASSERT_EQ(read_all(message, &fields), DIAG_ERR_CLOSED);
    ASSERT_EQ(fields.size(), 11u);
    EXPECT_EQ(fields[0].integer, UINT64_MAX);
    for (size_t i = 0; i < 7; i++)
        EXPECT_EQ(diag_wire_zigzag_decode(fields[1 + i].integer), sints[i]);
    EXPECT_EQ(fields[8].integer, UINT64_C(0x0102030405060708));
    double number;
    memcpy(&number, &fields[9].integer, sizeof number);
    EXPECT_EQ(number, -1.5);
    EXPECT_EQ(fields[10].number, 536870911u);
}

TEST(Wire, NestedMessages) {
    uint8_t data[64];
    struct diag_wire_writer writer = diag_wire_writer_make(data, sizeof data);
    std::vector<diag_wire_field> fields;

    size_t outer = diag_wire_begin(&writer, 1);
    size_t inner = diag_wire_begin(&writer, 2);
    diag_wire_put_varint(&writer, 3, 7);
    diag_wire_end(&writer, inner);
    diag_wire_end(&writer, outer);
    std::string message(reinterpret_cast<char *>(data), diag_wire_size(&writer));
    ASSERT_EQ(read_all(message, &fields), DIAG_ERR_CLOSED);
    ASSERT_EQ(fields.size(), 1u);
    struct diag_wire_reader reader = diag_wire_reader_make(fields[0].bytes);
    struct diag_wire_field field;
    ASSERT_EQ(diag_wire_next(&reader, &field), DIAG_OK);
    EXPECT_EQ(field.number, 2u);
    EXPECT_EQ(field.bytes.size, 2u);
}

// With any capacity, the writer stays inside and says whether all fitted.
TEST(WireWriter, NeverWritesBeyondItsEnd) {
    uint8_t data[64 + 1];
    size_t needed = 0;

    for (size_t capacity = 64 + 1; capacity-- > 0;) {
        struct diag_wire_writer writer = diag_wire_writer_make(data, capacity);
        memset(data, 0xEE, sizeof data);
        size_t mark = diag_wire_begin(&writer, 1);
        diag_wire_put_varint(&writer, 2, 300);
        diag_wire_put_fixed64(&writer, 3, 1);
        diag_wire_put_bytes(&writer, 4, bytes("hello"));
        diag_wire_put_raw(&writer, bytes("xyz"));
        diag_wire_end(&writer, mark);
        if (capacity == 64)
            needed = diag_wire_size(&writer);
        EXPECT_EQ(writer.has_overflowed, capacity < needed) << capacity;
        EXPECT_EQ(data[capacity], 0xEE) << capacity;
    }
    EXPECT_GT(needed, 20u);
}

TEST(WireWriter, RewindTakesAnOverflowBack) {
    uint8_t data[8];
    struct diag_wire_writer writer = diag_wire_writer_make(data, sizeof data);

    diag_wire_put_varint(&writer, 1, 1);
    size_t size = diag_wire_size(&writer);
    diag_wire_put_bytes(&writer, 2, bytes("too long for it"));
    EXPECT_TRUE(writer.has_overflowed);
    EXPECT_EQ(diag_wire_room(&writer), 0u);
    diag_wire_rewind(&writer, size);
    EXPECT_EQ(diag_wire_room(&writer), sizeof data - size);
    diag_wire_put_varint(&writer, 1, 1);
    EXPECT_FALSE(writer.has_overflowed);
}

TEST(Wire, VarintSize) {
    EXPECT_EQ(diag_wire_varint_size(0), 1u);
    EXPECT_EQ(diag_wire_varint_size(127), 1u);
    EXPECT_EQ(diag_wire_varint_size(128), 2u);
    EXPECT_EQ(diag_wire_varint_size(UINT64_MAX), 10u);
}

} // namespace
