/* SPDX-License-Identifier: MIT */
#include "sidecar/drain.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "diagnose/v1/events_service.pb-c.h"
#include "lib/event/event_encoder.h"
#include "lib/rpc/message.h"
#include "lib/shm/ring_writer.h"

namespace {

const char kUid[] = "0123456789abcdef0123456789abcdef";

class Drain : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(diag_segment_create(kUid, 1 << 18, &segment, nullptr), DIAG_OK);
        memset(&source, 0, sizeof source);
        ASSERT_EQ(diag_ring_reader_init(&source.reader, &segment, nullptr), DIAG_OK);
        memcpy(source.process_uid, kUid, sizeof kUid);
        source.pid = 42;
        ASSERT_EQ(diag_drain_init(&drain, nullptr), DIAG_OK);
    }
    void TearDown() override {
        diag_drain_done(&drain);
        diag_segment_done(&segment);
    }

    diag_status PutRaw(const std::string &bytes) {
        diag_ring_writer writer = {&segment, -1};
        return diag_ring_writer_put(&writer, diag_bytes_make(bytes.data(), bytes.size()));
    }
    diag_status Put(uint64_t number, size_t payload = 10) {
        uint8_t data[DIAG_EVENT_MAX], prefix[DIAG_EVENT_PREFIX_MAX];
        std::string text(payload, 'v');
        size_t size = diag_event_prefix(prefix, "spec-1", 1);
        diag_wire_writer out = diag_wire_writer_make(data, sizeof data);
        diag_event_begin(&out, diag_bytes_make(prefix, size), DIAG_EVENT_KIND_HIT, 1, number);
        diag_value_put_str(&out, DIAG_EVENT_FIELD_VALUE, diag_bytes_from_text(text.c_str()), 0);
        return PutRaw(std::string((const char *)data, diag_wire_size(&out)));
    }
    diag_drain_result Collect(bool is_dead = false, size_t budget = 1 << 20) {
        return diag_drain_collect(&drain, &source, is_dead, budget);
    }

    struct Request {
        size_t size, batches;
        std::vector<uint64_t> events;
        uint64_t lost;
    };
    Request Take() {
        Request request = {};
        diag_buffer body = {};
        EXPECT_EQ(diag_drain_take(&drain, &body), DIAG_OK);
        EXPECT_TRUE(diag_drain_is_empty(&drain));
        EXPECT_GE(body.capacity, body.size + DIAG_DRAIN_SEQUENCE_ROOM);
        auto *message = (Diagnose__V1__ReportRequest *)diag_rpc_unpack(
            &diagnose__v1__report_request__descriptor, diag_buffer_bytes(&body));
        EXPECT_NE(message, nullptr);
        request.size = body.size;
        request.batches = message->n_batches;
        for (size_t i = 0; i < message->n_batches; i++) {
            EXPECT_STREQ(message->batches[i]->process_uid, kUid);
            EXPECT_EQ(message->batches[i]->pid, 42u);
            request.lost += message->batches[i]->lost;
            for (size_t j = 0; j < message->batches[i]->n_events; j++)
                request.events.push_back(message->batches[i]->events[j]->thread_id);
        }
        protobuf_c_message_free_unpacked(&message->base, nullptr);
        diag_buffer_done(&body);
        return request;
    }

    diag_segment segment;
    diag_drain_source source;
    diag_drain drain;
};

TEST_F(Drain, NothingGivesNothing) {
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_TRUE(diag_drain_is_empty(&drain));
}

// What a killed sidecar had sent and nobody had acknowledged is still there for the next one.
TEST_F(Drain, RoomIsGivenBackWhenTheRequestIsAcknowledged) {
    uint64_t ends[12];

    for (uint64_t i = 0; i < 12; i++) {
        ASSERT_EQ(Put(i), DIAG_OK);
        ends[i] = segment.header->tail;
        EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
        EXPECT_EQ(Take().events, (std::vector<uint64_t>{i}));
        diag_drain_note_taken(&drain, &source);
    }
    EXPECT_EQ(segment.header->head, 0u);
    diag_drain_acknowledged(&source, 0);
    EXPECT_EQ(segment.header->head, 0u);
    diag_drain_acknowledged(&source, 3);
    EXPECT_EQ(segment.header->head, ends[2]);
    diag_drain_acknowledged(&source, 3);
    EXPECT_EQ(segment.header->head, ends[2]);
    // more than may be in flight: the last mark stood for several
    diag_drain_acknowledged(&source, 11);
    EXPECT_EQ(segment.header->head, ends[6]);
    diag_drain_acknowledged(&source, 12);
    EXPECT_EQ(segment.header->head, ends[11]);
    ASSERT_EQ(Put(77), DIAG_OK);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    diag_drain_release(&source);
    EXPECT_EQ(segment.header->head, segment.header->tail);
}

TEST_F(Drain, EventsInOneBatch) {
    for (uint64_t i = 1; i <= 3; i++)
        ASSERT_EQ(Put(i), DIAG_OK);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    Request request = Take();
    EXPECT_EQ(request.batches, 1u);
    EXPECT_EQ(request.events, (std::vector<uint64_t>{1, 2, 3}));
    EXPECT_EQ(request.lost, 0u);
}

TEST_F(Drain, BudgetIsRespected) {
    for (uint64_t i = 1; i <= 100; i++)
        ASSERT_EQ(Put(i, 100), DIAG_OK);
    EXPECT_EQ(Collect(false, 1000), DIAG_DRAIN_MORE);
    size_t first = Take().events.size();
    EXPECT_GE(first, 5u);
    EXPECT_LE(first, 10u);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_EQ(Take().events.size(), 100 - first);
}

