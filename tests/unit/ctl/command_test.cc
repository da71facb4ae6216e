/* SPDX-License-Identifier: MIT */
/* The commands against a controller that the test plays. */
#include <algorithm>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <mutex>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#define delete delete_ /* a method's name in the generated header */
#include "diagnose/v1/specs_service.pb-c.h"
#undef delete
#include "ctl/command.h"
#include "ctl/help.h"
#include "diagnose/v1/events_service.pb-c.h"
#include "diagnose/v1/fleet_service.pb-c.h"
#include "lib/base/version.h"
#include "lib/rpc/server.h"

namespace {

constexpr uint64_t kHour = UINT64_C(3600) * 1000000000;

/* What the fake controller is told and does. */
struct Fake {
    bool is_silent = false;    /* Subscribe: never says that it has started */
    bool sends_signal = false; /* Subscribe: a SIGINT after the first event */
    enum diag_status subscribe_end = DIAG_OK;
    bool ends_subscription = false;

    void note(const std::string &call) {
        std::lock_guard<std::mutex> guard(mutex_);
        calls_.push_back(call);
    }
    std::vector<std::string> calls() {
        std::lock_guard<std::mutex> guard(mutex_);
        return calls_;
    }

  private:
    std::mutex mutex_; /* the server has a thread of its own */
    std::vector<std::string> calls_;
};

char *text(const char *value) {
    return const_cast<char *>(value);
}

/* Fills a spec whose storage is the caller's. */
void fill_spec(Diagnose__V1__Spec *spec, Diagnose__V1__Instrument *instrument, const char *id) {
    diagnose__v1__spec__init(spec);
    diagnose__v1__instrument__init(instrument);
    instrument->type = text("log");
    instrument->value = text("elapsed");
    instrument->event = text("return");
    spec->id = text(id);
    spec->target = text("shop.cart.Cart.total");
    spec->instrument = instrument;
    spec->lifespan_ms = 600000;
    spec->revision = 7;
    spec->created_unix_nanos = spec->modified_unix_nanos = UINT64_C(1772366400000000000);
    spec->expires_unix_nanos = (UINT64_C(1) << 62) + kHour;
}

void fill_summary(Diagnose__V1__SpecSummary *summary, Diagnose__V1__Spec *spec) {
    diagnose__v1__spec_summary__init(summary);
    summary->spec = spec;
    summary->matched = 12;
    summary->armed = 11;
    summary->failed = 1;
    summary->hits = 345;
    summary->errors = 2;
    summary->skipped = 6;
}

enum diag_status apply(void *service, struct diag_bytes request, struct diag_rpc_message **response,
                       struct diag_error *err) {
    auto *fake = static_cast<Fake *>(service);
    auto *unpacked = reinterpret_cast<Diagnose__V1__ApplyRequest *>(
        diag_rpc_unpack(&diagnose__v1__apply_request__descriptor, request));
    std::string id = unpacked->spec->id;
    std::string event = unpacked->spec->instrument->event;
    fake->note("apply " + id);
    diagnose__v1__apply_request__free_unpacked(unpacked, nullptr);
    if (event == "retrun")
        return diag_error_set(
            err, DIAG_ERR_INVALID, 0,
            "instrument.event: \"retrun\" is not one of: call, return, end, line:N");
    if (id == "full")
        return diag_error_set(err, DIAG_ERR_FULL, 0, "there are too many specs");
    Diagnose__V1__Spec spec;
    Diagnose__V1__Instrument instrument;
    fill_spec(&spec, &instrument, id.c_str());
    Diagnose__V1__ApplyResponse answer = DIAGNOSE__V1__APPLY_RESPONSE__INIT;
    answer.spec = &spec;
    answer.created = id == "new";
    *response = diag_rpc_message_pack(&answer.base);
    return DIAG_OK;
}

enum diag_status list(void *, struct diag_bytes, struct diag_rpc_message **response,
                      struct diag_error *) {
    Diagnose__V1__Spec spec;
    Diagnose__V1__Instrument instrument;
    Diagnose__V1__SpecSummary summary;
    Diagnose__V1__SpecSummary *summaries[] = {&summary};
    fill_spec(&spec, &instrument, "cart-total");
    fill_summary(&summary, &spec);
    summary.expired = true;
    Diagnose__V1__ListResponse answer = DIAGNOSE__V1__LIST_RESPONSE__INIT;
    answer.specs = summaries;
    answer.n_specs = 1;
    *response = diag_rpc_message_pack(&answer.base);
    return DIAG_OK;
}

enum diag_status get(void *, struct diag_bytes request, struct diag_rpc_message **response,
                     struct diag_error *err) {
    auto *unpacked = reinterpret_cast<Diagnose__V1__GetRequest *>(
        diag_rpc_unpack(&diagnose__v1__get_request__descriptor, request));
    std::string id = unpacked->id;
    diagnose__v1__get_request__free_unpacked(unpacked, nullptr);
    if (id != "cart-total")
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0, "no such spec");
    Diagnose__V1__Spec spec;
    Diagnose__V1__Instrument instrument;
    Diagnose__V1__SpecSummary summary;
    fill_spec(&spec, &instrument, "cart-total");
    fill_summary(&summary, &spec);
    Diagnose__V1__ProcessInfo info = DIAGNOSE__V1__PROCESS_INFO__INIT;
    info.pid = 4711;
    Diagnose__V1__SpecStatus status = DIAGNOSE__V1__SPEC_STATUS__INIT;
    status.state = DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_FAILED;
    status.message = text("no\x1b[31m such name");
    Diagnose__V1__SpecProcess process = DIAGNOSE__V1__SPEC_PROCESS__INIT;
    process.host = text("web-1");
    process.process = &info;
    process.status = &status;
    Diagnose__V1__SkipCount skip = DIAGNOSE__V1__SKIP_COUNT__INIT;
    skip.cause = DIAGNOSE__V1__SKIP_CAUSE__SKIP_CAUSE_IN_FLIGHT;
    skip.count = 3;
    Diagnose__V1__SkipCount *skips[] = {&skip};
    Diagnose__V1__SpecStatus armed = DIAGNOSE__V1__SPEC_STATUS__INIT;
    armed.state = DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED;
    armed.mechanism = text("type-swap");
    armed.excluded = text("calls from C");
    armed.functions = 2;
    armed.codes = 1;
    armed.pure = true;
    armed.hits = 9;
    armed.skips = skips;
    armed.n_skips = 1;
    Diagnose__V1__SpecProcess other = process;
    other.status = &armed;
    Diagnose__V1__SpecProcess *processes[] = {&process, &other};
    Diagnose__V1__GetResponse answer = DIAGNOSE__V1__GET_RESPONSE__INIT;
    answer.summary = &summary;
    answer.processes = processes;
    answer.n_processes = 2;
    *response = diag_rpc_message_pack(&answer.base);
    return DIAG_OK;
}

