/* SPDX-License-Identifier: MIT */
#include "controller/events_service.h"

#include "tests/unit/controller/controller_fixture_rpc.h"

namespace diag_test {
namespace {

std::string make_report(uint64_t sequence, const std::vector<std::string> &batches) {
    Diagnose__V1__ReportRequest request = DIAGNOSE__V1__REPORT_REQUEST__INIT;
    std::string encoded;

    request.sequence = sequence;
    encoded = pack(request);
    for (const std::string &batch : batches)
        encoded += field(2, batch);
    return encoded;
}

struct Seen {
    std::vector<std::string> events;
    uint64_t lost = 0;
    int started = 0;

    void take(const std::string &encoded) {
        Unpacked<Diagnose__V1__SubscribeResponse> response(
            &diagnose__v1__subscribe_response__descriptor, encoded);
        started += response->started ? 1 : 0;
        lost += response->lost;
        for (size_t i = 0; i < response->n_batches; i++)
            for (size_t k = 0; k < response->batches[i]->n_events; k++)
                events.push_back(response->batches[i]->events[k]->spec_id);
    }
};

class EventsServiceTest : public ControllerTest {
  protected:
    struct Subscriber {
        ClientStream *end;
        Seen seen;
    };

    Subscriber *subscribe(const std::vector<std::string> &ids = {}) {
        subscribers_.push_back(std::make_unique<Subscriber>());
        Subscriber *subscriber = subscribers_.back().get();
        std::string request;

        for (const std::string &id : ids)
            request += field(1, id);
        subscriber->end = open("Events/Subscribe", {request});
        subscriber->end->on_message = [subscriber](ClientStream *, const std::string &encoded) {
            subscriber->seen.take(encoded);
        };
        diag_rpc_stream_finish(subscriber->end->stream, DIAG_OK, nullptr);
        EXPECT_TRUE(wait([&] { return subscriber->seen.started == 1; }));
        return subscriber;
    }

    static uint64_t acknowledged(const ClientStream *report) {
        if (report->received.empty())
            return 0;
        Unpacked<Diagnose__V1__ReportResponse> response(&diagnose__v1__report_response__descriptor,
                                                        report->received.back());
        return response->acknowledged;
    }

    using Texts = std::vector<std::string>;

