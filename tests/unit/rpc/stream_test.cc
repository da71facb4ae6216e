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

TEST_P(StreamTest, UnaryFailuresKeepCodeAndMessage) {
    const struct {
        enum diag_status status;
        int code;
    } cases[] = {
        {DIAG_ERR_INVALID, 3},      {DIAG_ERR_NOT_FOUND, 5},    {DIAG_ERR_EXISTS, 6},
        {DIAG_ERR_FULL, 8},         {DIAG_ERR_TOO_LARGE, 8},    {DIAG_ERR_NO_MEMORY, 8},
        {DIAG_ERR_PERMISSION, 7},   {DIAG_ERR_UNSUPPORTED, 12}, {DIAG_ERR_VERSION, 12},
        {DIAG_ERR_UNAVAILABLE, 14}, {DIAG_ERR_CLOSED, 14},      {DIAG_ERR_BUSY, 14},
        {DIAG_ERR_TIMEOUT, 4},      {DIAG_ERR_PROTOCOL, 3},     {DIAG_ERR_IO, 13},
        {DIAG_ERR_INTERNAL, 13},
    };

    for (const auto &each : cases) {
        std::string status(1, static_cast<char>(each.status));
        Reply reply = call(client_, "/test.Service/Fail", status);

        EXPECT_EQ(each.code, reply.code);
        EXPECT_EQ(std::string("you asked for ") + diag_status_name(each.status) + ": \xc3\xa9",
                  reply.status_message);
        EXPECT_EQ("", reply.response);
        EXPECT_EQ(diag_status_name(each.status),
                  call(client_, "/test.Service/Fail", status + "?").status_message);
    }
}

TEST_P(StreamTest, AMethodWithoutResponseIsADefect) {
    Reply reply = call(client_, "/test.Service/Nothing", "");

    EXPECT_EQ(13, reply.code);
    EXPECT_EQ("/test.Service/Nothing gave no response", reply.status_message);
}

TEST_P(StreamTest, UnknownMethodsAreNamed) {
    Reply reply = call(client_, "/test.Service/Other", "x");

    EXPECT_EQ(12, reply.code);
    EXPECT_EQ("unknown method /test.Service/Other", reply.status_message);

    open_stream(client_, end_, "/other.Service/Stream");
    ASSERT_TRUE(run_until(end_.is_closed));
    EXPECT_EQ(12, end_.code);
    EXPECT_EQ("unknown method /other.Service/Stream", end_.status_message);
}

TEST_P(StreamTest, OversizeMessagesEndTheCall) {
    std::string request(kMessageMax + 1, 'x');

    EXPECT_EQ(8, call(client_, "/test.Service/Echo", request).code);

    open_stream(client_, end_);
    ASSERT_EQ(DIAG_OK, write(end_.stream, request));
    ASSERT_TRUE(run_until(end_.is_closed));
    EXPECT_EQ(8, end_.code) << end_.status_message;
    ASSERT_TRUE(run_until(server_end_.is_closed));
    EXPECT_NE(0, server_end_.code);
    EXPECT_TRUE(server_end_.received.empty());
    EXPECT_FALSE(server_end_.is_half_closed);

    /* the connection goes on */
    EXPECT_EQ(0, call(client_, "/test.Service/Echo", "x").code);
}

TEST_P(StreamTest, OversizeResponsesEndTheCall) {
    server_end_.on_message = [](StreamEnd &end, const std::string &) {
        ASSERT_EQ(DIAG_OK, write(end.stream, std::string(kMessageMax + 1, 'x')));
    };
    open_stream(client_, end_);
    ASSERT_EQ(DIAG_OK, write(end_.stream, "go"));
    ASSERT_TRUE(run_until(end_.is_closed));
    EXPECT_EQ(8, end_.code) << end_.status_message;
    EXPECT_TRUE(end_.received.empty());
}

TEST_P(StreamTest, ACallWithoutRequestIsRefused) {
    open_stream(client_, end_, "/test.Service/Echo");
    diag_rpc_stream_finish(end_.stream, DIAG_OK, nullptr);
    ASSERT_TRUE(run_until(end_.is_closed));
    EXPECT_EQ(3, end_.code);
    EXPECT_EQ("the call has no request message", end_.status_message);
}

