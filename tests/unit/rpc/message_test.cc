/* SPDX-License-Identifier: MIT */
#include "lib/rpc/message.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "proto/grpc/health/v1/health.pb-c.h"
#include "tests/unit/rpc/nested.pb-c.h"

namespace {

using std::string_literals::operator""s;

diag_bytes bytes(const std::string &content) {
    return diag_bytes_make(content.data(), content.size());
}

std::string content(const diag_rpc_message *message) {
    diag_bytes all = diag_rpc_message_bytes(message);

    return std::string(reinterpret_cast<const char *>(all.data), all.size);
}

/* One length-delimited field. */
std::string field(int number, const std::string &payload) {
    std::string out(1, static_cast<char>(number << 3 | 2));
    size_t length = payload.size();

    for (; length >= 0x80; length >>= 7)
        out += static_cast<char>(length | 0x80);
    return out + static_cast<char>(length) + payload;
}

ProtobufCMessage *unpack(const std::string &encoded) {
    return diag_rpc_unpack(&diagnose__test__nested__descriptor, bytes(encoded));
}

TEST(Message, PacksAndShares) {
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    char service[] = "abc";

    request.service = service;
    diag_rpc_message *message = diag_rpc_message_pack(&request.base);
    ASSERT_NE(nullptr, message);
    EXPECT_EQ("\x0a\x03"s
              "abc",
              content(message));
    EXPECT_EQ(message, diag_rpc_message_ref(message));
    diag_rpc_message_unref(message);
    EXPECT_EQ(size_t{5}, diag_rpc_message_bytes(message).size);
    diag_rpc_message_unref(message);
}

TEST(Message, CopiesAndTakesNothing) {
    for (const std::string &each : {""s, "x"s, "\0\xff"s, std::string(100000, 'y')}) {
        diag_rpc_message *message = diag_rpc_message_copy(bytes(each));

        ASSERT_NE(nullptr, message);
        EXPECT_EQ(each, content(message));
        diag_rpc_message_unref(message);
    }
    diag_rpc_message *empty = diag_rpc_message_copy(diag_bytes{});
    EXPECT_EQ(size_t{0}, diag_rpc_message_bytes(empty).size);
    diag_rpc_message_unref(empty);
    diag_rpc_message_unref(nullptr);
}

TEST(Message, ReferencesAreCountedAcrossThreads) {
    diag_rpc_message *message = diag_rpc_message_copy(bytes("shared"));
    std::vector<std::thread> threads;

    for (int i = 0; i < 4; i++) {
        diag_rpc_message_ref(message);
        threads.emplace_back([message] {
            for (int each = 0; each < 1000; each++)
                diag_rpc_message_unref(diag_rpc_message_ref(message));
            diag_rpc_message_unref(message);
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ("shared", content(message));
    diag_rpc_message_unref(message);
}

/* Nested.text = 1, Nested.children = 2 (repeated), Nested.data = 3, Nested.number = 4,
 * Nested.texts = 5 (repeated) */
TEST(Unpack, TellsGoodFromBad) {
    const struct {
        const char *name;
        std::string encoded;
        bool is_good;
    } cases[] = {
        {"empty", "", true},
        {"text", field(1, "abc"), true},
        {"multi-byte text", field(1, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82"), true},
        {"empty text", field(1, ""), true},
        {"text with NUL", field(1, "a\0b"s), false},
        {"text that is NUL", field(1, "\0"s), false},
        {"text cut in a sequence", field(1, "a\xc3"), false},
        {"surrogate", field(1, "\xed\xa0\x80"), false},
        {"overlong", field(1, "\xc0\xaf"), false},
        {"first of two texts bad", field(1, "\xff") + field(1, "ok"), false},
        {"repeated text", field(5, "a") + field(5, "b"), true},
        {"repeated text bad", field(5, "a") + field(5, "b\xff"), false},
        {"bytes may be anything", field(3, "\0\xff\xfe"s), true},
        {"number", "\x20\x07", true},
        {"nested text", field(2, field(1, "abc")), true},
        {"nested text bad", field(2, field(2, field(1, "\xff"))), false},
        {"nested NUL", field(2, field(1, "a\0"s)), false},
        {"unknown field", field(15, "\0\xff"s), true},
        {"length beyond the end",
         "\x0a\x05"
         "abc",
         false},
        {"length cut", "\x0a\xff", false},
        {"tag cut", "\x80", false},
        {"field number 0", "\x02\x00"s, false},
        {"group", "\x0b\x0c", false},
        {"wire type 7", "\x0f", false},
        {"text as number", "\x08\x01", false},
        {"nested garbage", field(2, "\xff"), false},
    };

    for (const auto &each : cases) {
        ProtobufCMessage *message = unpack(each.encoded);

        EXPECT_EQ(each.is_good, message != nullptr) << each.name;
        if (message != nullptr)
            protobuf_c_message_free_unpacked(message, nullptr);
    }
}

TEST(Unpack, GivesTheValues) {
    auto *message = reinterpret_cast<Diagnose__Test__Nested *>(
        unpack(field(1, "top") + field(2, field(1, "below")) + "\x20\x07"));

    ASSERT_NE(nullptr, message);
    EXPECT_STREQ("top", message->text);
    ASSERT_EQ(size_t{1}, message->n_children);
    EXPECT_STREQ("below", message->children[0]->text);
    EXPECT_EQ(uint64_t{7}, message->number);
    protobuf_c_message_free_unpacked(&message->base, nullptr);
}

TEST(Unpack, BoundsTheNesting) {
    const struct {
        int depth;
        bool is_good;
    } cases[] = {{1, true}, {63, true}, {64, false}, {2000, false}};

    for (const auto &each : cases) {
        /* built from the inside; each level adds its length's bytes */
        std::string encoded;
        for (int i = 0; i < each.depth; i++)
            encoded = field(2, encoded);
        ProtobufCMessage *message = unpack(encoded);

        EXPECT_EQ(each.is_good, message != nullptr) << each.depth;
        if (message != nullptr)
            protobuf_c_message_free_unpacked(message, nullptr);
    }
}

TEST(Unpack, BoundsTheMemory) {
    std::string empties;

    for (int i = 0; i < 500; i++)
        empties += field(2, "");
    ProtobufCMessage *message = unpack(empties); /* within the 64 KiB that are free */
    ASSERT_NE(nullptr, message);
    protobuf_c_message_free_unpacked(message, nullptr);
    while (empties.size() < (1 << 20))
        empties += field(2, "");
    EXPECT_EQ(nullptr, unpack(empties));

    std::string texts;
    while (texts.size() < (1 << 20))
        texts += field(1, std::string(1000, 'x'));
    message = unpack(texts); /* ordinary large messages fit */
    ASSERT_NE(nullptr, message);
    protobuf_c_message_free_unpacked(message, nullptr);
}

} // namespace