enum diag_status remove_spec(void *service, struct diag_bytes request,
                             struct diag_rpc_message **response, struct diag_error *err) {
    auto *unpacked = reinterpret_cast<Diagnose__V1__DeleteRequest *>(
        diag_rpc_unpack(&diagnose__v1__delete_request__descriptor, request));
    std::string id = unpacked->id;
    static_cast<Fake *>(service)->note("delete " + id);
    diagnose__v1__delete_request__free_unpacked(unpacked, nullptr);
    if (id == "gone")
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0, "no such spec");
    Diagnose__V1__DeleteResponse answer = DIAGNOSE__V1__DELETE_RESPONSE__INIT;
    answer.revision = 8;
    *response = diag_rpc_message_pack(&answer.base);
    return DIAG_OK;
}

enum diag_status processes(void *, struct diag_bytes, struct diag_rpc_message **response,
                           struct diag_error *) {
    Diagnose__V1__ProcessInfo info = DIAGNOSE__V1__PROCESS_INFO__INIT;
    info.pid = 4711;
    info.python_version = text("3.11.2");
    info.container = text("web");
    info.service = text("the-shop");
    info.command = text("gunicorn shop.app");
    Diagnose__V1__SpecStatus armed = DIAGNOSE__V1__SPEC_STATUS__INIT;
    armed.state = DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED;
    Diagnose__V1__SpecStatus pending = DIAGNOSE__V1__SPEC_STATUS__INIT;
    Diagnose__V1__SpecStatus *statuses[] = {&armed, &pending};
    Diagnose__V1__ProcessStatus status = DIAGNOSE__V1__PROCESS_STATUS__INIT;
    status.process = &info;
    status.statuses = statuses;
    status.n_statuses = 2;
    status.lost_events = 3;
    Diagnose__V1__FleetProcess process = DIAGNOSE__V1__FLEET_PROCESS__INIT;
    process.host = text("web-1");
    process.sidecar_uid = text("0123456789abcdef0123456789abcdef");
    process.status = &status;
    Diagnose__V1__ProcessStatus no_room = DIAGNOSE__V1__PROCESS_STATUS__INIT;
    no_room.process = &info;
    no_room.refused = text("no room");
    Diagnose__V1__FleetProcess refused = process;
    refused.status = &no_room;
    Diagnose__V1__FleetProcess *all[] = {&process, &refused};
    Diagnose__V1__ListProcessesResponse answer = DIAGNOSE__V1__LIST_PROCESSES_RESPONSE__INIT;
    answer.processes = all;
    answer.n_processes = 2;
    *response = diag_rpc_message_pack(&answer.base);
    return DIAG_OK;
}