TEST_P(StreamTest, AUnaryCallWantsExactlyOneResponse) {
    server_end_.on_message = [](StreamEnd &end, const std::string &each) {
        for (int i = 0; i < std::stoi(each); i++)
            ASSERT_EQ(DIAG_OK, write(end.stream, "response"));
        diag_rpc_stream_finish(end.stream, DIAG_OK, nullptr);
    };
    Reply none = call(client_, "/test.Service/Stream", "0");
    EXPECT_EQ(13, none.code);
    EXPECT_EQ("the server sent no response", none.status_message);
    EXPECT_EQ(0, call(client_, "/test.Service/Stream", "1").code);
    Reply two = call(client_, "/test.Service/Stream", "2");
    EXPECT_EQ(13, two.code);
    EXPECT_EQ("the server sent more than one response", two.status_message);
}

TEST_P(StreamTest, CallsEndAtTheirDeadline) {
    Reply reply = call(client_, "/test.Service/Stream", "x", 50); /* which never answers */

    EXPECT_EQ(4, reply.code) << reply.status_message;
    EXPECT_EQ(DIAG_ERR_TIMEOUT, diag_rpc_status(reply.code));
    ASSERT_TRUE(run_until(server_end_.is_closed));
    EXPECT_EQ(1, server_end_.code);
}

TEST_P(StreamTest, RefusedStreamsGetTheError) {
    open_stream(client_, end_, "/test.Service/Refuse");
    ASSERT_EQ(DIAG_OK, write(end_.stream, "x"));
    ASSERT_TRUE(run_until(end_.is_closed));
    EXPECT_EQ(7, end_.code);
    EXPECT_EQ("not you", end_.status_message);
    EXPECT_EQ(0, server_end_.closed_count);
}

TEST_P(StreamTest, FinishSendsWhatIsQueuedAndThenTheStatus) {
    on_open_ = [this] {
        for (int i = 0; i < 10; i++)
            ASSERT_EQ(DIAG_OK, write(server_end_.stream, std::to_string(i)));
        EXPECT_EQ(size_t{10}, diag_rpc_stream_queued(server_end_.stream));
        diag_rpc_stream_finish(server_end_.stream, DIAG_ERR_NOT_FOUND, "no more");
        diag_rpc_stream_finish(server_end_.stream, DIAG_OK, "the first one counts");
        EXPECT_EQ(DIAG_ERR_CLOSED, write(server_end_.stream, "too late"));
    };
    open_stream(client_, end_);
    ASSERT_TRUE(run_until(end_.is_closed));
    EXPECT_EQ(5, end_.code);
    EXPECT_EQ("no more", end_.status_message);
    ASSERT_EQ(size_t{10}, end_.received.size());
    EXPECT_EQ("9", end_.received.back());
    ASSERT_TRUE(run_until(server_end_.is_closed));
    EXPECT_EQ(5, server_end_.code);
    EXPECT_EQ("no more", server_end_.status_message);
    EXPECT_EQ(0, server_end_.writable_count);
}

TEST_P(StreamTest, AServerThatHasFinishedHearsNoMore) {
    server_end_.on_message = [](StreamEnd &end, const std::string &) {
        diag_rpc_stream_finish(end.stream, DIAG_OK, nullptr);
    };
    open_stream(client_, end_);
    for (int i = 0; i < 5; i++)
        ASSERT_EQ(DIAG_OK, write(end_.stream, "x"));
    ASSERT_TRUE(run_until(end_.is_closed));
    ASSERT_TRUE(run_until(server_end_.is_closed));
    EXPECT_EQ(size_t{1}, server_end_.received.size());
    EXPECT_EQ(0, server_end_.code);
}

