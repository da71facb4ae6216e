/* SPDX-License-Identifier: MIT */
#include "lib/rpc/stream.h"

#include "tests/unit/rpc/rpc_fixture.h"

namespace diag_test {
namespace {

/* Once over a unix socket, once over TCP. */
class StreamTest : public RpcTest, public ::testing::WithParamInterface<bool> {
  protected:
    void SetUp() override {
        RpcTest::SetUp();
        bool is_unix = GetParam();
        address_ = is_unix ? "unix:" + folder_.file("socket") : "127.0.0.1:0";

        ASSERT_EQ(DIAG_OK, start_server(address_)) << err_.message;
        if (!is_unix)
            address_ = "127.0.0.1:" + std::to_string(diag_rpc_server_port(server_));
        client_ = connect(address_);
    }

    std::string address_;
    diag_rpc_client *client_ = nullptr;
    StreamEnd end_;
};

INSTANTIATE_TEST_SUITE_P(Transports, StreamTest, ::testing::Bool(),
                         [](const auto &each) { return each.param ? "unix" : "tcp"; });

TEST_P(StreamTest, UnaryCallsAreAnswered) {
    for (size_t size : {size_t{0}, size_t{1}, size_t{100}, kMessageMax}) {
        std::string request(size, 'x');
        Reply reply = call(client_, "/test.Service/Echo", request);

        EXPECT_EQ(0, reply.code) << reply.status_message;
        EXPECT_EQ("", reply.status_message);
        EXPECT_EQ(request, reply.response);
    }
}

TEST_P(StreamTest, EchoesThousandsOfMessagesInOrder) {
    constexpr int kCount = 5000;
    int sent = 0;
    std::vector<int> order;
    auto fill = [&](StreamEnd &end) {
        while (sent < kCount && write(end.stream, std::to_string(sent)) == DIAG_OK)
            sent++;
        if (sent == kCount)
            diag_rpc_stream_finish(end.stream, DIAG_OK, nullptr);
    };

    server_end_.on_message = [](StreamEnd &end, const std::string &each) {
        ASSERT_EQ(DIAG_OK, write(end.stream, each));
    };
    server_end_.on_half_closed = [](StreamEnd &end) {
        diag_rpc_stream_finish(end.stream, DIAG_OK, nullptr);
    };
    end_.on_writable = fill;
    open_stream(client_, end_);
    fill(end_);
    ASSERT_TRUE(run_until(end_.is_closed));
    EXPECT_EQ(0, end_.code) << end_.status_message;
    ASSERT_EQ(size_t{kCount}, end_.received.size());
    for (int i = 0; i < kCount; i++)
        ASSERT_EQ(std::to_string(i), end_.received[static_cast<size_t>(i)]);
    ASSERT_TRUE(run_until(server_end_.is_closed));
    EXPECT_EQ(0, server_end_.code);
    EXPECT_TRUE(server_end_.is_half_closed);
}

} // namespace
} // namespace diag_test
