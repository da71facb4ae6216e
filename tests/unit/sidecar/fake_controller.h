/* SPDX-License-Identifier: MIT */
/* A controller of one sidecar, served by the test's own thread: Wait() runs its loop. */
#ifndef DIAG_TESTS_UNIT_SIDECAR_FAKE_CONTROLLER_H
#define DIAG_TESTS_UNIT_SIDECAR_FAKE_CONTROLLER_H

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "diagnose/v1/events_service.pb-c.h"
#include "diagnose/v1/sync_service.pb-c.h"
#include "lib/base/clock.h"
#include "lib/rpc/loop.h"
#include "lib/rpc/server.h"

class FakeController {
  public:
    explicit FakeController(const std::string &address) : address_(address) {
        diag_error err;
        EXPECT_EQ(diag_loop_new(&loop_, &err), DIAG_OK) << err.message;
        methods_[0] = {"/diagnose.v1.Sync/Sync", this, nullptr, OpenSync, &kSyncEvents, 64};
        methods_[1] = {"/diagnose.v1.Events/Report", this, nullptr, OpenReport, &kReportEvents, 64};
    }
    ~FakeController() {
        Stop();
        diag_loop_free(loop_);
    }

    void Start() {
        diag_rpc_server_options options = {};
        diag_error err;
        options.address = address_.c_str();
        options.methods = methods_;
        options.method_count = 2;
        options.max_message_size = 1 << 22;
        ASSERT_EQ(diag_rpc_server_new(loop_, &options, &server_, &err), DIAG_OK) << err.message;
    }
    void Stop() {
        diag_rpc_server_stop_and_free(server_, 0);
        server_ = nullptr;
    }

    /* Serves until `is_true`; false: it never was within 10 seconds. */
    bool Wait(const std::function<bool()> &is_true) {
        uint64_t end = diag_clock_monotonic_ns() + 10 * DIAG_NS_PER_S;
        bool never = false;
        while (!is_true()) {
            if (diag_clock_monotonic_ns() > end)
                return false;
            diag_loop_run_until(loop_, &never, 5);
        }
        return true;
    }
    /* Serves for a while, to see that something does not happen. */
    void ServeFor(uint64_t ms) {
        bool never = false;
        diag_loop_run_until(loop_, &never, ms);
    }

    struct Delta {
        std::vector<std::pair<std::string, uint64_t>> upserts; /* id, revision */
        std::vector<std::string> removed;
        uint64_t ttl_ms = 60000;
        bool events_wanted = true;
    };
    void Send(const Delta &delta) {
        Diagnose__V1__SyncResponse response = DIAGNOSE__V1__SYNC_RESPONSE__INIT;
        std::vector<Diagnose__V1__Spec> specs(delta.upserts.size());
        std::vector<Diagnose__V1__Spec *> spec_pointers;
        std::vector<char *> removed;
        for (size_t i = 0; i < specs.size(); i++) {
            diagnose__v1__spec__init(&specs[i]);
            specs[i].id = (char *)delta.upserts[i].first.c_str();
            specs[i].target = (char *)"shop.cart.Cart.total";
            specs[i].revision = delta.upserts[i].second;
            spec_pointers.push_back(&specs[i]);
        }
        for (const std::string &id : delta.removed)
            removed.push_back((char *)id.c_str());
        response.nonce = ++nonce;
        response.n_upserts = spec_pointers.size();
        response.upserts = spec_pointers.data();
        response.n_removed_ids = removed.size();
        response.removed_ids = removed.data();
        response.ttl_ms = delta.ttl_ms;
        response.events_wanted = delta.events_wanted;
        Write(sync, &response.base);
    }
    void Acknowledge(uint64_t sequence) {
        Diagnose__V1__ReportResponse response = DIAGNOSE__V1__REPORT_RESPONSE__INIT;
        response.acknowledged = sequence;
        Write(report, &response.base);
    }

    struct Status {
        Diagnose__V1__SpecState state;
        uint64_t revision, hits;
    };
    struct Process {
        uint32_t pid;
        uint64_t lost_events;
        std::string refused;
        std::map<std::string, Status> statuses;
    };

    diag_rpc_stream *sync = nullptr, *report = nullptr;
    int hellos = 0;
    std::map<std::string, uint64_t> held; /* of the last hello */
    std::map<std::string, std::string> labels;
    std::string sidecar_uid, host;
    uint64_t nonce = 0, acknowledged_nonce = 0;
    std::map<std::string, Process> processes;
    std::set<std::string> ended;

    bool acknowledges_reports = true;
    uint64_t sequence = 0; /* of the last request on this stream */
    int requests = 0;
    std::vector<std::string> events; /* "UID:THREAD_ID", which the tests use as a number */
    uint64_t lost = 0;