void send_events(struct diag_rpc_stream *stream) {
    Diagnose__V1__Value value = DIAGNOSE__V1__VALUE__INIT;
    value.kind_case = DIAGNOSE__V1__VALUE__KIND_INT;
    value.int_ = 5;
    Diagnose__V1__Event event = DIAGNOSE__V1__EVENT__INIT;
    event.spec_id = text("cart-total");
    event.kind = DIAGNOSE__V1__EVENT__KIND__KIND_HIT;
    event.value = &value;
    Diagnose__V1__Event *events[] = {&event, &event, &event};
    Diagnose__V1__EventBatch batch = DIAGNOSE__V1__EVENT_BATCH__INIT;
    batch.pid = 4711;
    batch.events = events;
    batch.n_events = 3;
    batch.lost = 4;
    Diagnose__V1__EventBatch *batches[] = {&batch};
    Diagnose__V1__SubscribeResponse answer = DIAGNOSE__V1__SUBSCRIBE_RESPONSE__INIT;
    answer.started = 1;
    answer.lost = 9;
    answer.batches = batches;
    answer.n_batches = 1;
    struct diag_rpc_message *message = diag_rpc_message_pack(&answer.base);
    EXPECT_EQ(diag_rpc_stream_write(stream, message), DIAG_OK);
    diag_rpc_message_unref(message);
}

void *open_subscription(void *service, struct diag_rpc_stream *, struct diag_error *) {
    return service;
}

void on_subscribe(void *context, struct diag_rpc_stream *stream, struct diag_bytes request) {
    auto *fake = static_cast<Fake *>(context);
    auto *unpacked = reinterpret_cast<Diagnose__V1__SubscribeRequest *>(
        diag_rpc_unpack(&diagnose__v1__subscribe_request__descriptor, request));
    for (size_t i = 0; i < unpacked->n_spec_ids; i++)
        fake->note(std::string("subscribe ") + unpacked->spec_ids[i]);
    diagnose__v1__subscribe_request__free_unpacked(unpacked, nullptr);
    if (fake->is_silent)
        return;
    send_events(stream);
    if (fake->sends_signal)
        kill(getpid(), SIGINT);
    if (fake->ends_subscription)
        diag_rpc_stream_finish(stream, fake->subscribe_end, "not for you");
}

void ignore_half_close(void *, struct diag_rpc_stream *) {}
void ignore_close(void *, struct diag_rpc_stream *, const struct diag_rpc_result *) {}

const struct diag_rpc_stream_events kSubscription = {on_subscribe, ignore_half_close, nullptr,
                                                     ignore_close};

