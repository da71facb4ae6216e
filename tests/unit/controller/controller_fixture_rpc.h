/* SPDX-License-Identifier: MIT */
/* controller_fixture_rpc - a controller on a unix socket, and clients of it on the same loop; and
 * one kind of client that stops reading when it is told to, which takes a thread of its own. */
#ifndef DIAG_TESTS_UNIT_CONTROLLER_CONTROLLER_FIXTURE_RPC_H
#define DIAG_TESTS_UNIT_CONTROLLER_CONTROLLER_FIXTURE_RPC_H

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "controller/controller.h"
#include "lib/base/log.h"
#include "lib/rpc/client.h"
#include "tests/unit/controller/controller_fixture.h"

namespace diag_test {

/* Long enough for a loaded machine; nothing waits for it in a passing test. */
constexpr uint64_t kPatienceMs = 60000;

struct Reply {
    int code = -1;
    std::string message;
    std::string response;
};

/* A stream's client end; keeps what came in. */
struct ClientStream {
    diag_rpc_stream *stream = nullptr;
    std::vector<std::string> received;
    int code = -1; /* -1: open */
    std::string message;
    std::function<void(ClientStream *, const std::string &)> on_message;
    std::function<void()> on_event;

    static const diag_rpc_stream_events *events() {
        static const diag_rpc_stream_events table = {
            [](void *context, diag_rpc_stream *, diag_bytes bytes) {
                auto *self = static_cast<ClientStream *>(context);
                self->received.push_back(text_of(bytes));
                if (self->on_message)
                    self->on_message(self, self->received.back());
                self->on_event();
            },
            nullptr,
            nullptr,
            [](void *context, diag_rpc_stream *, const diag_rpc_result *result) {
                auto *self = static_cast<ClientStream *>(context);
                self->code = result->code;
                self->message = result->message;
                self->stream = nullptr;
                self->on_event();
            },
        };
        return &table;
    }

    diag_status write(const std::string &encoded) {
        diag_rpc_message *each = diag_rpc_message_copy(bytes_of(encoded));
        diag_status status = diag_rpc_stream_write(stream, each);
        diag_rpc_message_unref(each);
        return status;
    }
};

class ControllerTest : public ::testing::Test {
  protected:
    void SetUp() override {
        diag_log_init("controller", DIAG_LOG_ERROR);
        ASSERT_EQ(DIAG_OK, diag_loop_new(&loop_, &err_)) << err_.message;
        start();
    }

    void TearDown() override {
        stop_client();
        diag_controller_stop_and_free(controller_, 100);
        diag_loop_free(loop_);
    }

    void start() {
        diag_controller_options options = {};
        options.listen = address_.c_str();
        options.database = database_.c_str();
        options.ttl_ms = ttl_ms_;
        ASSERT_EQ(DIAG_OK, diag_controller_new(loop_, &options, &controller_, &err_))
            << err_.message;
        client_ = connect(loop_);
    }

    void stop_client() {
        diag_rpc_client_free(client_);
        client_ = nullptr;
        streams_.clear();
    }

    void restart() {
        stop_client();
        diag_controller_stop_and_free(controller_, 100);
        controller_ = nullptr;
        start();
    }

    diag_rpc_client *connect(diag_loop *loop) {
        diag_rpc_client_options options = {};
        diag_rpc_client *client = nullptr;
        options.address = address_.c_str();
        options.max_message_size = 16u << 20;
        options.min_backoff_ms = 10;
        options.max_backoff_ms = 100;
        EXPECT_EQ(DIAG_OK, diag_rpc_client_new(loop, &options, &client, &err_)) << err_.message;
        return client;
    }

    /* Runs the loop until `condition` holds, which is looked at after each event. */
    bool wait(std::function<bool()> condition) {
        condition_ = std::move(condition);
        is_done_ = condition_();
        bool result = is_done_ || diag_loop_run_until(loop_, &is_done_, kPatienceMs);
        condition_ = nullptr;
        return result;
    }

    /* For diag_loop_post. */
    static void look_at(void *test) { static_cast<ControllerTest *>(test)->look(); }

    void look() {
        if (condition_ && condition_())
            is_done_ = true;
    }