  private:
    void Write(diag_rpc_stream *stream, const ProtobufCMessage *message) {
        diag_rpc_message *packed = diag_rpc_message_pack(message);
        ASSERT_NE(stream, nullptr);
        EXPECT_EQ(diag_rpc_stream_write(stream, packed), DIAG_OK);
        diag_rpc_message_unref(packed);
    }

    static void *OpenSync(void *service, diag_rpc_stream *stream, diag_error *) {
        FakeController *self = (FakeController *)service;
        self->sync = stream;
        self->nonce = 0;
        self->acknowledged_nonce = 0;
        return self;
    }
    static void *OpenReport(void *service, diag_rpc_stream *stream, diag_error *) {
        FakeController *self = (FakeController *)service;
        self->report = stream;
        self->sequence = 0;
        return self;
    }
    static void OnSync(void *context, diag_rpc_stream *, diag_bytes encoded) {
        FakeController *self = (FakeController *)context;
        auto *request = (Diagnose__V1__SyncRequest *)diag_rpc_unpack(
            &diagnose__v1__sync_request__descriptor, encoded);
        ASSERT_NE(request, nullptr);
        switch (request->body_case) {
        case DIAGNOSE__V1__SYNC_REQUEST__BODY_HELLO:
            self->TakeHello(*request->hello);
            break;
        case DIAGNOSE__V1__SYNC_REQUEST__BODY_ACK:
            self->acknowledged_nonce = request->ack->nonce;
            break;
        case DIAGNOSE__V1__SYNC_REQUEST__BODY_REPORT:
            self->TakeReport(*request->report);
            break;
        default:
            ADD_FAILURE() << "request without a body";
        }
        protobuf_c_message_free_unpacked(&request->base, nullptr);
    }
    void TakeHello(const Diagnose__V1__Hello &hello) {
        hellos++;
        sidecar_uid = hello.sidecar_uid;
        host = hello.host;
        held.clear();
        for (size_t i = 0; i < hello.n_held; i++)
            held[hello.held[i]->id] = hello.held[i]->revision;
        for (size_t i = 0; i < hello.n_labels; i++)
            labels[hello.labels[i]->key] = hello.labels[i]->value;
        processes.clear();
    }
    void TakeReport(const Diagnose__V1__ProcessReport &taken) {
        for (size_t i = 0; i < taken.n_changed; i++) {
            const Diagnose__V1__ProcessStatus &status = *taken.changed[i];
            Process process = {status.process->pid, status.lost_events, status.refused, {}};
            for (size_t j = 0; j < status.n_statuses; j++)
                process.statuses[status.statuses[j]->spec_id] = {status.statuses[j]->state,
                                                                 status.statuses[j]->spec_revision,
                                                                 status.statuses[j]->hits};
            processes[status.process->uid] = process;
        }
        for (size_t i = 0; i < taken.n_ended; i++) {
            ended.insert(taken.ended[i]);
            processes.erase(taken.ended[i]);
        }
    }
    static void OnReport(void *context, diag_rpc_stream *, diag_bytes encoded) {
        FakeController *self = (FakeController *)context;
        auto *request = (Diagnose__V1__ReportRequest *)diag_rpc_unpack(
            &diagnose__v1__report_request__descriptor, encoded);
        ASSERT_NE(request, nullptr);
        EXPECT_EQ(request->sequence, self->sequence + 1);
        EXPECT_LE(encoded.size, 66000u);
        self->sequence = request->sequence;
        self->requests++;
        for (size_t i = 0; i < request->n_batches; i++) {
            const Diagnose__V1__EventBatch &batch = *request->batches[i];
            self->lost += batch.lost;
            for (size_t j = 0; j < batch.n_events; j++)
                self->events.push_back(std::string(batch.process_uid) + ":" +
                                       std::to_string(batch.events[j]->thread_id));
        }
        protobuf_c_message_free_unpacked(&request->base, nullptr);
        if (self->acknowledges_reports)
            self->Acknowledge(self->sequence);
    }
    static void OnSyncClosed(void *context, diag_rpc_stream *stream, const diag_rpc_result *) {
        FakeController *self = (FakeController *)context;
        if (self->sync == stream)
            self->sync = nullptr;
    }
    static void OnReportClosed(void *context, diag_rpc_stream *stream, const diag_rpc_result *) {
        FakeController *self = (FakeController *)context;
        if (self->report == stream)
            self->report = nullptr;
    }

    static constexpr diag_rpc_stream_events kSyncEvents = {OnSync, nullptr, nullptr, OnSyncClosed};
    static constexpr diag_rpc_stream_events kReportEvents = {OnReport, nullptr, nullptr,
                                                             OnReportClosed};

    std::string address_;
    diag_loop *loop_ = nullptr;
    diag_rpc_server *server_ = nullptr;
    diag_rpc_method methods_[2];
};

#endif
