/* SPDX-License-Identifier: MIT */
/* rpc_fixture - a loop, a server of a few methods, and clients that record what happens. */
#ifndef DIAG_TESTS_UNIT_RPC_RPC_FIXTURE_H
#define DIAG_TESTS_UNIT_RPC_RPC_FIXTURE_H

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "lib/rpc/client.h"
#include "lib/rpc/loop.h"
#include "lib/rpc/message.h"
#include "lib/rpc/server.h"

namespace diag_test {

/* Long enough for a loaded machine; nothing waits for it in a passing test. */
constexpr uint64_t kPatienceMs = 30000;

/* A short folder, since the path of a unix socket is. */
class TemporaryFolder {
  public:
    TemporaryFolder() {
        char name[] = "/tmp/diag_rpc_XXXXXX";

        if (mkdtemp(name) == nullptr)
            abort();
        path_ = name;
    }
    ~TemporaryFolder() {
        for (const std::string &file : files_)
            unlink(file.c_str());
        rmdir(path_.c_str());
    }
    /* Removed at the end. */
    std::string file(const std::string &name) {
        files_.push_back(path_ + "/" + name);
        return files_.back();
    }
    const std::string &path() const { return path_; }

  private:
    std::string path_;
    std::vector<std::string> files_;
};

inline std::string text(diag_bytes bytes) {
    return std::string(reinterpret_cast<const char *>(bytes.data), bytes.size);
}

inline diag_rpc_message *message(const std::string &content) {
    return diag_rpc_message_copy(diag_bytes_make(content.data(), content.size()));
}

inline enum diag_status write(diag_rpc_stream *stream, const std::string &content) {
    diag_rpc_message *each = message(content);
    enum diag_status status = diag_rpc_stream_write(stream, each);

    diag_rpc_message_unref(each);
    return status;
}

/* One end of a stream; records, and calls what the test has set. */
struct StreamEnd {
    diag_rpc_stream *stream = nullptr;
    std::vector<std::string> received;
    bool is_half_closed = false;
    int writable_count = 0;
    int closed_count = 0;
    bool is_closed = false;
    int code = -1;
    std::string status_message;
    std::function<void(StreamEnd &, const std::string &)> on_message;
    std::function<void(StreamEnd &)> on_half_closed;
    std::function<void(StreamEnd &)> on_writable;
    std::function<void(StreamEnd &)> on_closed;

    static const diag_rpc_stream_events *events() {
        static const diag_rpc_stream_events table = {
            [](void *context, diag_rpc_stream *, diag_bytes bytes) {
                auto *end = static_cast<StreamEnd *>(context);
                end->received.push_back(text(bytes));
                if (end->on_message)
                    end->on_message(*end, end->received.back());
            },
            [](void *context, diag_rpc_stream *) {
                auto *end = static_cast<StreamEnd *>(context);
                end->is_half_closed = true;
                if (end->on_half_closed)
                    end->on_half_closed(*end);
            },
            [](void *context, diag_rpc_stream *) {
                auto *end = static_cast<StreamEnd *>(context);
                end->writable_count++;
                if (end->on_writable)
                    end->on_writable(*end);
            },
            [](void *context, diag_rpc_stream *, const diag_rpc_result *result) {
                auto *end = static_cast<StreamEnd *>(context);
                end->code = result->code;
                end->status_message = result->message;
                end->closed_count++;
                end->is_closed = true;
                end->stream = nullptr;
                if (end->on_closed)
                    end->on_closed(*end);
            },
        };
        return &table;
    }
};

/* How a unary call ended. */
struct Reply {
    bool is_done = false;
    int count = 0;
    int code = -1;
    std::string status_message;
    std::string response;

    static void receive(void *context, const diag_rpc_result *result, diag_bytes response) {
        auto *reply = static_cast<Reply *>(context);

        reply->is_done = true;
        reply->count++;
        reply->code = result->code;
        reply->status_message = result->message;
        reply->response = text(response);
    }
};

class RpcTest : public ::testing::Test {
  protected:
    void SetUp() override { ASSERT_EQ(DIAG_OK, diag_loop_new(&loop_, &err_)) << err_.message; }

    void TearDown() override {
        for (diag_rpc_client *client : clients_)
            diag_rpc_client_free(client);
        stop_server(0);
        diag_loop_free(loop_);
    }

    static constexpr size_t kMessageMax = 64 << 10;
    static constexpr size_t kQueueMax = 16;

    std::vector<diag_rpc_method> test_methods() {
        return {
            {"/test.Service/Echo", this, echo, nullptr, nullptr, 0},
            {"/test.Service/Fail", this, fail, nullptr, nullptr, 0},
            {"/test.Service/Nothing", this, nothing, nullptr, nullptr, 0},
            {"/test.Service/Stream", this, nullptr, open, StreamEnd::events(), 10000},
            {"/test.Service/Narrow", this, nullptr, open, StreamEnd::events(), kQueueMax},
            {"/test.Service/Refuse", this, nullptr, refuse, StreamEnd::events(), kQueueMax},
        };
    }