TEST_F(Drain, FullRequestsAreWithinTheLimit) {
    uint64_t count = 0;
    while (Put(count + 1, 16000) == DIAG_OK)
        count++;
    std::vector<uint64_t> all;
    uint64_t lost = 0;
    for (bool is_empty = false; !is_empty;) {
        is_empty = Collect() == DIAG_DRAIN_EMPTY;
        if (diag_drain_is_empty(&drain))
            break;
        Request request = Take();
        EXPECT_LE(request.size, DIAG_DRAIN_REQUEST_MAX);
        EXPECT_TRUE(is_empty || request.events.size() >= 3);
        all.insert(all.end(), request.events.begin(), request.events.end());
        lost += request.lost;
    }
    ASSERT_EQ(all.size(), count);
    for (size_t i = 0; i < all.size(); i++)
        ASSERT_EQ(all[i], i + 1);
    EXPECT_EQ(lost, 1u) << "the one that found no room";
}

TEST_F(Drain, BadEventsAreLost) {
    ASSERT_EQ(Put(1), DIAG_OK);
    ASSERT_EQ(PutRaw("\xff\xff"), DIAG_OK);
    ASSERT_EQ(PutRaw(std::string("\x0a\x01\xff", 3)), DIAG_OK); /* a spec_id that is no UTF-8 */
    ASSERT_EQ(Put(2), DIAG_OK);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    Request request = Take();
    EXPECT_EQ(request.events, (std::vector<uint64_t>{1, 2}));
    EXPECT_EQ(request.lost, 2u);
    EXPECT_EQ(source.lost_total, 2u);
}

TEST_F(Drain, LossesAloneAreTold) {
    segment.header->dropped = 7;
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    Request request = Take();
    EXPECT_TRUE(request.events.empty());
    EXPECT_EQ(request.lost, 7u);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_TRUE(diag_drain_is_empty(&drain)) << "told once";
}

/* Where events were lost, a new batch begins, and says how many. */
TEST_F(Drain, LossesAreToldWhereTheyHappened) {
    ASSERT_EQ(Put(1), DIAG_OK);
    segment.header->dropped = 3;
    ASSERT_EQ(Put(2), DIAG_OK);
    ASSERT_EQ(Put(3), DIAG_OK);
    segment.header->dropped = 5;
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    diag_buffer body = {};
    ASSERT_EQ(diag_drain_take(&drain, &body), DIAG_OK);
    auto *message = (Diagnose__V1__ReportRequest *)diag_rpc_unpack(
        &diagnose__v1__report_request__descriptor, diag_buffer_bytes(&body));
    ASSERT_NE(message, nullptr);
    ASSERT_EQ(message->n_batches, 3u);
    const struct {
        uint64_t lost;
        size_t events;
    } expected[] = {{0, 1}, {3, 2}, {2, 0}};
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(message->batches[i]->lost, expected[i].lost) << i;
        EXPECT_EQ(message->batches[i]->n_events, expected[i].events) << i;
        EXPECT_STREQ(message->batches[i]->process_uid, kUid);
    }
    EXPECT_EQ(source.lost_total, 5u);
    protobuf_c_message_free_unpacked(&message->base, nullptr);
    diag_buffer_done(&body);
}

/* However many gaps there are, a request stays within its limit and counts each loss once. */
TEST_F(Drain, ManyGaps) {
    uint64_t count = 0, dropped = 0, lost = 0, events = 0;
    for (; count < 1500; count++) {
        dropped = segment.header->dropped += 1;
        ASSERT_EQ(Put(count, 1), DIAG_OK);
    }
    while (Collect() == DIAG_DRAIN_FULL) {
        Request request = Take();
        EXPECT_LE(request.size, DIAG_DRAIN_REQUEST_MAX);
        lost += request.lost;
        events += request.events.size();
    }
    Request request = Take();
    EXPECT_EQ(lost + request.lost, dropped);
    EXPECT_EQ(events + request.events.size(), count);
}

TEST_F(Drain, DeadProcessesAreSalvaged) {
    ASSERT_EQ(Put(1), DIAG_OK);
    segment.header->tail += 64;
    ASSERT_EQ(Put(2), DIAG_OK);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_EQ(Take().events, (std::vector<uint64_t>{1}));
    EXPECT_EQ(Collect(true), DIAG_DRAIN_EMPTY);
    Request request = Take();
    EXPECT_EQ(request.events, (std::vector<uint64_t>{2}));
    EXPECT_EQ(request.lost, 1u);
}

TEST_F(Drain, CorruptRingIsCountedAndGoesOn) {
    segment.header->tail = 1 << 30;
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_EQ(Take().lost, 1u);
    diag_drain_note_taken(&drain, &source);
    diag_drain_acknowledged(&source, drain.request_count);
    ASSERT_EQ(Put(5), DIAG_OK);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_EQ(Take().events, (std::vector<uint64_t>{5}));
}

TEST_F(Drain, DiscardedIsNotLost) {
    for (uint64_t i = 1; i <= 10; i++)
        ASSERT_EQ(Put(i), DIAG_OK);
    segment.header->dropped = 3;
    EXPECT_EQ(diag_drain_discard(&drain, &source, false, 100), DIAG_DRAIN_MORE);
    EXPECT_EQ(diag_drain_discard(&drain, &source, false, 1 << 20), DIAG_DRAIN_EMPTY);
    EXPECT_EQ(segment.header->head, segment.header->tail);
    EXPECT_EQ(Collect(), DIAG_DRAIN_EMPTY);
    EXPECT_TRUE(diag_drain_is_empty(&drain));
    EXPECT_EQ(source.lost_total, 0u);
}

} // namespace