    std::vector<std::unique_ptr<Subscriber>> subscribers_;
};

TEST_F(EventsServiceTest, EventsReachSubscribersThatWantThem) {
    Subscriber *all = subscribe(), *only_b = subscribe({"b"});
    ClientStream *report = open("Events/Report");

    ASSERT_EQ(DIAG_OK, report->write(make_report(
                           1, {make_batch(uid_of(1), {make_event("a"), make_event("b")}),
                               make_batch(uid_of(2), {make_event("c")})})));
    ASSERT_EQ(DIAG_OK, report->write(make_report(2, {make_batch(uid_of(1), {make_event("b")})})));
    ASSERT_TRUE(wait([&] { return acknowledged(report) == 2; }));
    ASSERT_TRUE(wait([&] { return all->seen.events.size() == 4; }));
    ASSERT_TRUE(wait([&] { return only_b->seen.events.size() == 2; }));
    EXPECT_EQ((Texts{"a", "b", "c", "b"}), all->seen.events);
    EXPECT_EQ((Texts{"b", "b"}), only_b->seen.events);
    EXPECT_EQ(0u, all->seen.lost);
}

TEST_F(EventsServiceTest, ReportsAreAcknowledgedWithoutSubscribers) {
    ClientStream *report = open("Events/Report");

    for (uint64_t sequence = 1; sequence <= 50; sequence++)
        ASSERT_EQ(DIAG_OK, report->write(make_report(sequence, {})));
    EXPECT_TRUE(wait([&] { return acknowledged(report) == 50; }));
    diag_rpc_stream_finish(report->stream, DIAG_OK, nullptr);
    ASSERT_TRUE(wait([&] { return report->code != -1; }));
    EXPECT_EQ(0, report->code) << report->message;
}

TEST_F(EventsServiceTest, ABadReportEndsItsStreamOnly) {
    std::string good = make_batch(uid_of(1), {make_event("a")});
    const struct {
        std::vector<std::string> requests;
        int code;
        const char *named;
    } cases[] = {
        {{make_report(1, {good, make_batch(uid_of(1), {"junk"})})}, 3, "batches[1]: events[0]"},
        {{make_report(1, {make_batch("x", {})})}, 3, "batches[0]: process_uid"},
        {{make_report(1, {good}) + "\xff"}, 3, "request"},
        {{make_report(0, {good})}, 3, "sequence: 0, expected 1"},
        {{make_report(1, {}), make_report(1, {})}, 3, "sequence: 1, expected 2"},
        {{field(1, "x")}, 3, "sequence"},
        {{make_report(1, {}) + std::string("\x10\x01")}, 3, "batches"},
        {{make_report(
             1, std::vector<std::string>(80, make_batch(uid_of(1), {make_event("a", 14000)})))},
         8,
         "at most 1048576"},
    };
    Subscriber *subscriber = subscribe();

    for (const auto &each : cases) {
        ClientStream *report = open("Events/Report", each.requests);

        ASSERT_TRUE(wait([&] { return report->code != -1; })) << each.named;
        EXPECT_EQ(each.code, report->code) << report->message;
        EXPECT_NE(std::string::npos, report->message.find(each.named)) << report->message;
        EXPECT_NE(std::string::npos, report->message.find("sidecar at ")) << report->message;
    }
    ClientStream *report = open("Events/Report", {make_report(1, {good})});
    ASSERT_TRUE(wait([&] { return !subscriber->seen.events.empty(); }));
    EXPECT_EQ(Texts{"a"}, subscriber->seen.events) << "nothing of a bad report is handed out";
    EXPECT_EQ(-1, report->code);
}

TEST_F(EventsServiceTest, ABadReportIsBlamedOnItsSidecar) {
    ClientStream *sync = open("Sync/Sync", {field(1, field(1, uid_of(7)) + field(3, "web-7")),
                                            field(3, field(1, make_process(uid_of(1), 1)))});
    ASSERT_TRUE(wait([&] { return !sync->received.empty(); }));
    while (call("Fleet/ListProcesses", "").response.find(uid_of(1)) == std::string::npos)
        ;
    ClientStream *report =
        open("Events/Report", {make_report(1, {make_batch(uid_of(1), {"junk"})})});
    ASSERT_TRUE(wait([&] { return report->code != -1; }));
    EXPECT_NE(std::string::npos, report->message.find("sidecar " + uid_of(7) + " (web-7): "))
        << report->message;
}

TEST_F(EventsServiceTest, BadSubscriptionsAreRefused) {
    std::string many;
    for (int i = 0; i < 257; i++)
        many += field(1, "a");
    const struct {
        std::string request;
        const char *named;
    } cases[] = {
        {field(1, "a/b"), "spec_ids[0]: id"},
        {many, "spec_ids: 257"},
        {"\xff", "request"},
    };

    for (const auto &each : cases) {
        ClientStream *end = open("Events/Subscribe", {each.request});

        ASSERT_TRUE(wait([&] { return end->code != -1; }));
        EXPECT_EQ(3, end->code);
        EXPECT_NE(std::string::npos, end->message.find(each.named)) << end->message;
    }
    ClientStream *silent = open("Events/Subscribe");
    diag_rpc_stream_finish(silent->stream, DIAG_OK, nullptr);
    ASSERT_TRUE(wait([&] { return silent->code != -1; }));
    EXPECT_EQ(3, silent->code);
    EXPECT_EQ("request: missing", silent->message);
}

/* What a subscriber that does not read is sent, and what it is told that it lost, is all there
 * was; and everybody else goes on. */
TEST_F(EventsServiceTest, ASubscriberThatNeverReadsCostsNobodyElse) {
    constexpr uint64_t kReports = 1000, kEvents = 5;
    GatedClient stuck(loop_, look_at, this);
    Subscriber *healthy = subscribe();
    std::string batch = make_batch(uid_of(1), Texts(kEvents, make_event("a", 8000)));

    stuck.run(connect(stuck.loop()), "/diagnose.v1.Events/Subscribe", "");
    ASSERT_TRUE(wait([&] { return stuck.count() == 1; }));
    ClientStream *report = open("Events/Report");
    for (uint64_t sequence = 1; sequence <= kReports; sequence++) {
        ASSERT_EQ(DIAG_OK, report->write(make_report(sequence, {batch})));
        ASSERT_TRUE(wait([&] {
            return acknowledged(report) == sequence &&
                   healthy->seen.events.size() == sequence * kEvents;
        }));
    }
    EXPECT_EQ(0u, healthy->seen.lost);
    EXPECT_EQ(1u, stuck.count());
    stuck.open_gate();

    Seen seen;
    EXPECT_TRUE(wait([&] {
        for (const std::string &encoded : stuck.take())
            seen.take(encoded);
        return seen.events.size() + seen.lost == kReports * kEvents;
    }));
    EXPECT_GT(seen.lost, kReports * kEvents / 2);
    EXPECT_GT(seen.events.size(), 0u);
}

} // namespace
} // namespace diag_test
