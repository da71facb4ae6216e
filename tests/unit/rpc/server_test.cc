/* SPDX-License-Identifier: MIT */
#include "lib/rpc/server.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base/clock.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace diag_test {
namespace {

class ServerTest : public RpcTest {
  protected:
    std::string port_address() {
        return "127.0.0.1:" + std::to_string(diag_rpc_server_port(server_));
    }

    /* A second server, at an address that should be refused. */
    enum diag_status start_another(const std::string &address) {
        diag_rpc_server_options options = {};
        diag_rpc_server *another = nullptr;

        options.address = address.c_str();
        options.max_message_size = kMessageMax;
        enum diag_status status = diag_rpc_server_new(loop_, &options, &another, &err_);
        EXPECT_EQ(status == DIAG_OK, another != nullptr);
        diag_rpc_server_stop_and_free(another, 0);
        return status;
    }
};

/* What a killed server leaves behind, or a live one if `is_listening`; returns the socket. */
int bind_unix(const std::string &path, bool is_listening, int kind = SOCK_STREAM) {
    sockaddr_un name = {};
    int fd = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0);

    name.sun_family = AF_UNIX;
    strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
    EXPECT_EQ(0, bind(fd, reinterpret_cast<sockaddr *>(&name), sizeof name));
    if (is_listening) {
        EXPECT_EQ(0, listen(fd, 1));
    }
    return fd;
}

bool exists(const std::string &path) {
    struct stat file;

    return lstat(path.c_str(), &file) == 0;
}

TEST_F(ServerTest, RemovesItsSocketAtTheEnd) {
    std::string path = folder_.file("with space%20");

    ASSERT_EQ(DIAG_OK, start_server("unix:" + path)) << err_.message;
    EXPECT_TRUE(exists(path));
    EXPECT_EQ(0, diag_rpc_server_port(server_));
    EXPECT_EQ("x", call(connect("unix:" + path), "/test.Service/Echo", "x").response);
    stop_server(kPatienceMs);
    EXPECT_FALSE(exists(path));
}

TEST_F(ServerTest, ReplacesAStaleSocket) {
    std::string path = folder_.file("socket");

    close(bind_unix(path, true));
    ASSERT_TRUE(exists(path));
    ASSERT_EQ(DIAG_OK, start_server("unix:" + path)) << err_.message;
    EXPECT_EQ("x", call(connect("unix:" + path), "/test.Service/Echo", "x").response);
}

TEST_F(ServerTest, LeavesTheSocketOfALiveServer) {
    std::string path = folder_.file("socket");
    int fd = bind_unix(path, true);

    EXPECT_EQ(DIAG_ERR_BUSY, start_server("unix:" + path));
    EXPECT_EQ("cannot listen on unix:" + path + ": another process serves it",
              std::string(err_.message));
    EXPECT_TRUE(exists(path));
    close(fd);
}

TEST_F(ServerTest, LeavesASocketOfAnotherKind) {
    std::string path = folder_.file("socket");
    int fd = bind_unix(path, true, SOCK_SEQPACKET);

    EXPECT_EQ(DIAG_ERR_IO, start_server("unix:" + path));
    EXPECT_EQ("cannot listen on unix:" + path + ": " + strerror(EPROTOTYPE),
              std::string(err_.message));
    EXPECT_TRUE(exists(path));
    close(fd);
}

TEST_F(ServerTest, TwoServersOnOneSocket) {
    std::string address = "unix:" + folder_.file("socket");

    ASSERT_EQ(DIAG_OK, start_server(address));
    EXPECT_EQ(DIAG_ERR_BUSY, start_another(address));
    EXPECT_EQ("x", call(connect(address), "/test.Service/Echo", "x").response);
}

TEST_F(ServerTest, DoesNotReplaceAnOrdinaryFile) {
    std::string path = folder_.file("file");

    fclose(fopen(path.c_str(), "w"));
    EXPECT_EQ(DIAG_ERR_EXISTS, start_server("unix:" + path));
    EXPECT_EQ("cannot listen on unix:" + path + ": not a socket", std::string(err_.message));
    EXPECT_TRUE(exists(path));
}

TEST_F(ServerTest, BindingFailuresNameAddressAndReason) {
    ASSERT_EQ(DIAG_OK, start_server("127.0.0.1:0"));
    const struct {
        std::string address;
        enum diag_status status;
        const char *reason;
    } cases[] = {
        {port_address(), DIAG_ERR_BUSY, strerror(EADDRINUSE)},
        {"unix:/nonexistent/socket", DIAG_ERR_IO, strerror(ENOENT)},
        {"nowhere", DIAG_ERR_INVALID, "has no port"},
        {"0.0.0.0:0", DIAG_ERR_INVALID, "refusing plaintext"},
    };

    for (const auto &each : cases) {
        EXPECT_EQ(each.status, start_another(each.address)) << err_.message;
        EXPECT_NE(nullptr, strstr(err_.message, each.address.c_str())) << err_.message;
        EXPECT_NE(nullptr, strstr(err_.message, each.reason)) << err_.message;
    }
}

