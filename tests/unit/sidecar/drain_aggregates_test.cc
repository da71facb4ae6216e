/* SPDX-License-Identifier: MIT */
/* Aggregates on their way from shared memory into requests; parsed by protobuf-c. */
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "diagnose/v1/events_service.pb-c.h"
#include "lib/event/aggregate_encoder.h"
#include "lib/event/event_encoder.h"
#include "lib/rpc/message.h"
#include "lib/shm/aggregate_writer.h"
#include "sidecar/drain.h"

namespace {

const char kUid[] = "0123456789abcdef0123456789abcdef";
const uint64_t kNow = 1234567890123456789;

class DrainAggregates : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(diag_segment_create(kUid, 1 << 18, &segment, nullptr), DIAG_OK);
        ASSERT_EQ(diag_ring_reader_init(&source->reader, &segment, nullptr), DIAG_OK);
        diag_aggregate_reader_init(&source->aggregates, &segment);
        memcpy(source->process_uid, kUid, sizeof kUid);
        source->pid = 42;
        ASSERT_EQ(diag_drain_init(drain.get(), nullptr), DIAG_OK);
        diag_aggregate_writer_init(writer.get(), &segment);
    }
    void TearDown() override {
        diag_drain_done(drain.get());
        diag_segment_done(&segment);
    }
    void Update(bool is_histogram, const std::string &id, const std::string &region, double value) {
        uint8_t spec[DIAG_AGGREGATE_SPEC_MAX], overflow[DIAG_AGGREGATE_OVERFLOW_MAX], tags[300];
        diag_wire_writer out = diag_wire_writer_make(tags, sizeof tags);
        diag_event_put_tag(&out, diag_bytes_from_text("region"),
                           diag_bytes_make(region.data(), region.size()));
        diag_aggregate_key key = {
            diag_bytes_make(spec, diag_aggregate_put_spec(spec, id.c_str(), 3, "the name")),
            diag_bytes_make(tags, diag_wire_size(&out)),
            diag_bytes_make(overflow, diag_aggregate_put_overflow(overflow)),
        };
        uint64_t handle = 0;
        bool is_overflow;
        ASSERT_EQ(
            diag_aggregate_writer_open(writer.get(), is_histogram, &key, &handle, &is_overflow),
            DIAG_OK);
        ASSERT_EQ(diag_aggregate_writer_update(writer.get(), handle, value), DIAG_OK);
    }
    diag_drain_result Collect(bool is_dead = false, uint64_t now = kNow) {
        return diag_drain_collect_aggregates(drain.get(), source.get(), is_dead, now);
    }
    using Request =
        std::unique_ptr<Diagnose__V1__ReportRequest, void (*)(Diagnose__V1__ReportRequest *)>;
    Request Take() {
        diag_buffer body = {};
        EXPECT_EQ(diag_drain_take(drain.get(), &body), DIAG_OK);
        auto *message = (Diagnose__V1__ReportRequest *)diag_rpc_unpack(
            &diagnose__v1__report_request__descriptor, diag_buffer_bytes(&body));
        EXPECT_NE(message, nullptr);
        diag_buffer_done(&body);
        return Request(message, [](Diagnose__V1__ReportRequest *request) {
            protobuf_c_message_free_unpacked(&request->base, nullptr);
        });
    }

    diag_segment segment;
    std::unique_ptr<diag_drain_source> source{new diag_drain_source()};
    std::unique_ptr<diag_drain> drain{new diag_drain()};
    std::unique_ptr<diag_aggregate_writer> writer{new diag_aggregate_writer()};
};

TEST_F(DrainAggregates, NothingToTell) {
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_TRUE(diag_drain_is_empty(drain.get()));
}

TEST_F(DrainAggregates, CounterAndHistogram) {
    Update(false, "cart", "eu", 2);
    Update(false, "cart", "eu", 3.5);
    for (double value : {1.0, 4.0, -2.0, 0.0})
        Update(true, "time", "us", value);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    Request request = Take();
    ASSERT_EQ(request->n_batches, 1u);
    const Diagnose__V1__EventBatch &batch = *request->batches[0];
    EXPECT_STREQ(batch.process_uid, kUid);
    EXPECT_EQ(batch.pid, 42u);
    ASSERT_EQ(batch.n_aggregates, 2u);
    const Diagnose__V1__Aggregate &counter = *batch.aggregates[0];
    EXPECT_STREQ(counter.spec_id, "cart");
    EXPECT_EQ(counter.spec_revision, 3u);
    EXPECT_STREQ(counter.name, "the name");
    EXPECT_GT(counter.start_unix_nanos, 0u);
    EXPECT_EQ(counter.time_unix_nanos, kNow);
    EXPECT_FALSE(counter.is_overflow);
    ASSERT_EQ(counter.n_tags, 1u);
    EXPECT_STREQ(counter.tags[0]->key, "region");
    EXPECT_STREQ(counter.tags[0]->value, "eu");
    ASSERT_EQ(counter.data_case, DIAGNOSE__V1__AGGREGATE__DATA_COUNTER);
    EXPECT_EQ(counter.counter->sum, 5.5);
    EXPECT_EQ(counter.counter->count, 2u);
    ASSERT_EQ(batch.aggregates[1]->data_case, DIAGNOSE__V1__AGGREGATE__DATA_HISTOGRAM);
    const Diagnose__V1__ExponentialHistogram &histogram = *batch.aggregates[1]->histogram;
    EXPECT_EQ(histogram.count, 4u);
    EXPECT_EQ(histogram.zero_count, 1u);
    EXPECT_EQ(histogram.sum, 3);
    EXPECT_EQ(histogram.min, -2);
    EXPECT_EQ(histogram.max, 4);
    EXPECT_EQ(histogram.scale, 6);
    ASSERT_NE(histogram.positive, nullptr);
    EXPECT_EQ(histogram.positive->offset, -1);
    ASSERT_EQ(histogram.positive->n_bucket_counts, 129u);
    EXPECT_EQ(histogram.positive->bucket_counts[0], 1u);
    EXPECT_EQ(histogram.positive->bucket_counts[128], 1u);
    ASSERT_EQ(histogram.negative->n_bucket_counts, 1u);
    EXPECT_EQ(histogram.negative->offset, 63);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_TRUE(diag_drain_is_empty(drain.get())) << "unchanged";
}