class Command : public testing::Test {
  protected:
    void SetUp() override {
        /* the commands block them too; no thread of this process shall take them */
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &signals, nullptr);
        ASSERT_NE(mkdtemp(folder_), nullptr);
        address_ = std::string("unix:") + folder_ + "/s";
        manifest_ = std::string(folder_) + "/m.yaml";
        options_.server = address_.c_str();
        options_.timeout_s = 20;
    }
    void TearDown() override {
        stop();
        unlink(manifest_.c_str());
        rmdir(folder_);
    }
    void serve() {
        struct diag_error err = {};
        methods_ = {
            {"/diagnose.v1.Specs/Apply", &fake_, apply, nullptr, nullptr, 0},
            {"/diagnose.v1.Specs/List", &fake_, list, nullptr, nullptr, 0},
            {"/diagnose.v1.Specs/Get", &fake_, get, nullptr, nullptr, 0},
            {"/diagnose.v1.Specs/Delete", &fake_, remove_spec, nullptr, nullptr, 0},
            {"/diagnose.v1.Fleet/ListProcesses", &fake_, processes, nullptr, nullptr, 0},
            {"/diagnose.v1.Events/Subscribe", &fake_, nullptr, open_subscription, &kSubscription,
             8},
        };
        struct diag_rpc_server_options server = {};
        server.address = address_.c_str();
        server.methods = methods_.data();
        server.method_count = methods_.size();
        server.max_message_size = 1 << 20;
        ASSERT_EQ(diag_loop_new(&loop_, &err), DIAG_OK) << err.message;
        ASSERT_EQ(diag_rpc_server_new(loop_, &server, &server_, &err), DIAG_OK) << err.message;
        thread_ = std::thread([this] { diag_loop_run(loop_); });
    }
    void stop() {
        if (loop_ == nullptr)
            return;
        diag_loop_stop(loop_);
        thread_.join();
        diag_rpc_server_stop_and_free(server_, 0);
        diag_loop_free(loop_);
        loop_ = nullptr;
    }
    void write_manifest(const std::string &content) {
        int fd = open(manifest_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ASSERT_EQ(write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
        close(fd);
        options_.file = manifest_.c_str();
    }
    static std::string spec(const std::string &id, const std::string &event = "return") {
        return "---\nid: " + id + "\ntarget: m.f\nlifespan: 1\ninstrument:\n  type: log\n" +
               "  value: result\n  event: " + event + "\n";
    }
    int run(enum diag_exit (*command)(const struct diag_options *),
            std::vector<const char *> words = {}) {
        options_.words = const_cast<char **>(words.data());
        options_.word_count = words.size();
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        int code = command(&options_);
        fflush(stdout);
        out_ = testing::internal::GetCapturedStdout();
        err_ = testing::internal::GetCapturedStderr();
        return code;
    }
    Fake fake_;
    struct diag_options options_ = {};
    std::string manifest_, out_, err_, address_;

  private:
    char folder_[32] = "/tmp/ctl.XXXXXX";
    std::vector<struct diag_rpc_method> methods_;
    struct diag_loop *loop_ = nullptr;
    struct diag_rpc_server *server_ = nullptr;
    std::thread thread_;
};

TEST_F(Command, AppliesInOrder) {
    serve();
    write_manifest(spec("new") + spec("old"));
    EXPECT_EQ(run(diag_command_apply), 0) << err_;
    EXPECT_EQ(out_, "spec new created\nspec old applied\n");
    EXPECT_EQ(fake_.calls(), (std::vector<std::string>{"apply new", "apply old"}));
}

TEST_F(Command, ApplySendsNothingOfABadManifest) {
    serve();
    write_manifest(spec("good") + spec("bad") + "lifespan: 2\n");
    EXPECT_EQ(run(diag_command_apply), 2);
    EXPECT_EQ(err_, "diagnosectl: " + manifest_ + ":17: lifespan: given twice\n");
    EXPECT_TRUE(fake_.calls().empty());
}

TEST_F(Command, ApplyShowsWhereTheServersObjectionIs) {
    serve();
    write_manifest(spec("a") + spec("b", "retrun") + spec("c"));
    EXPECT_EQ(run(diag_command_apply), 1);
    EXPECT_EQ(err_,
              "diagnosectl: " + manifest_ +
                  ":16: instrument.event: \"retrun\" is not one of: call, return, end, line:N\n" +
                  "diagnosectl: " + manifest_ + ": the 1 spec after it was not applied\n");
    write_manifest(spec("full"));
    EXPECT_EQ(run(diag_command_apply), 1);
    EXPECT_EQ(err_, "diagnosectl: " + manifest_ + ":2: full: there are too many specs\n");
}

TEST_F(Command, SaysThatTheServerCannotBeReached) {
    write_manifest(spec("a"));
    EXPECT_EQ(run(diag_command_apply), 4);
    EXPECT_NE(err_.find("cannot reach the server at " + address_), std::string::npos) << err_;
    EXPECT_EQ(run(diag_command_get_specs), 4);
    EXPECT_EQ(run(diag_command_events), 4);
    EXPECT_EQ(run(diag_command_delete, {}), 4);
}

TEST_F(Command, GetsSpecs) {
    serve();
    EXPECT_EQ(run(diag_command_get_specs), 0);
    EXPECT_EQ(out_,
              "ID           TARGET                 EVENT    STATE     ARMED   HITS   ERRORS   "
              "EXPIRES\n"
              "cart-total   shop.cart.Cart.total   return   Expired   11/12   345    2        "
              "expired\n");
    EXPECT_EQ(run(diag_command_get_specs, {"cart-total", "nope"}), 3);
    EXPECT_NE(out_.find("Failed"), std::string::npos);
    EXPECT_EQ(err_, "diagnosectl: nope: no such spec\n");
}

TEST_F(Command, WhatGetPrintsCanBeApplied) {
    serve();
    for (enum diag_output output : {DIAG_OUTPUT_JSON, DIAG_OUTPUT_YAML}) {
        options_.output = output;
        ASSERT_EQ(run(diag_command_get_specs), 0);
        write_manifest(out_);
        EXPECT_EQ(run(diag_command_apply), 0) << err_;
        options_.file = nullptr;
    }
    EXPECT_EQ(fake_.calls(), (std::vector<std::string>{"apply cart-total", "apply cart-total"}));
}

TEST_F(Command, DescribesASpec) {
    serve();
    EXPECT_EQ(run(diag_command_describe, {"cart-total"}), 0);
    EXPECT_NE(out_.find("Armed:       11/12 (0 pending, 1 failed)"), std::string::npos) << out_;
    EXPECT_NE(out_.find("Hits:        345 (2 errors, 0 dropped, 6 skipped)"), std::string::npos)
        << out_;
    EXPECT_NE(out_.find("  HOST    PID    CONTAINER   STATE    MECHANISM   FUNCTIONS   CODES   "
                        "PURE   HITS   ERRORS   "
                        "DROPPED   SKIPPED   MESSAGE\n"
                        "  web-1   4711   -           Failed   -           0           0       -   "
                        "   0      0        "
                        "0         0         no\\x1b[31m such name\n"
                        "  web-1   4711   -           Armed    type-swap   2           1       yes "
                        "   9      0        "
                        "0         3         skipped: 3 in flight; not seen: calls from C\n"),
              std::string::npos)
        << out_;
    EXPECT_EQ(run(diag_command_describe, {"nope"}), 3);
    EXPECT_EQ(run(diag_command_describe), 2);
}

TEST_F(Command, DescribesASpecForPrograms) {
    serve();
    options_.output = DIAG_OUTPUT_JSON;
    EXPECT_EQ(run(diag_command_describe, {"cart-total"}), 0);
    for (const char *shown : {"\"skipped\": 6", "\"mechanism\": \"type-swap\"",
                              "\"excluded\": \"calls from C\"", "\"functions\": 2", "\"codes\": 1",
                              "\"pure\": true", "\"cause\": \"in flight\"", "\"count\": 3"})
        EXPECT_NE(out_.find(shown), std::string::npos) << shown << "\n" << out_;
}

TEST_F(Command, TellsItsVersion) {
    EXPECT_EQ(run(diag_command_version), 0);
    EXPECT_EQ(out_, "diagnosectl " DIAG_VERSION "\n");
    options_.output = DIAG_OUTPUT_JSON;
    EXPECT_EQ(run(diag_command_version), 0);
    EXPECT_EQ(out_, "{\n  \"version\": \"" DIAG_VERSION "\"\n}\n");
    options_.output = DIAG_OUTPUT_YAML;
    EXPECT_EQ(run(diag_command_version), 0);
    EXPECT_EQ(out_, "version: '" DIAG_VERSION "'\n");
    EXPECT_EQ(run(diag_command_version, {"now"}), 2);
}

TEST_F(Command, GetsProcesses) {
    serve();
    EXPECT_EQ(run(diag_command_get_processes), 0);
    EXPECT_EQ(out_,
              "HOST    PID    CONTAINER   PYTHON   SPECS   LOST   SIDECAR    STATE              "
              "COMMAND\n"
              "web-1   4711   web         3.11.2   1/2     3      01234567   Connected          "
              "gunicorn shop.app\n"
              "web-1   4711   web         3.11.2   0/0     0      01234567   Refused: no room   "
              "gunicorn shop.app\n");
}

TEST_F(Command, GetsProcessesForPrograms) {
    serve();
    options_.output = DIAG_OUTPUT_JSON;
    EXPECT_EQ(run(diag_command_get_processes), 0);
    for (const char *shown : {"\"container\": \"web\"", "\"service\": \"the-shop\""})
        EXPECT_NE(out_.find(shown), std::string::npos) << shown << "\n" << out_;
}

TEST_F(Command, DeletesTheOthersToo) {
    serve();
    EXPECT_EQ(run(diag_command_delete, {"a", "gone", "b"}), 3);
    EXPECT_EQ(out_, "spec a deleted\nspec b deleted\n");
    EXPECT_EQ(err_, "diagnosectl: gone: no such spec\n");
    write_manifest(spec("c"));
    EXPECT_EQ(run(diag_command_delete), 0);
    EXPECT_EQ(fake_.calls().back(), "delete c");
    EXPECT_EQ(run(diag_command_delete, {"a"}), 2); /* and a file */
}

TEST_F(Command, WatchesEventsUpToACount) {
    serve();
    options_.count = 2;
    options_.specs.items[0] = "cart-total";
    options_.specs.count = 1;
    options_.output = DIAG_OUTPUT_JSON;
    EXPECT_EQ(run(diag_command_events), 0) << err_;
    EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 2);
    EXPECT_NE(out_.find("\"value\":5"), std::string::npos);
    EXPECT_EQ(fake_.calls(), (std::vector<std::string>{"subscribe cart-total"}));
    EXPECT_NE(err_.find("lost 9 events"), std::string::npos) << err_;
    EXPECT_NE(err_.find("pid 4711 lost 4 events"), std::string::npos) << err_;
}

