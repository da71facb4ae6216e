/* SPDX-License-Identifier: MIT */
#include "lib/rpc/health.h"

#include "proto/grpc/health/v1/health.pb-c.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace diag_test {
namespace {

const char *const kServices[] = {"diagnose.v1.Specs"};
const std::string kServing = "\x08\x01", kNotServing = "\x08\x02", kServiceUnknown = "\x08\x03";

std::string request(const std::string &service) {
    if (service.empty())
        return "";
    return std::string("\x0a") + static_cast<char>(service.size()) + service;
}

class HealthTest : public RpcTest {
  protected:
    void SetUp() override {
        RpcTest::SetUp();
        ASSERT_EQ(DIAG_OK, diag_rpc_health_new(kServices, 1, &health_, &err_));
        methods_.resize(DIAG_RPC_HEALTH_METHOD_COUNT);
        diag_rpc_health_methods(health_, methods_.data());
        std::string address = "unix:" + folder_.file("socket");
        ASSERT_EQ(DIAG_OK, start_server(address)) << err_.message;
        client_ = connect(address);
    }

    void TearDown() override {
        RpcTest::TearDown();
        diag_rpc_health_free(health_);
    }

    void watch(StreamEnd &end, const std::string &service) {
        open_stream(client_, end, "/grpc.health.v1.Health/Watch");
        ASSERT_EQ(DIAG_OK, write(end.stream, request(service)));
        diag_rpc_stream_finish(end.stream, DIAG_OK, nullptr);
        ASSERT_TRUE(run_until([&] { return !end.received.empty(); }));
    }

    diag_rpc_health *health_ = nullptr;
    diag_rpc_client *client_ = nullptr;
};

TEST_F(HealthTest, Check) {
    const struct {
        std::string service;
        bool is_serving;
        int code;
        std::string response;
    } cases[] = {
        {"", true, 0, kServing},
        {"diagnose.v1.Specs", true, 0, kServing},
        {"diagnose.v1.Spec", true, 5, ""},
        {"", false, 0, kNotServing},
        {"diagnose.v1.Specs", false, 0, kNotServing},
        {"other", false, 5, ""},
        {"", true, 0, kServing},
    };

    for (const auto &each : cases) {
        diag_rpc_health_set_serving(health_, each.is_serving);
        Reply reply = call(client_, "/grpc.health.v1.Health/Check", request(each.service));

        EXPECT_EQ(each.code, reply.code) << reply.status_message;
        EXPECT_EQ(each.response, reply.response);
    }
    EXPECT_EQ(3, call(client_, "/grpc.health.v1.Health/Check", "\xff").code);
}

TEST_F(HealthTest, WatchTellsTheStatusAndItsChange) {
    StreamEnd &all = new_end(), &one = new_end(), &unknown = new_end();

    watch(all, "");
    watch(one, "diagnose.v1.Specs");
    watch(unknown, "other");
    EXPECT_EQ(std::vector<std::string>{kServing}, all.received);
    EXPECT_EQ(std::vector<std::string>{kServing}, one.received);
    EXPECT_EQ(std::vector<std::string>{kServiceUnknown}, unknown.received);
    diag_rpc_health_set_serving(health_, true); /* no change: nobody is told */
    diag_rpc_health_set_serving(health_, false);
    for (StreamEnd *end : {&all, &one, &unknown}) {
        ASSERT_TRUE(run_until(end->is_closed));
        EXPECT_EQ(0, end->code);
    }
    EXPECT_EQ((std::vector<std::string>{kServing, kNotServing}), all.received);
    EXPECT_EQ((std::vector<std::string>{kServing, kNotServing}), one.received);

    StreamEnd &late = new_end();
    watch(late, "");
    EXPECT_EQ(std::vector<std::string>{kNotServing}, late.received);
    ASSERT_TRUE(run_until(late.is_closed));
}

TEST_F(HealthTest, WatchersComeAndGo) {
    StreamEnd *ends[] = {&new_end(), &new_end(), &new_end()};

    for (StreamEnd *end : ends)
        watch(*end, "");
    diag_rpc_stream_cancel(ends[1]->stream);
    ASSERT_TRUE(run_until(ends[1]->is_closed));
    EXPECT_EQ(1, ends[1]->code);
    /* the server hears of it on the same connection before it answers this */
    EXPECT_EQ(0, call(client_, "/grpc.health.v1.Health/Check", "").code);
    diag_rpc_health_set_serving(health_, false);
    for (StreamEnd *end : {ends[0], ends[2]}) {
        ASSERT_TRUE(run_until(end->is_closed));
        EXPECT_EQ((std::vector<std::string>{kServing, kNotServing}), end->received);
    }
}

TEST_F(HealthTest, WatchRefusesBadRequests) {
    StreamEnd &none = new_end(), &garbage = new_end();

    open_stream(client_, none, "/grpc.health.v1.Health/Watch");
    diag_rpc_stream_finish(none.stream, DIAG_OK, nullptr);
    open_stream(client_, garbage, "/grpc.health.v1.Health/Watch");
    ASSERT_EQ(DIAG_OK, write(garbage.stream, "\xff"));
    for (StreamEnd *end : {&none, &garbage}) {
        ASSERT_TRUE(run_until(end->is_closed));
        EXPECT_EQ(3, end->code) << end->status_message;
    }
}

TEST_F(HealthTest, FinishedWatchersDoNotHoldUpAGracefulStop) {
    StreamEnd &end = new_end();

    watch(end, "");
    diag_rpc_health_set_serving(health_, false);
    stop_server(kPatienceMs); /* would wait as long if the stream stayed open */
    ASSERT_TRUE(run_until(end.is_closed));
    EXPECT_EQ((std::vector<std::string>{kServing, kNotServing}), end.received);
    EXPECT_EQ(0, end.code);
}

} // namespace
} // namespace diag_test
