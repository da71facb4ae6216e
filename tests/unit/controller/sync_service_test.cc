/* SPDX-License-Identifier: MIT */
#include "controller/sync_service.h"

#include <set>

#include "lib/spec/spec_status.h"
#include "tests/unit/controller/controller_fixture_rpc.h"

namespace diag_test {
namespace {

using Labels = std::map<std::string, std::string>;
using Held = std::map<std::string, uint64_t>;

std::string make_hello(const std::string &uid, const Labels &labels = {}, const Held &held = {}) {
    std::string hello = field(1, uid) + field(2, "1.0") + field(3, "host");

    for (const auto &label : labels)
        hello += field(4, field(1, label.first) + field(2, label.second));
    for (const auto &spec : held) {
        Diagnose__V1__HeldSpec message = DIAGNOSE__V1__HELD_SPEC__INIT;
        message.id = mutable_text(spec.first);
        message.revision = spec.second;
        hello += field(5, pack(message));
    }
    return field(1, hello);
}

std::string make_ack(uint64_t nonce) {
    Diagnose__V1__Ack ack = DIAGNOSE__V1__ACK__INIT;
    ack.nonce = nonce;
    return field(2, pack(ack));
}

/* What a sidecar makes of the deltas. */
struct View {
    Held held;
    uint64_t nonce = 0, revision = 0, ttl_ms = 0;
    bool events_wanted = false;
    size_t upserts = 0, removals = 0, largest = 0;

    void take(const std::string &encoded) {
        Unpacked<Diagnose__V1__SyncResponse> response(&diagnose__v1__sync_response__descriptor,
                                                      encoded);
        EXPECT_EQ(nonce + 1, response->nonce);
        EXPECT_LE(revision, response->revision);
        nonce = response->nonce;
        revision = response->revision;
        ttl_ms = response->ttl_ms;
        events_wanted = response->events_wanted;
        largest = std::max(largest, encoded.size());
        for (size_t i = 0; i < response->n_upserts; i++, upserts++)
            held[response->upserts[i]->id] = response->upserts[i]->revision;
        for (size_t i = 0; i < response->n_removed_ids; i++, removals++)
            EXPECT_EQ(1u, held.erase(response->removed_ids[i]));
    }
};

class SyncServiceTest : public ControllerTest {
  protected:
    struct Sidecar {
        ClientStream *end;
        View view;
    };

    /* A sidecar that acknowledges all that it gets. */
    Sidecar *connect_sidecar(unsigned number, const Labels &labels = {}, const Held &held = {}) {
        sidecars_.push_back(std::make_unique<Sidecar>());
        Sidecar *sidecar = sidecars_.back().get();

        sidecar->view.held = held;
        sidecar->end = open("Sync/Sync");
        sidecar->end->on_message = [sidecar](ClientStream *end, const std::string &encoded) {
            sidecar->view.take(encoded);
            EXPECT_EQ(DIAG_OK, end->write(make_ack(sidecar->view.nonce)));
        };
        EXPECT_EQ(DIAG_OK, sidecar->end->write(make_hello(uid_of(number), labels, held)));
        EXPECT_TRUE(wait([&] { return sidecar->view.nonce > 0; }));
        return sidecar;
    }

    bool wait_for(Sidecar *sidecar, const Held &held) {
        return wait([&] { return sidecar->view.held == held; });
    }

    struct Listed {
        size_t sidecars = 0;
        std::vector<uint32_t> pids;
    };

    Listed list_processes() {
        Reply reply = call("Fleet/ListProcesses", "");
        Unpacked<Diagnose__V1__ListProcessesResponse> response(
            &diagnose__v1__list_processes_response__descriptor, reply.response);
        Listed listed;

        EXPECT_EQ(0, reply.code) << reply.message;
        listed.sidecars = response->sidecars;
        for (size_t i = 0; i < response->n_processes; i++)
            listed.pids.push_back(response->processes[i]->status->process->pid);
        return listed;
    }

    /* The controller answers, so that this ends; which takes as many calls as it takes. */
    void list_until(const std::vector<uint32_t> &pids) {
        while (list_processes().pids != pids)
            ;
    }

