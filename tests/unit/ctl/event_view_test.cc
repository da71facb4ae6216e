/* SPDX-License-Identifier: MIT */
#include <gtest/gtest.h>
#include <string>

#include "ctl/event_view.h"
#include "ctl/print.h"
#include "lib/event/event_encoder.h"

namespace {

constexpr uint64_t kTime = UINT64_C(1772366401123456789);

class EventView : public testing::Test {
  protected:
    void SetUp() override {
        setenv("TZ", "UTC", 1);
        writer_ = diag_wire_writer_make(memory_, sizeof memory_);
    }
    size_t begin_batch(uint32_t pid, uint64_t lost) {
        size_t mark = diag_wire_begin(&writer_, 1);
        diag_wire_put_bytes(&writer_, 1, diag_bytes_from_text("0123456789abcdef"));
        if (lost > 0)
            diag_wire_put_varint(&writer_, 4, lost);
        diag_wire_put_varint(&writer_, 2, pid);
        return mark;
    }
    void put_hit(double value, const char *tag) {
        size_t mark = diag_wire_begin(&writer_, 3);
        put_prefix(DIAG_EVENT_KIND_HIT);
        diag_value_put_float(&writer_, DIAG_EVENT_FIELD_VALUE, value);
        diag_event_put_tag(&writer_, diag_bytes_from_text("region"), diag_bytes_from_text(tag));
        diag_event_put_tag(&writer_, diag_bytes_from_text("hot"), diag_bytes_from_text(""));
        diag_wire_end(&writer_, mark);
    }
    void put_error(const char *text) {
        size_t mark = diag_wire_begin(&writer_, 3);
        put_prefix(DIAG_EVENT_KIND_ERROR);
        diag_event_put_error(&writer_, diag_bytes_from_text(text));
        diag_wire_end(&writer_, mark);
    }
    struct diag_bytes response() {
        return diag_bytes_make(memory_, diag_wire_size(&writer_));
    }
    static std::string line(const struct diag_document *event) {
        struct diag_buffer out = {};
        diag_event_view_append_line(&out, event);
        std::string text(reinterpret_cast<char *>(out.data), out.size);
        diag_buffer_done(&out);
        return text;
    }
    struct diag_wire_writer writer_;
    uint8_t memory_[65536];

  private:
    void put_prefix(enum diag_event_kind kind) {
        uint8_t prefix[DIAG_EVENT_PREFIX_MAX];
        size_t size = diag_event_prefix(prefix, "cart-total", 3);
        diag_event_begin(&writer_, diag_bytes_make(prefix, size), kind, kTime, 77);
    }
};

TEST_F(EventView, ShowsHitsAndErrors) {
    size_t batch = begin_batch(4711, 0);
    put_hit(0.25, "eu");
    put_error("NameError: \x1b[31m");
    diag_wire_end(&writer_, batch);
    struct diag_event_view view;
    ASSERT_EQ(diag_event_view_init(&view, response()), DIAG_OK);
    EXPECT_FALSE(view.is_started);
    EXPECT_EQ(view.lost, 0u);
    ASSERT_EQ(view.events->item_count, 2u);
    EXPECT_EQ(line(view.events->items[0]),
              "12:00:01.123456 pid=4711 cart-total 0.25 {region=eu,hot=}\n");
    EXPECT_EQ(line(view.events->items[1]),
              "12:00:01.123456 pid=4711 cart-total error: NameError: \\x1b[31m\n");
    char *json = nullptr;
    size_t size = 0;
    FILE *file = open_memstream(&json, &size);
    diag_print_json_line(file, view.events->items[0]);
    fclose(file);
    EXPECT_STREQ(json, "{\"time\":\"2026-03-01T12:00:01.123456789Z\","
                       "\"time_unix_nanos\":1772366401123456789,"
                       "\"process_uid\":\"0123456789abcdef\",\"pid\":4711,\"thread_id\":77,"
                       "\"spec_id\":\"cart-total\",\"spec_revision\":3,\"kind\":\"hit\","
                       "\"value\":0.25,\"tags\":[{\"key\":\"region\",\"value\":\"eu\"},"
                       "{\"key\":\"hot\",\"value\":\"\"}]}");
    free(json);
    diag_event_view_done(&view);
}

TEST_F(EventView, CountsLossesAndSkipsMalformedEvents) {
    diag_wire_put_varint(&writer_, 2, 12);
    diag_wire_put_varint(&writer_, 3, 1);
    size_t batch = begin_batch(5, 9);
    diag_wire_put_bytes(&writer_, 3, diag_bytes_make("\xff\xff", 2));
    put_hit(1, "x");
    diag_wire_end(&writer_, batch);
    struct diag_event_view view;
    ASSERT_EQ(diag_event_view_init(&view, response()), DIAG_OK);
    EXPECT_TRUE(view.is_started);
    EXPECT_EQ(view.lost, 12u);
    EXPECT_EQ(view.malformed, 1u);
    EXPECT_EQ(view.events->item_count, 1u);
    ASSERT_EQ(view.losses->item_count, 1u);
    EXPECT_EQ(diag_document_get_uint(view.losses->items[0], "lost"), 9u);
    EXPECT_EQ(diag_document_get_uint(view.losses->items[0], "pid"), 5u);
    diag_event_view_done(&view);
}

TEST_F(EventView, RefusesWhatIsNoResponse) {
    struct diag_event_view view;
    EXPECT_EQ(diag_event_view_init(&view, diag_bytes_make("\xff", 1)), DIAG_ERR_PROTOCOL);
    EXPECT_EQ(diag_event_view_init(&view, diag_bytes_make("\x0a\x05"
                                                          "ab",
                                                          4)),
              DIAG_ERR_PROTOCOL);
}

} // namespace
