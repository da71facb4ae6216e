/* SPDX-License-Identifier: MIT */
#include "controller/hub.h"

#include <string.h>

#include <deque>

#include "tests/unit/controller/controller_fixture.h"

namespace diag_test {
namespace {

/* A queue like that of a stream, which the test empties. */
class Queue {
  public:
    ~Queue() {
        for (diag_rpc_message *message : messages_)
            diag_rpc_message_unref(message);
    }

    diag_hub_sink sink() { return {write, queued, this}; }

    size_t size() const { return messages_.size(); }
    const diag_rpc_message *at(size_t index) const { return messages_[index]; }
    size_t bytes() const {
        size_t sum = 0;
        for (diag_rpc_message *message : messages_)
            sum += diag_rpc_message_bytes(message).size;
        return sum;
    }

    /* Takes the first message out and adds up what it says. */
    void read() {
        diag_rpc_message *message = messages_.front();
        messages_.pop_front();
        Unpacked<Diagnose__V1__SubscribeResponse> response(
            &diagnose__v1__subscribe_response__descriptor,
            text_of(diag_rpc_message_bytes(message)));
        diag_rpc_message_unref(message);
        started += response->started ? 1 : 0;
        lost += response->lost;
        for (size_t i = 0; i < response->n_batches; i++) {
            const Diagnose__V1__EventBatch *batch = response->batches[i];
            process_lost += batch->lost;
            for (size_t k = 0; k < batch->n_events; k++)
                events.push_back(batch->events[k]->spec_id);
        }
    }

    void read_all() {
        while (!messages_.empty())
            read();
    }

    std::vector<std::string> events;
    uint64_t lost = 0, process_lost = 0;
    int started = 0;
    bool is_closed = false;

  private:
    static diag_status write(void *stream, diag_rpc_message *message) {
        Queue *queue = static_cast<Queue *>(stream);
        if (queue->is_closed)
            return DIAG_ERR_CLOSED;
        if (queue->messages_.size() == DIAG_HUB_QUEUE_MAX)
            return DIAG_ERR_FULL;
        queue->messages_.push_back(diag_rpc_message_ref(message));
        return DIAG_OK;
    }
    static size_t queued(void *stream) { return static_cast<Queue *>(stream)->messages_.size(); }

    std::deque<diag_rpc_message *> messages_;
};

class HubTest : public ::testing::Test {
  protected:
    void SetUp() override { ASSERT_EQ(DIAG_OK, diag_hub_new(&hub_, &err_)); }
    ~HubTest() override {
        for (diag_hub_subscriber *subscriber : subscribers_)
            diag_hub_unsubscribe(subscriber);
        diag_hub_free(hub_);
    }

    diag_hub_subscriber *subscribe(Queue *queue, const std::vector<const char *> &ids = {}) {
        diag_hub_sink sink = queue->sink();
        diag_hub_subscriber *subscriber = nullptr;

        EXPECT_EQ(DIAG_OK,
                  diag_hub_subscribe(hub_, ids.data(), ids.size(), &sink, &subscriber, &err_))
            << err_.message;
        subscribers_.push_back(subscriber);
        return subscriber;
    }

    void publish(const std::vector<std::string> &batches) {
        std::vector<diag_event_batch> read(batches.size());
        for (size_t i = 0; i < batches.size(); i++)
            ASSERT_EQ(DIAG_OK, diag_event_batch_read(bytes_of(batches[i]), &read[i], &err_));
        diag_hub_publish(hub_, read.data(), read.size());
    }

    void publish_one(const std::string &spec_id, size_t size = 0) {
        publish({make_batch(uid_of(1), {make_event(spec_id, size)})});
    }

    using Texts = std::vector<std::string>;