    Reply call(const std::string &method, const std::string &request) {
        struct Pending {
            Reply reply;
            ControllerTest *test;
        } pending{{}, this};
        diag_rpc_message *message = diag_rpc_message_copy(bytes_of(request));

        EXPECT_EQ(DIAG_OK,
                  diag_rpc_client_call(
                      client_, ("/diagnose.v1." + method).c_str(), message, kPatienceMs, true,
                      [](void *context, const diag_rpc_result *result, diag_bytes bytes) {
                          auto *self = static_cast<Pending *>(context);
                          self->reply = {result->code, result->message, text_of(bytes)};
                          self->test->look();
                      },
                      &pending, &err_));
        diag_rpc_message_unref(message);
        EXPECT_TRUE(wait([&] { return pending.reply.code != -1; }));
        return pending.reply;
    }

    ClientStream *open(const std::string &method, const std::vector<std::string> &requests = {}) {
        streams_.push_back(std::make_unique<ClientStream>());
        ClientStream *end = streams_.back().get();

        end->on_event = [this] { look(); };
        EXPECT_EQ(DIAG_OK,
                  diag_rpc_client_open(client_, ("/diagnose.v1." + method).c_str(),
                                       ClientStream::events(), end, 1024, &end->stream, &err_));
        for (const std::string &request : requests)
            EXPECT_EQ(DIAG_OK, end->write(request));
        return end;
    }

    uint64_t apply(const std::string &id, const SpecOptions &options = {}) {
        Reply reply = call("Specs/Apply", field(1, make_spec(id, options)));
        EXPECT_EQ(0, reply.code) << reply.message;
        Unpacked<Diagnose__V1__ApplyResponse> response(&diagnose__v1__apply_response__descriptor,
                                                       reply.response);
        return response->spec->revision;
    }

    /* GetRequest and DeleteRequest. */
    static std::string id_request(const std::string &id) { return field(1, id); }

    Folder folder_;
    std::string address_ = "unix:" + folder_.file("s");
    std::string database_ = folder_.file("db");
    uint64_t ttl_ms_ = 600000;
    diag_loop *loop_ = nullptr;
    diag_controller *controller_ = nullptr;
    diag_rpc_client *client_ = nullptr;
    diag_error err_ = {};

  private:
    std::vector<std::unique_ptr<ClientStream>> streams_;
    std::function<bool()> condition_;
    bool is_done_ = false;
};

/* A client on a thread of its own, which takes no further message while its gate is shut: its
 * transport fills up as that of a peer which does not read. */
class GatedClient {
  public:
    /* `look(test)` is posted to `owner` after each event. */
    GatedClient(diag_loop *owner, diag_loop_fn *look, void *test)
        : owner_(owner), look_(look), test_(test) {
        EXPECT_EQ(DIAG_OK, diag_loop_new(&loop_, nullptr));
    }

    ~GatedClient() {
        open_gate();
        diag_loop_stop(loop_);
        if (thread_.joinable())
            thread_.join();
        diag_rpc_client_free(client_);
        diag_loop_free(loop_);
    }

    diag_loop *loop() { return loop_; }

    /* Takes ownership of `client`. */
    void run(diag_rpc_client *client, const char *method, const std::string &request) {
        client_ = client;
        end_.on_message = [this](ClientStream *, const std::string &encoded) {
            std::lock_guard<std::mutex> lock(mutex_);
            received_.push_back(encoded);
            count_++;
        };
        end_.on_event = [this] { on_event(); };
        ASSERT_EQ(DIAG_OK, diag_rpc_client_open(client_, method, ClientStream::events(), &end_, 16,
                                                &end_.stream, nullptr));
        ASSERT_EQ(DIAG_OK, end_.write(request));
        thread_ = std::thread([this] { diag_loop_run(loop_); });
    }

    void open_gate() {
        std::lock_guard<std::mutex> lock(mutex_);
        is_open_ = true;
        changed_.notify_all();
    }

    /* What came in since the last call. */
    std::vector<std::string> take() {
        std::lock_guard<std::mutex> lock(mutex_);
        return std::move(received_);
    }

    /* Messages in all. */
    size_t count() {
        std::lock_guard<std::mutex> lock(mutex_);
        return count_;
    }

  private:
    void on_event() {
        std::unique_lock<std::mutex> lock(mutex_);
        EXPECT_EQ(DIAG_OK, diag_loop_post(owner_, look_, test_));
        changed_.wait(lock, [this] { return is_open_; });
    }

    diag_loop *owner_;
    diag_loop_fn *look_;
    void *test_;
    diag_loop *loop_ = nullptr;
    diag_rpc_client *client_ = nullptr;
    ClientStream end_;
    std::thread thread_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> received_;
    size_t count_ = 0;
    bool is_open_ = false;
};

} // namespace diag_test

#endif