TEST_F(ServerTest, AGracefulStopWaitsForOpenStreams) {
    StreamEnd &end = new_end();

    ASSERT_EQ(DIAG_OK, start_server("127.0.0.1:0"));
    open_stream(connect(port_address()), end);
    ASSERT_EQ(DIAG_OK, write(end.stream, "x"));
    ASSERT_TRUE(run_until(is_open_));
    /* ends only once the stop has begun */
    diag_loop_timer timer = {};
    diag_loop_timer_start(
        loop_, &timer, 20,
        [](void *context) {
            auto *server_end = static_cast<StreamEnd *>(context);
            ASSERT_EQ(DIAG_OK, write(server_end->stream, "bye"));
            diag_rpc_stream_finish(server_end->stream, DIAG_OK, "done");
        },
        &server_end_);
    stop_server(kPatienceMs);
    EXPECT_EQ(0, server_end_.code);
    ASSERT_TRUE(run_until(end.is_closed));
    EXPECT_EQ(0, end.code) << end.status_message;
    EXPECT_EQ(std::vector<std::string>{"bye"}, end.received);
}

TEST_F(ServerTest, AGracefulStopCancelsWhatDoesNotEnd) {
    constexpr uint64_t kGraceMs = 100;
    StreamEnd &end = new_end();
    uint64_t start_ns;

    ASSERT_EQ(DIAG_OK, start_server("127.0.0.1:0"));
    open_stream(connect(port_address()), end);
    ASSERT_TRUE(run_until(is_open_));
    start_ns = diag_clock_monotonic_ns();
    stop_server(kGraceMs);
    uint64_t took_ms = (diag_clock_monotonic_ns() - start_ns) / DIAG_NS_PER_MS;
    EXPECT_GE(took_ms, kGraceMs);
    EXPECT_LT(took_ms, kPatienceMs);
    EXPECT_EQ(1, server_end_.closed_count);
    EXPECT_EQ(1, server_end_.code);
    ASSERT_TRUE(run_until(end.is_closed));
    EXPECT_NE(0, end.code);
}

TEST_F(ServerTest, AStopDoesNotWaitForIdleConnections) {
    ASSERT_EQ(DIAG_OK, start_server("127.0.0.1:0"));
    EXPECT_EQ(0, call(connect(port_address()), "/test.Service/Echo", "x").code);
    uint64_t start_ns = diag_clock_monotonic_ns();
    stop_server(kPatienceMs);
    EXPECT_LT(diag_clock_monotonic_ns() - start_ns, kPatienceMs * DIAG_NS_PER_MS);
}

TEST_F(ServerTest, WithoutAServerCallsAreUnavailable) {
    diag_rpc_client *client = connect("unix:" + folder_.file("none"));
    StreamEnd &end = new_end();

    EXPECT_EQ(14, call(client, "/test.Service/Echo", "x").code);
    open_stream(client, end);
    ASSERT_TRUE(run_until(end.is_closed));
    EXPECT_EQ(14, end.code);
    EXPECT_EQ(4, call(client, "/test.Service/Echo", "x", 50, true).code) << "waits for ready";
}

TEST_F(ServerTest, ClientsReconnectToAServerThatComesBack) {
    std::string address = "unix:" + folder_.file("socket");
    StreamEnd &end = new_end();

    ASSERT_EQ(DIAG_OK, start_server(address));
    diag_rpc_client *client = connect(address);
    open_stream(client, end);
    ASSERT_TRUE(run_until(is_open_));
    stop_server(0);
    ASSERT_TRUE(run_until(end.is_closed));
    EXPECT_EQ(14, end.code) << end.status_message;
    EXPECT_EQ(14, call(client, "/test.Service/Echo", "x").code);

    ASSERT_EQ(DIAG_OK, start_server(address)) << err_.message;
    EXPECT_EQ("x", call(client, "/test.Service/Echo", "x", kPatienceMs, true).response);
    StreamEnd &again = new_end();
    open_stream(client, again);
    ASSERT_EQ(DIAG_OK, write(again.stream, "hello"));
    ASSERT_TRUE(run_until([&] { return !server_end_.received.empty(); }));
}

TEST_F(ServerTest, ResettingTheBackoffConnectsAtOnce) {
    std::string address = "unix:" + folder_.file("socket");
    StreamEnd &end = new_end();

    min_backoff_ms_ = 1000 * kPatienceMs;
    diag_rpc_client *client = connect(address);
    EXPECT_EQ(14, call(client, "/test.Service/Echo", "x").code);
    ASSERT_EQ(DIAG_OK, start_server(address)) << err_.message;
    open_stream(client, end); /* still fails for the old reason */
    end.on_closed = [&](StreamEnd &) { diag_rpc_client_reset_backoff(client); };
    ASSERT_TRUE(run_until(end.is_closed));
    StreamEnd &again = new_end();
    open_stream(client, again);
    ASSERT_TRUE(run_until([&] { return is_open_ || again.is_closed; }));
    EXPECT_TRUE(is_open_) << again.code << again.status_message;
}

} // namespace
} // namespace diag_test