    std::vector<std::unique_ptr<Sidecar>> sidecars_;
};

TEST_F(SyncServiceTest, PushesEachChange) {
    apply("a");
    Sidecar *sidecar = connect_sidecar(1);

    EXPECT_EQ((Held{{"a", 1}}), sidecar->view.held) << "in the first delta already";
    EXPECT_EQ(600000u, sidecar->view.ttl_ms);
    EXPECT_FALSE(sidecar->view.events_wanted);
    apply("b");
    EXPECT_TRUE(wait_for(sidecar, {{"a", 1}, {"b", 2}}));
    EXPECT_EQ(2u, sidecar->view.revision);
    apply("a");
    EXPECT_TRUE(wait_for(sidecar, {{"a", 3}, {"b", 2}}));
    ASSERT_EQ(0, call("Specs/Delete", id_request("b")).code);
    EXPECT_TRUE(wait_for(sidecar, {{"a", 3}}));
    EXPECT_EQ(4u, sidecar->view.revision);
    EXPECT_EQ(4u, sidecar->view.nonce);
}

TEST_F(SyncServiceTest, AnEmptyFleetIsAnsweredToo) {
    EXPECT_EQ(600000u, connect_sidecar(1)->view.ttl_ms);
}

TEST_F(SyncServiceTest, SelectorsChooseSidecars) {
    Sidecar *shop = connect_sidecar(1, {{"app", "shop"}, {"env", "prod"}});
    Sidecar *mail = connect_sidecar(2, {{"app", "mail"}});

    apply("shop", {.labels = {{"app", "shop"}}});
    apply("all");
    EXPECT_TRUE(wait_for(shop, {{"shop", 1}, {"all", 2}}));
    EXPECT_TRUE(wait_for(mail, {{"all", 2}}));
    apply("shop", {.labels = {{"app", "mail"}}});
    EXPECT_TRUE(wait_for(shop, {{"all", 2}})) << "its selector has moved on";
    EXPECT_TRUE(wait_for(mail, {{"all", 2}, {"shop", 3}}));
}

TEST_F(SyncServiceTest, AReconnectGetsOnlyTheDifference) {
    apply("same");
    apply("changed");
    apply("changed");
    Sidecar *sidecar = connect_sidecar(1, {}, {{"same", 1}, {"changed", 2}, {"gone", 7}});

    EXPECT_EQ((Held{{"same", 1}, {"changed", 3}}), sidecar->view.held);
    EXPECT_EQ(1u, sidecar->view.upserts);
    EXPECT_EQ(1u, sidecar->view.removals);
}

TEST_F(SyncServiceTest, ExpiryTakesASpecBack) {
    Sidecar *sidecar = connect_sidecar(1);

    apply("short", {.lifespan_ms = 300});
    apply("long");
    EXPECT_TRUE(wait([&] { return sidecar->view.upserts == 2; }));
    EXPECT_TRUE(wait_for(sidecar, {{"long", 2}}));
    EXPECT_EQ((Held{{"long", 2}}), connect_sidecar(2)->view.held);
}

TEST_F(SyncServiceTest, TellsWhetherEventsAreWanted) {
    Sidecar *sidecar = connect_sidecar(1);
    ClientStream *subscriber = open("Events/Subscribe", {""});

    EXPECT_TRUE(wait([&] { return sidecar->view.events_wanted; }));
    EXPECT_TRUE(connect_sidecar(2)->view.events_wanted);
    diag_rpc_stream_cancel(subscriber->stream);
    EXPECT_TRUE(wait([&] { return !sidecar->view.events_wanted; }));
}

class HeartbeatTest : public SyncServiceTest {
  protected:
    HeartbeatTest() { ttl_ms_ = 90; }
};

TEST_F(HeartbeatTest, RefreshesTheTtl) {
    Sidecar *sidecar = connect_sidecar(1);

    EXPECT_TRUE(wait([&] { return sidecar->view.nonce >= 5; }));
    EXPECT_EQ(90u, sidecar->view.ttl_ms);
    EXPECT_EQ(0u, sidecar->view.upserts);
}

TEST_F(SyncServiceTest, ProcessesAreListedWhileTheirSidecarIsThere) {
    Sidecar *first = connect_sidecar(1, {{"app", "shop"}});
    Sidecar *second = connect_sidecar(2);

    EXPECT_EQ(2u, list_processes().sidecars);
    ASSERT_EQ(DIAG_OK, first->end->write(field(3, field(1, make_process(uid_of(10), 100)) +
                                                      field(1, make_process(uid_of(11), 101)))));
    ASSERT_EQ(DIAG_OK, second->end->write(field(3, field(1, make_process(uid_of(12), 50)))));
    list_until({100, 101, 50});
    Unpacked<Diagnose__V1__ListProcessesResponse> response(
        &diagnose__v1__list_processes_response__descriptor,
        call("Fleet/ListProcesses", "").response);
    EXPECT_STREQ(uid_of(1).c_str(), response->processes[0]->sidecar_uid);
    EXPECT_STREQ("host", response->processes[0]->host);
    ASSERT_EQ(1u, response->processes[0]->n_labels);
    EXPECT_STREQ("app", response->processes[0]->labels[0]->key);
    EXPECT_STREQ("shop", response->processes[0]->labels[0]->value);
    ASSERT_EQ(DIAG_OK, first->end->write(field(3, field(2, uid_of(10)))));
    list_until({101, 50});
    diag_rpc_stream_cancel(first->end->stream);
    list_until({50});
    EXPECT_EQ(1u, list_processes().sidecars);
}

TEST_F(SyncServiceTest, TheSameSidecarReplacesItsOldStream) {
    apply("a");
    Sidecar *old = connect_sidecar(1);
    ASSERT_EQ(DIAG_OK, old->end->write(field(3, field(1, make_process(uid_of(10), 100)))));
    list_until({100});
    Sidecar *now = connect_sidecar(1, {}, old->view.held);

    EXPECT_TRUE(wait([&] { return old->end->code != -1; }));
    EXPECT_NE(0, old->end->code);
    EXPECT_EQ(1u, list_processes().sidecars);
    EXPECT_EQ(std::vector<uint32_t>{}, list_processes().pids) << "until the new stream reports";
    apply("b");
    EXPECT_TRUE(wait_for(now, {{"a", 1}, {"b", 2}}));
    EXPECT_EQ(1u, now->view.upserts);
}

TEST_F(SyncServiceTest, BrokenStreamsEndWithTheReason) {
    std::string hello = make_hello(uid_of(1));
    std::string long_text(321, 'x');
    const struct {
        std::vector<std::string> requests;
        const char *named;
    } cases[] = {
        {{make_ack(0)}, "hello: must be the first"},
        {{""}, "hello: must be the first"},
        {{"\xff"}, "request"},
        {{hello, hello}, "hello: came twice"},
        {{make_hello("bad")}, "hello: sidecar_uid"},
        {{make_hello(uid_of(1), {{"", "x"}})}, "hello: labels"},
        {{make_hello(uid_of(1), {{"k", long_text}})}, "hello: labels"},
        {{make_hello(uid_of(1), {}, {{"a/b", 1}})}, "hello.held[0]: id"},
        {{make_hello(uid_of(1), {{"k\xff", "x"}})}, "UTF-8"},
        {{hello, make_ack(1000)}, "ack.nonce"},
        {{hello, field(3, field(1, ""))}, "report.changed[0]: process"},
        {{hello, field(3, field(1, make_process("x", 1)))}, "report.changed[0]: process.uid"},
    };

    for (const auto &each : cases) {
        ClientStream *end = open("Sync/Sync", each.requests);

        ASSERT_TRUE(wait([&] { return end->code != -1; })) << each.named;
        EXPECT_EQ(3, end->code) << end->message;
        EXPECT_NE(std::string::npos, end->message.find(each.named)) << end->message;
    }
    while (list_processes().sidecars != 0)
        ;
}

/* More than its queue and its transport hold: the rest waits as a difference, and is not lost. */
TEST_F(SyncServiceTest, ASidecarThatDoesNotReadGetsEverythingLater) {
    constexpr int kSpecs = 400;
    Held expected;
    GatedClient slow(loop_, look_at, this);

    slow.run(connect(slow.loop()), "/diagnose.v1.Sync/Sync", make_hello(uid_of(1)));
    ASSERT_TRUE(wait([&] { return slow.count() == 1; }));
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < kSpecs; i++) {
            std::string id = "spec" + std::to_string(i);
            expected[id] = apply(id, {.value = std::string(8000, 'v')});
        }
    for (int i = 0; i < kSpecs; i += 2) {
        std::string id = "spec" + std::to_string(i);
        ASSERT_EQ(0, call("Specs/Delete", id_request(id)).code);
        expected.erase(id);
    }
    EXPECT_EQ(1u, slow.count());
    slow.open_gate();

    View view;
    EXPECT_TRUE(wait([&] {
        for (const std::string &encoded : slow.take())
            view.take(encoded);
        return view.held == expected;
    }));
    EXPECT_LT(view.largest, 1u << 20);
    EXPECT_LT(view.upserts, 2u * kSpecs) << "it was sent the difference, not each step";
}

TEST_F(SyncServiceTest, AStopEndsTheStreams) {
    Sidecar *sidecar = connect_sidecar(1);
    ClientStream *subscriber = open("Events/Subscribe", {""});
    ClientStream *report = open("Events/Report");

    ASSERT_TRUE(wait([&] { return !subscriber->received.empty(); }));
    diag_controller_stop_and_free(controller_, 10000);
    controller_ = nullptr;
    ASSERT_TRUE(wait(
        [&] { return sidecar->end->code != -1 && subscriber->code != -1 && report->code != -1; }));
    EXPECT_EQ(14, sidecar->end->code) << sidecar->end->message;
    EXPECT_EQ(14, subscriber->code) << subscriber->message;
    EXPECT_EQ(14, report->code) << report->message;
}

} // namespace
} // namespace diag_test