    enum diag_status start_server(const std::string &address, const diag_rpc_tls &tls = {}) {
        diag_rpc_server_options options = {};

        if (methods_.empty())
            methods_ = test_methods();
        options.address = address.c_str();
        options.tls = tls;
        options.methods = methods_.data();
        options.method_count = methods_.size();
        options.max_message_size = kMessageMax;
        return diag_rpc_server_new(loop_, &options, &server_, &err_);
    }

    void stop_server(uint64_t grace_ms) {
        diag_rpc_server_stop_and_free(server_, grace_ms);
        server_ = nullptr;
    }

    diag_rpc_client *connect(const std::string &address, const diag_rpc_tls &tls = {},
                             diag_loop *loop = nullptr) {
        diag_rpc_client_options options = {};
        diag_rpc_client *client = nullptr;

        options.address = address.c_str();
        options.tls = tls;
        options.max_message_size = kMessageMax;
        options.min_backoff_ms = min_backoff_ms_;
        options.max_backoff_ms = 2 * min_backoff_ms_;
        EXPECT_EQ(DIAG_OK,
                  diag_rpc_client_new(loop != nullptr ? loop : loop_, &options, &client, &err_))
            << err_.message;
        if (client != nullptr && loop == nullptr)
            clients_.push_back(client);
        return client;
    }

    Reply call(diag_rpc_client *client, const char *method, const std::string &request,
               uint64_t timeout_ms = kPatienceMs, bool wait_for_ready = false) {
        diag_rpc_message *packed = message(request);
        Reply reply;

        EXPECT_EQ(DIAG_OK, diag_rpc_client_call(client, method, packed, timeout_ms, wait_for_ready,
                                                Reply::receive, &reply, &err_));
        diag_rpc_message_unref(packed);
        EXPECT_FALSE(reply.is_done) << "called from inside";
        EXPECT_TRUE(diag_loop_run_until(loop_, &reply.is_done, kPatienceMs));
        EXPECT_EQ(1, reply.count);
        return reply;
    }

    /* Lives as long as the test's clients. */
    StreamEnd &new_end() { return ends_.emplace_back(); }

    void open_stream(diag_rpc_client *client, StreamEnd &end,
                     const char *method = "/test.Service/Stream", size_t max_queued = kQueueMax) {
        ASSERT_EQ(DIAG_OK, diag_rpc_client_open(client, method, StreamEnd::events(), &end,
                                                max_queued, &end.stream, &err_))
            << err_.message;
    }

    bool run_until(const bool &is_done) {
        return diag_loop_run_until(loop_, &is_done, kPatienceMs);
    }

    bool run_until(const std::function<bool()> &condition) {
        bool is_never = false;

        for (uint64_t waited = 0; !condition() && waited < kPatienceMs; waited++)
            diag_loop_run_until(loop_, &is_never, 1);
        return condition();
    }

    static enum diag_status echo(void *, diag_bytes request, diag_rpc_message **response,
                                 diag_error *) {
        *response = diag_rpc_message_copy(request);
        return DIAG_OK;
    }

    /* The request's first byte is the status to fail with. */
    static enum diag_status fail(void *, diag_bytes request, diag_rpc_message **, diag_error *err) {
        auto status = static_cast<enum diag_status>(request.data[0]);

        if (request.size > 1)
            return status; /* without a message */
        return diag_error_set(err, status, 0, "you asked for %s: \xc3\xa9",
                              diag_status_name(status));
    }

    static enum diag_status nothing(void *, diag_bytes, diag_rpc_message **, diag_error *) {
        return DIAG_OK;
    }

    static void *open(void *service, diag_rpc_stream *stream, diag_error *) {
        auto *test = static_cast<RpcTest *>(service);

        test->server_end_.stream = stream;
        test->is_open_ = true;
        if (test->on_open_)
            test->on_open_();
        return &test->server_end_;
    }

    static void *refuse(void *, diag_rpc_stream *, diag_error *err) {
        diag_error_set(err, DIAG_ERR_PERMISSION, 0, "not you");
        return nullptr;
    }

    diag_loop *loop_ = nullptr;
    std::deque<StreamEnd> ends_;
    diag_rpc_server *server_ = nullptr;
    std::vector<diag_rpc_method> methods_;
    std::vector<diag_rpc_client *> clients_;
    diag_error err_ = {};
    StreamEnd server_end_; /* of the stream that was opened last */
    bool is_open_ = false;
    uint64_t min_backoff_ms_ = 100;
    std::function<void()> on_open_;
    TemporaryFolder folder_;
};

} // namespace diag_test

#endif