    diag_hub *hub_ = nullptr;
    std::vector<diag_hub_subscriber *> subscribers_;
    diag_error err_ = {};
};

TEST_F(HubTest, SaysStartedFirst) {
    Queue queue;

    subscribe(&queue);
    publish_one("a");
    ASSERT_EQ(2u, queue.size());
    queue.read();
    EXPECT_EQ(1, queue.started);
    EXPECT_EQ(Texts{}, queue.events);
    queue.read();
    EXPECT_EQ(Texts{"a"}, queue.events);
    EXPECT_EQ(1, queue.started);
}

TEST_F(HubTest, Filters) {
    Queue all, only_a, both, none;

    subscribe(&all);
    subscribe(&only_a, {"a"});
    subscribe(&both, {"b", "a", "b"});
    subscribe(&none, {"other"});
    publish({make_batch(uid_of(1), {make_event("a"), make_event("b"), make_event("c")}),
             make_batch(uid_of(2), {make_event("b")})});
    for (Queue *queue : {&all, &only_a, &both, &none})
        queue->read_all();
    EXPECT_EQ((Texts{"a", "b", "c", "b"}), all.events);
    EXPECT_EQ(Texts{"a"}, only_a.events);
    EXPECT_EQ((Texts{"a", "b", "b"}), both.events);
    EXPECT_EQ(Texts{}, none.events);
}

TEST_F(HubTest, SharesMessages) {
    Queue all, also_all, a, also_a, b;

    subscribe(&all);
    subscribe(&also_all);
    subscribe(&a, {"a", "x"});
    subscribe(&also_a, {"x", "a"});
    subscribe(&b, {"b"});
    publish({make_batch(uid_of(1), {make_event("a"), make_event("b")})});
    EXPECT_EQ(all.at(1), also_all.at(1));
    EXPECT_EQ(a.at(1), also_a.at(1));
    EXPECT_NE(a.at(1), b.at(1));
    publish_one("a");
    EXPECT_EQ(all.at(2), a.at(2)) << "a filter that everything passes is no filter";
    EXPECT_EQ(2u, b.size());
}

TEST_F(HubTest, WhatAProcessLostReachesEveryone) {
    Queue all, other;

    subscribe(&all);
    subscribe(&other, {"other"});
    publish({make_batch(uid_of(1), {make_event("a")}, 9)});
    all.read_all();
    other.read_all();
    EXPECT_EQ(9u, all.process_lost);
    EXPECT_EQ(9u, other.process_lost);
    EXPECT_EQ(Texts{}, other.events);
}

TEST_F(HubTest, ASubscriberThatNeverReadsIsBoundedAndCounted) {
    Queue stuck, healthy;
    diag_hub_subscriber *subscriber = subscribe(&stuck);

    subscribe(&healthy);
    for (int i = 0; i < 1000; i++) {
        publish({make_batch(uid_of(1), {make_event("a"), make_event("a")})});
        healthy.read_all();
    }
    EXPECT_EQ(size_t{DIAG_HUB_QUEUE_MAX}, stuck.size());
    EXPECT_EQ(2000u, healthy.events.size());
    EXPECT_EQ(0u, healthy.lost);
    stuck.read_all();
    EXPECT_EQ(126u, stuck.events.size()) << "one message of the queue was `started`";
    EXPECT_EQ(0u, stuck.lost);
    diag_hub_writable(subscriber);
    ASSERT_EQ(1u, stuck.size());
    stuck.read_all();
    EXPECT_EQ(2000u, stuck.events.size() + stuck.lost);
    diag_hub_writable(subscriber);
    EXPECT_EQ(0u, stuck.size()) << "a loss is told once";
}

TEST_F(HubTest, TheNextResponseThatFitsCarriesTheLoss) {
    Queue slow;

    subscribe(&slow);
    for (int i = 0; i < DIAG_HUB_QUEUE_MAX + 10; i++)
        publish_one("a");
    slow.read();
    publish_one("b");
    EXPECT_EQ(size_t{DIAG_HUB_QUEUE_MAX}, slow.size());
    slow.read_all();
    EXPECT_EQ("b", slow.events.back());
    EXPECT_EQ(11u, slow.lost);
    EXPECT_EQ(DIAG_HUB_QUEUE_MAX + 11u, slow.events.size() + slow.lost);
}

/* Reads one message for each five that are published: nothing is unaccounted for, and events still
 * arrive. */
TEST_F(HubTest, ASlowReaderGetsEventsNotOnlyLosses) {
    Queue slow;
    diag_hub_subscriber *subscriber = subscribe(&slow);

    for (int i = 0; i < 5000; i++) {
        publish_one("a");
        if (i % 5 == 0)
            slow.read();
    }
    slow.read_all();
    diag_hub_writable(subscriber);
    slow.read_all();
    EXPECT_EQ(5000u, slow.events.size() + slow.lost);
    EXPECT_GE(slow.events.size(), 1000u);
}

TEST_F(HubTest, IsBoundedInBytesToo) {
    Queue stuck;
    std::string batch = make_batch(uid_of(1), Texts(60, make_event("a", 15000)));

    subscribe(&stuck);
    for (int i = 0; i < DIAG_HUB_QUEUE_MAX - 1; i++)
        publish({batch});
    EXPECT_LE(stuck.bytes(), size_t{DIAG_HUB_QUEUE_BYTES});
    EXPECT_GT(stuck.bytes(), size_t{DIAG_HUB_QUEUE_BYTES} - (1u << 20));
    size_t read_at = stuck.size();
    stuck.read_all();
    EXPECT_EQ((read_at - 1) * 60, stuck.events.size());
    publish({batch});
    stuck.read_all();
    EXPECT_EQ((DIAG_HUB_QUEUE_MAX + 0u) * 60, stuck.events.size() + stuck.lost);
}

TEST_F(HubTest, LossesOfAFilterCountOnlyItsEvents) {
    Queue stuck;
    diag_hub_subscriber *subscriber = subscribe(&stuck, {"a"});

    for (int i = 0; i < 100; i++)
        publish({make_batch(uid_of(1), {make_event("a"), make_event("b"), make_event("b")})});
    for (int i = 0; i < 100; i++)
        publish_one("b");
    stuck.read_all();
    diag_hub_writable(subscriber);
    stuck.read_all();
    EXPECT_EQ(100u, stuck.events.size() + stuck.lost);
}

TEST_F(HubTest, TellsWhetherEventsAreWanted) {
    std::vector<bool> told;
    Queue first, second;

    diag_hub_set_listener(
        hub_,
        [](void *context, bool is_wanted) {
            static_cast<std::vector<bool> *>(context)->push_back(is_wanted);
        },
        &told);
    EXPECT_FALSE(diag_hub_is_wanted(hub_));
    subscribe(&first);
    subscribe(&second, {"a"});
    EXPECT_TRUE(diag_hub_is_wanted(hub_));
    for (diag_hub_subscriber *subscriber : subscribers_)
        diag_hub_unsubscribe(subscriber);
    subscribers_.clear();
    EXPECT_FALSE(diag_hub_is_wanted(hub_));
    EXPECT_EQ((std::vector<bool>{true, false}), told);
    publish_one("a");
    EXPECT_EQ(1u, first.size());
}

TEST_F(HubTest, OneLeavesTheOthersStay) {
    Queue first, second, third;
    diag_hub_subscriber *middle;

    subscribe(&first, {"a"});
    middle = subscribe(&second, {"a"});
    subscribe(&third, {"a"});
    diag_hub_unsubscribe(middle);
    subscribers_.erase(subscribers_.begin() + 1);
    publish_one("a");
    EXPECT_EQ(2u, first.size());
    EXPECT_EQ(1u, second.size());
    EXPECT_EQ(2u, third.size());
}

TEST_F(HubTest, RefusalsNameTheFieldAndAddNobody) {
    std::vector<const char *> many(DIAG_HUB_FILTER_MAX + 1, "a");
    const std::vector<const char *> cases[] = {many, {"a", "b/c"}, {""}};
    const char *named[] = {"spec_ids: 257", "spec_ids[1]", "spec_ids[0]"};

    for (size_t i = 0; i < 3; i++) {
        Queue queue;
        diag_hub_sink sink = queue.sink();
        diag_hub_subscriber *subscriber = nullptr;

        EXPECT_EQ(DIAG_ERR_INVALID, diag_hub_subscribe(hub_, cases[i].data(), cases[i].size(),
                                                       &sink, &subscriber, &err_));
        EXPECT_NE(nullptr, strstr(err_.message, named[i])) << err_.message;
        EXPECT_EQ(0u, queue.size());
    }
    EXPECT_FALSE(diag_hub_is_wanted(hub_));
}

TEST_F(HubTest, SubscribersAreBounded) {
    Queue shared;
    diag_hub_sink sink = shared.sink();
    diag_hub_subscriber *subscriber = nullptr;

    for (int i = 0; i < DIAG_HUB_SUBSCRIBERS_MAX; i++) {
        subscribe(&shared);
        shared.read_all();
    }
    EXPECT_EQ(DIAG_ERR_FULL, diag_hub_subscribe(hub_, nullptr, 0, &sink, &subscriber, &err_));
}

TEST_F(HubTest, AClosedStreamIsHarmless) {
    Queue queue;
    diag_hub_sink sink = queue.sink();
    diag_hub_subscriber *late = nullptr;
    diag_hub_subscriber *subscriber = subscribe(&queue);

    queue.is_closed = true;
    publish_one("a");
    publish_one("a");
    diag_hub_writable(subscriber);
    EXPECT_EQ(1u, queue.size());
    EXPECT_EQ(DIAG_ERR_CLOSED, diag_hub_subscribe(hub_, nullptr, 0, &sink, &late, &err_));
}

} // namespace
} // namespace diag_test