TEST_F(Command, WatchesEventsUntilASignal) {
    fake_.sends_signal = true;
    serve();
    EXPECT_EQ(run(diag_command_events), 0) << err_;
}

TEST_F(Command, WatchesEventsForSomeSeconds) {
    serve();
    options_.seconds = 1;
    EXPECT_EQ(run(diag_command_events), 0) << err_;
    EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 3);
}

TEST_F(Command, SaysWhyASubscriptionEnds) {
    fake_.ends_subscription = true;
    fake_.subscribe_end = DIAG_ERR_PERMISSION;
    serve();
    EXPECT_EQ(run(diag_command_events), 1);
    EXPECT_NE(err_.find("not for you"), std::string::npos) << err_;
}

TEST_F(Command, GivesUpOnASubscriptionThatDoesNotStart) {
    fake_.is_silent = true;
    serve();
    options_.timeout_s = 1;
    EXPECT_EQ(run(diag_command_events), 4);
    EXPECT_NE(err_.find("no answer from the server"), std::string::npos) << err_;
}

TEST_F(Command, RefusesPlaintextToOtherMachines) {
    options_.server = "192.0.2.1:7400";
    EXPECT_EQ(run(diag_command_get_specs), 2);
    EXPECT_NE(err_.find("--insecure"), std::string::npos) << err_;
}

TEST(Help, HasExamplesAndExitCodesForEachCommand) {
    for (const struct diag_command *command = diag_help_commands; command->verb != nullptr;
         command++) {
        char *words[] = {text(command->verb), text(command->noun != nullptr ? command->noun : "")};
        char *printed = nullptr;
        size_t size = 0;
        FILE *file = open_memstream(&printed, &size);
        EXPECT_TRUE(diag_help_print(file, words, command->noun != nullptr ? 2 : 1));
        fclose(file);
        EXPECT_NE(strstr(printed, "Examples:\n  diagnosectl "), nullptr) << printed;
        EXPECT_NE(strstr(printed, "Exit codes:"), nullptr) << printed;
        free(printed);
    }
    char *unknown[] = {text("aply")};
    EXPECT_FALSE(diag_help_print(stdout, unknown, 1));
}

} // namespace