TEST_P(StreamTest, ASlowReaderFillsTheQueueOfTheWriter) {
    /* a client whose loop does not run reads nothing */
    diag_loop *other = nullptr;
    ASSERT_EQ(DIAG_OK, diag_loop_new(&other, nullptr));
    diag_rpc_client *slow = connect(address_, {}, other);
    std::string big(kMessageMax, 'x');
    uint64_t sent = 0;
    bool is_never = false;

    open_stream(slow, end_, "/test.Service/Narrow");
    for (uint64_t i = 0; i < kPatienceMs && !is_open_; i++) {
        diag_loop_run_until(other, &is_never, 1);
        diag_loop_run_until(loop_, &is_open_, 1);
    }
    ASSERT_TRUE(is_open_);
    enum diag_status status = DIAG_OK;
    for (; status == DIAG_OK; sent += status == DIAG_OK) {
        status = write(server_end_.stream, big);
        diag_loop_run_until(loop_, &is_never, 1);
        ASSERT_LT(sent, 1000u) << "nothing holds the writer back";
    }
    EXPECT_EQ(DIAG_ERR_FULL, status);
    EXPECT_EQ(kQueueMax, diag_rpc_stream_queued(server_end_.stream));
    EXPECT_EQ(DIAG_ERR_FULL, write(server_end_.stream, ""));
    EXPECT_EQ(0, server_end_.closed_count);

    /* once it reads again, all that was accepted arrives */
    server_end_.writable_count = 0;
    for (uint64_t i = 0; i < kPatienceMs && end_.received.size() < sent; i++) {
        diag_loop_run_until(other, &is_never, 1);
        diag_loop_run_until(loop_, &is_never, 1);
    }
    EXPECT_EQ(sent, end_.received.size());
    EXPECT_TRUE(run_until([&] { return server_end_.writable_count > 0; }));
    EXPECT_EQ(size_t{0}, diag_rpc_stream_queued(server_end_.stream));
    diag_rpc_client_free(slow);
    EXPECT_EQ(1, end_.code);
    diag_loop_free(other);
}

TEST_P(StreamTest, TheClientsQueueIsBounded) {
    open_stream(client_, end_, "/test.Service/Stream", 3);
    for (int i = 0; i < 3; i++)
        ASSERT_EQ(DIAG_OK, write(end_.stream, "x"));
    EXPECT_EQ(DIAG_ERR_FULL, write(end_.stream, "x"));
    EXPECT_EQ(size_t{3}, diag_rpc_stream_queued(end_.stream));
    ASSERT_TRUE(run_until([&] { return server_end_.received.size() == 3; }));
    ASSERT_TRUE(run_until([&] { return end_.writable_count > 0; }));
    EXPECT_EQ(DIAG_OK, write(end_.stream, "x"));
}

TEST_P(StreamTest, TheClientCancels) {
    open_stream(client_, end_);
    ASSERT_EQ(DIAG_OK, write(end_.stream, "x"));
    ASSERT_TRUE(run_until([&] { return !server_end_.received.empty(); }));
    diag_rpc_stream_cancel(end_.stream);
    diag_rpc_stream_cancel(end_.stream);
    EXPECT_EQ(0, end_.closed_count) << "from inside";
    EXPECT_EQ(DIAG_ERR_CLOSED, write(end_.stream, "x"));
    ASSERT_TRUE(run_until(end_.is_closed));
    ASSERT_TRUE(run_until(server_end_.is_closed));
    EXPECT_EQ(1, end_.code);
    EXPECT_EQ("cancelled by the client", end_.status_message);
    EXPECT_EQ(1, server_end_.code);
    EXPECT_FALSE(server_end_.is_half_closed);
    EXPECT_EQ(1, end_.closed_count);
    EXPECT_EQ(1, server_end_.closed_count);
}

TEST_P(StreamTest, TheServerCancels) {
    server_end_.on_message = [](StreamEnd &end, const std::string &) {
        diag_rpc_stream_cancel(end.stream);
        EXPECT_EQ(0, end.closed_count) << "from inside";
        EXPECT_EQ(DIAG_ERR_CLOSED, write(end.stream, "x"));
    };
    open_stream(client_, end_);
    for (int i = 0; i < 3; i++)
        ASSERT_EQ(DIAG_OK, write(end_.stream, "x"));
    ASSERT_TRUE(run_until(end_.is_closed));
    ASSERT_TRUE(run_until(server_end_.is_closed));
    EXPECT_EQ(1, end_.code);
    EXPECT_EQ("cancelled by the server", end_.status_message);
    EXPECT_EQ(1, server_end_.code);
    EXPECT_EQ(size_t{1}, server_end_.received.size());
}

