/* SPDX-License-Identifier: MIT */
#include "ctl/aggregate_view.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "ctl/event_view.h"
#include "lib/event/aggregate_encoder.h"
#include "lib/event/event_encoder.h"

namespace {

constexpr uint64_t kTime = UINT64_C(1772366401000000000);

class AggregateView : public testing::Test {
  protected:
    AggregateView() { setenv("TZ", "UTC", 1); }
    ~AggregateView() override { diag_aggregate_totals_done(&totals_); }

    /* The lines of a response with one batch with one aggregate, which `fill` ends. */
    template <typename Fill> std::string Line(const char *region, Fill fill, uint64_t start = 5) {
        std::vector<uint8_t> memory(65536);
        uint8_t spec[DIAG_AGGREGATE_SPEC_MAX];
        size_t size = diag_aggregate_put_spec(spec, "cart", 3, "the cart");
        diag_wire_writer writer = diag_wire_writer_make(memory.data(), memory.size());
        size_t batch = diag_wire_begin(&writer, 1);
        diag_wire_put_bytes(&writer, 1, diag_bytes_from_text("0123456789abcdef"));
        diag_wire_put_varint(&writer, 2, 4711);
        size_t mark = diag_wire_begin(&writer, 5);
        diag_wire_put_raw(&writer, diag_bytes_make(spec, size));
        diag_event_put_tag(&writer, diag_bytes_from_text("region"), diag_bytes_from_text(region));
        diag_aggregate_put_times(&writer, start, kTime);
        fill(&writer);
        diag_wire_end(&writer, mark);
        diag_wire_end(&writer, batch);
        diag_event_view view;
        EXPECT_EQ(
            diag_event_view_init(&view, diag_bytes_make(memory.data(), diag_wire_size(&writer))),
            DIAG_OK);
        malformed_ = view.malformed;
        diag_buffer out = {};
        for (size_t i = 0; i < view.events->item_count; i++) {
            if (diag_aggregate_totals_follow(&totals_, view.events->items[i]))
                diag_event_view_append_line(&out, view.events->items[i]);
        }
        std::string text(reinterpret_cast<char *>(out.data), out.size);
        diag_buffer_done(&out);
        diag_event_view_done(&view);
        return text;
    }
    std::string Counter(const char *region, double sum, uint64_t start = 5) {
        return Line(
            region, [&](diag_wire_writer *writer) { diag_aggregate_put_counter(writer, sum, 2); },
            start);
    }

    diag_aggregate_totals totals_ = {};
    uint64_t malformed_ = 0;
};

TEST_F(AggregateView, CountersTellWhatWasAdded) {
    EXPECT_EQ(Counter("eu", 115), "12:00:01.000000 pid=4711 cart +115 (sum 115) {region=eu}\n");
    EXPECT_EQ(Counter("eu", 115), "") << "repeated";
    EXPECT_EQ(Counter("us", 7), "12:00:01.000000 pid=4711 cart +7 (sum 7) {region=us}\n");
    EXPECT_EQ(Counter("eu", 120.5), "12:00:01.000000 pid=4711 cart +5.5 (sum 120.5) {region=eu}\n");
    EXPECT_EQ(Counter("eu", 2, 6), "12:00:01.000000 pid=4711 cart +2 (sum 2) {region=eu}\n")
        << "counting began anew";
}

TEST_F(AggregateView, HistogramsAreEstimated) {
    /* 100 values from 1 to 2, at a scale of 16 buckets for each power of two */
    std::vector<uint64_t> counts(16);
    for (int i = 0; i < 100; i++)
        counts[std::min(15, (int)std::floor(std::log2(1 + i / 100.0) * 16))]++;
    diag_aggregate_histogram histogram = {};
    histogram.count = 100;
    histogram.sum = 149.5;
    histogram.min = 1;
    histogram.max = 1.99;
    histogram.scale = 4;
    histogram.positive = {0, counts.data(), counts.size()};
    std::string line = Line(
        "eu", [&](diag_wire_writer *writer) { diag_aggregate_put_histogram(writer, &histogram); });
    double p50 = 0, p90 = 0, p99 = 0;
    ASSERT_EQ(sscanf(line.c_str(),
                     "12:00:01.000000 pid=4711 cart count 100 sum 149.5 min 1 p50 %lf p90 %lf p99 "
                     "%lf max 1.99 {region=eu}\n",
                     &p50, &p90, &p99),
              3)
        << line;
    EXPECT_NEAR(p50, 1.5, 0.04);
    EXPECT_NEAR(p90, 1.9, 0.04);
    EXPECT_NEAR(p99, 1.98, 0.04);
}

TEST_F(AggregateView, EstimatesGoThroughNegativesAndZeroes) {
    const uint64_t ten[] = {10};
    diag_aggregate_histogram histogram = {};
    histogram.count = 30;
    histogram.zero_count = 10;
    histogram.min = -1.9;
    histogram.max = 1.9;
    histogram.positive = {0, ten, 1};
    histogram.negative = {0, ten, 1};
    EXPECT_EQ(
        Line("eu",
             [&](diag_wire_writer *writer) { diag_aggregate_put_histogram(writer, &histogram); }),
        "12:00:01.000000 pid=4711 cart count 30 sum 0 min -1.9 p50 0 p90 1.41421 p99 1.41421 "
        "max 1.9 {region=eu}\n");
}

TEST_F(AggregateView, MalformedOnesAreCounted) {
    EXPECT_EQ(Line("eu", [](diag_wire_writer *) {}), "");
    EXPECT_EQ(malformed_, 1u);
}

} // namespace