TEST_F(DrainAggregates, OverflowIsSaidToBeThat) {
    for (int i = 0; i < DIAG_AGGREGATE_TAG_SETS_MAX + 5; i++)
        Update(false, "cart", std::to_string(i), 1);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    Request request = Take();
    const Diagnose__V1__EventBatch &batch = *request->batches[0];
    ASSERT_EQ(batch.n_aggregates, DIAG_AGGREGATE_TAG_SETS_MAX + 1u);
    const Diagnose__V1__Aggregate &overflow = *batch.aggregates[DIAG_AGGREGATE_TAG_SETS_MAX];
    EXPECT_TRUE(overflow.is_overflow);
    ASSERT_EQ(overflow.n_tags, 1u);
    EXPECT_STREQ(overflow.tags[0]->key, "otel.metric.overflow");
    EXPECT_STREQ(overflow.tags[0]->value, "true");
    EXPECT_EQ(overflow.counter->sum, 5);
}

TEST_F(DrainAggregates, GoOnInTheNextRequest) {
    size_t found = 0, requests = 0;
    for (int i = 0; i < 200; i++)
        Update(false, "spec-" + std::to_string(i), std::string(200, 'r'), i);
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < 300; j++)
            Update(true, "hist-" + std::to_string(i), "x", 1 + j * 1e-3);
    diag_drain_result result;
    do {
        result = Collect();
        Request request = Take();
        for (size_t i = 0; i < request->n_batches; i++)
            found += request->batches[i]->n_aggregates;
        requests++;
    } while (result == DIAG_DRAIN_FULL);
    EXPECT_EQ(result, DIAG_DRAIN_EMPTY);
    EXPECT_GT(requests, 1u);
    EXPECT_EQ(found, 220u);
}

TEST_F(DrainAggregates, AllAreRepeatedNowAndThen) {
    Update(false, "a", "eu", 1);
    Update(false, "b", "eu", 1);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_EQ(Take()->batches[0]->n_aggregates, 2u);
    Update(false, "a", "eu", 1);
    EXPECT_EQ(Collect(false, kNow + DIAG_DRAIN_REPEAT_NS - 1), DIAG_DRAIN_EMPTY);
    EXPECT_EQ(Take()->batches[0]->n_aggregates, 1u);
    EXPECT_EQ(Collect(false, kNow + DIAG_DRAIN_REPEAT_NS), DIAG_DRAIN_EMPTY);
    EXPECT_EQ(Take()->batches[0]->n_aggregates, 2u);
}

TEST_F(DrainAggregates, NonsenseIsLost) {
    auto *shared = (diag_shm_aggregates *)segment.aggregates;
    Update(false, "a", "eu", 1);
    Update(false, "b", "eu", 1);
    ((uint8_t *)shared->counters[0].key)[0] = 0x12; /* not the spec's id */
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    Request request = Take();
    ASSERT_EQ(request->n_batches, 2u);
    ASSERT_EQ(request->batches[0]->n_aggregates, 1u);
    EXPECT_STREQ(request->batches[0]->aggregates[0]->spec_id, "b");
    EXPECT_EQ(request->batches[1]->lost, 1u);
    EXPECT_EQ(source->lost_total, 1u);
    shared->counters[1].state = 77;
    shared->counters[1].count++;
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_EQ(Take()->batches[0]->lost, 1u);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_TRUE(diag_drain_is_empty(drain.get())) << "told once";
}

TEST_F(DrainAggregates, TheLastValuesOfTheDead) {
    auto *shared = (diag_shm_aggregates *)segment.aggregates;
    Update(true, "a", "eu", 1);
    Update(true, "b", "eu", 1);
    shared->histograms[0].head.sequence |= 1;
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_EQ(Take()->batches[0]->n_aggregates, 1u) << "it may still be at it";
    EXPECT_EQ(Collect(true), DIAG_DRAIN_EMPTY);
    Request request = Take();
    ASSERT_EQ(request->n_batches, 1u);
    ASSERT_EQ(request->batches[0]->n_aggregates, 1u);
    EXPECT_STREQ(request->batches[0]->aggregates[0]->spec_id, "a");
}

} // namespace