TEST_P(StreamTest, CancelWithAFullQueueAndBeforeAnythingWasSent) {
    on_open_ = [this] {
        while (write(server_end_.stream, std::string(1000, 'x')) == DIAG_OK)
            continue;
        diag_rpc_stream_cancel(server_end_.stream);
    };
    open_stream(client_, end_, "/test.Service/Narrow");
    while (write(end_.stream, std::string(1000, 'x')) == DIAG_OK)
        continue;
    ASSERT_TRUE(run_until(end_.is_closed));
    ASSERT_TRUE(run_until(server_end_.is_closed));
    EXPECT_EQ(1, end_.code);

    StreamEnd &at_once = new_end();
    open_stream(client_, at_once);
    diag_rpc_stream_cancel(at_once.stream);
    ASSERT_TRUE(run_until(at_once.is_closed));
    EXPECT_EQ(1, at_once.code);
}

TEST_P(StreamTest, FreeingTheClientEndsItsCalls) {
    StreamEnd *ends[] = {&new_end(), &new_end(), &new_end()};
    Reply reply;
    diag_rpc_message *request = message("x");

    for (StreamEnd *end : ends)
        open_stream(client_, *end);
    ASSERT_EQ(DIAG_OK, diag_rpc_client_call(client_, "/test.Service/Stream", request, UINT64_MAX,
                                            true, Reply::receive, &reply, &err_));
    diag_rpc_message_unref(request);
    ends[0]->on_closed = [this](StreamEnd &) {
        diag_rpc_stream *another = nullptr;
        EXPECT_EQ(DIAG_ERR_CLOSED,
                  diag_rpc_client_open(client_, "/test.Service/Stream", StreamEnd::events(),
                                       nullptr, 1, &another, &err_));
    };
    diag_rpc_client_free(client_);
    clients_.clear();
    for (StreamEnd *end : ends)
        EXPECT_EQ(1, end->closed_count);
    EXPECT_EQ(1, reply.code);
}

TEST_P(StreamTest, PeersHaveNames) {
    open_stream(client_, end_);
    ASSERT_TRUE(run_until(is_open_));
    EXPECT_EQ(std::string(GetParam() ? "unix:" : "ipv4:127.0.0.1:"),
              std::string(diag_rpc_stream_peer(server_end_.stream)).substr(0, GetParam() ? 5 : 15));
    EXPECT_EQ(diag_rpc_stream_peer(server_end_.stream), diag_rpc_stream_peer(server_end_.stream));
}

TEST_P(StreamTest, ManyStreamsAtOnce) {
    constexpr size_t kCount = 200; /* more than the server has calls waiting for */
    std::vector<Reply> replies(kCount);
    diag_rpc_message *request = message("hello");

    for (Reply &reply : replies)
        ASSERT_EQ(DIAG_OK, diag_rpc_client_call(client_, "/test.Service/Echo", request, kPatienceMs,
                                                true, Reply::receive, &reply, &err_));
    diag_rpc_message_unref(request);
    for (Reply &reply : replies) {
        ASSERT_TRUE(run_until(reply.is_done));
        EXPECT_EQ("hello", reply.response);
        EXPECT_EQ(1, reply.count);
    }
}

TEST(Code, ComesBackAsAStatusOfTheSameCode) {
    for (int code = 0; code <= 16; code++) {
        enum diag_status status = diag_rpc_status(code);

        EXPECT_EQ(code == 0, status == DIAG_OK);
        for (int mapped : {3, 4, 5, 6, 7, 8, 12, 13, 14}) {
            if (code == mapped) {
                EXPECT_EQ(code, diag_rpc_code(status));
            }
        }
    }
    EXPECT_EQ(DIAG_ERR_INTERNAL, diag_rpc_status(-1));
    EXPECT_EQ(DIAG_ERR_INTERNAL, diag_rpc_status(99));
}

} // namespace
} // namespace diag_test
