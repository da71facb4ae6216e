/* SPDX-License-Identifier: MIT */
#include "controller/event_batch.h"

#include <string.h>

#include "tests/unit/controller/controller_fixture.h"

namespace diag_test {
namespace {

class EventBatchTest : public ::testing::Test {
  protected:
    ~EventBatchTest() override { diag_map_done(&ids_); }

    void want(const char *id) { ASSERT_EQ(DIAG_OK, diag_map_put(&ids_, id, this)); }

    diag_map ids_ = {};
    diag_error err_ = {};
    diag_event_batch batch_ = {};
};

TEST_F(EventBatchTest, CountsEventsAndLost) {
    std::string encoded = make_batch(uid_of(1), {make_event("a"), make_event("b")}, 5);

    ASSERT_EQ(DIAG_OK, diag_event_batch_read(bytes_of(encoded), &batch_, &err_)) << err_.message;
    EXPECT_EQ(2u, batch_.event_count);
    EXPECT_EQ(5u, batch_.lost);
}

TEST_F(EventBatchTest, RefusalsNameTheField) {
    std::string good = make_event("a");
    const struct {
        std::string encoded;
        const char *named;
    } cases[] = {
        {"", "process_uid"},
        {make_batch("", {good}), "process_uid"},
        {make_batch(std::string(32, 'x'), {good}), "process_uid"},
        {field(1, uid_of(1) + "0"), "process_uid"},
        {make_batch(uid_of(1), {good, "\xff\xff"}), "events[1]"},
        {make_batch(uid_of(1), {""}), "events[0]"},
        {make_batch(uid_of(1), {make_event("a", 17000)}), "events[0]: too large"},
        {make_batch(uid_of(1), {make_event("a\xff")}), "events[0]"},
        {make_batch(uid_of(1), {}) + field(2, "x"), "pid"},
        {make_batch(uid_of(1), {}) + field(4, "x"), "lost"},
        {make_batch(uid_of(1), {}) + "\x18\x01", "events"},
        {make_batch(uid_of(1), {}) + "\xff", "batch"},
    };

    for (const auto &each : cases) {
        EXPECT_EQ(DIAG_ERR_PROTOCOL, diag_event_batch_read(bytes_of(each.encoded), &batch_, &err_))
            << each.named;
        EXPECT_NE(nullptr, strstr(err_.message, each.named)) << err_.message;
    }
    EXPECT_EQ(nullptr, batch_.encoded.data);
}

TEST_F(EventBatchTest, TakesOutWhatMatches) {
    std::string a = make_event("a", 10), b = make_event("b"), c = make_event("c", 300);
    std::string encoded = make_batch(uid_of(1), {a, b, c, a}, 3);
    diag_message_builder builder = {};

    want("a");
    want("c");
    ASSERT_EQ(DIAG_OK, diag_event_batch_read(bytes_of(encoded), &batch_, &err_));
    EXPECT_EQ(3u, diag_event_batch_match(&batch_, &ids_));
    diag_event_batch_filter(&batch_, &ids_, &builder, 1);
    EXPECT_EQ(field(1, make_batch(uid_of(1), {a, c, a}, 3)),
              text_of(diag_message_builder_bytes(&builder)));
    diag_message_builder_done(&builder);
}

std::string make_aggregate(const std::string &id) {
    return field(1, id) + field(7, field(1, "region") + field(2, "eu")) + field(8, "\x10\x05");
}

TEST_F(EventBatchTest, AggregatesAreCheckedCountedAndFiltered) {
    std::string event = field(3, make_event("b"));
    std::string a = field(5, make_aggregate("a")), b = field(5, make_aggregate("b"));
    std::string head = make_batch(uid_of(1), {});
    std::string encoded = head + a + event + b + a;
    diag_message_builder builder = {};

    ASSERT_EQ(DIAG_OK, diag_event_batch_read(bytes_of(encoded), &batch_, &err_)) << err_.message;
    EXPECT_EQ(1u, batch_.event_count);
    EXPECT_EQ(3u, batch_.aggregate_count);
    EXPECT_EQ(4u, diag_event_batch_item_count(&batch_));
    want("b");
    EXPECT_EQ(2u, diag_event_batch_match(&batch_, &ids_));
    diag_event_batch_filter(&batch_, &ids_, &builder, 1);
    EXPECT_EQ(field(1, head + event + b), text_of(diag_message_builder_bytes(&builder)));
    diag_message_builder_done(&builder);
    for (const std::string &bad :
         {field(5, field(1, "a")), field(5, ""), std::string("\x28\x01")}) {
        EXPECT_EQ(DIAG_ERR_PROTOCOL,
                  diag_event_batch_read(bytes_of(head + a + bad), &batch_, &err_));
        EXPECT_NE(nullptr, strstr(err_.message, "aggregates")) << err_.message;
    }
}

TEST_F(EventBatchTest, IdsMatchAsAWhole) {
    std::string encoded = make_batch(
        uid_of(1), {make_event("ab"), make_event("abcd"), make_event(std::string(200, 'a'))});

    want("abc");
    ASSERT_EQ(DIAG_OK, diag_event_batch_read(bytes_of(encoded), &batch_, &err_));
    EXPECT_EQ(0u, diag_event_batch_match(&batch_, &ids_));
}

} // namespace
} // namespace diag_test
