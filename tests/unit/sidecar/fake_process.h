/* SPDX-License-Identifier: MIT */
/* The process's end of the shared memory, without Python. */
#ifndef DIAG_TESTS_UNIT_SIDECAR_FAKE_PROCESS_H
#define DIAG_TESTS_UNIT_SIDECAR_FAKE_PROCESS_H

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "diagnose/v1/local.pb-c.h"
#include "diagnose/v1/process.pb-c.h"
#include "lib/event/event_encoder.h"
#include "lib/rpc/message.h"
#include "lib/shm/local_socket.h"
#include "lib/shm/ring_writer.h"
#include "lib/shm/segment.h"

class FakeProcess {
  public:
    explicit FakeProcess(const std::string &uid) : uid(uid) {}
    ~FakeProcess() {
        HangUp();
        diag_segment_done(&segment);
        if (wake_fd >= 0)
            close(wake_fd);
    }

    diag_status Connect(const std::string &path) {
        return diag_local_socket_connect(path.c_str(), &fd, &err);
    }
    void HangUp() {
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    /* With the segment of an earlier connection, if there is one. */
    diag_status SendHello() {
        Diagnose__V1__ProcessInfo info = DIAGNOSE__V1__PROCESS_INFO__INIT;
        info.uid = (char *)uid.c_str();
        info.pid = pid;
        info.command = (char *)"gunicorn shop:app";
        return Send(DIAG_SHM_MESSAGE_HELLO, &info.base, segment.header != nullptr);
    }
    diag_status Send(diag_shm_message_type type, const ProtobufCMessage *message,
                     bool with_segment = false) {
        std::vector<uint8_t> packed(protobuf_c_message_get_packed_size(message) + 1);
        size_t size = protobuf_c_message_pack(message, packed.data());
        return diag_local_socket_send(fd, type, diag_bytes_make(packed.data(), size), &segment.fd,
                                      with_segment ? 1 : 0, &err);
    }
    diag_status SendStatus(const char *spec_id, uint64_t revision, Diagnose__V1__SpecState state,
                           uint64_t hits) {
        Diagnose__V1__LocalReport report = DIAGNOSE__V1__LOCAL_REPORT__INIT;
        Diagnose__V1__SpecStatus status = DIAGNOSE__V1__SPEC_STATUS__INIT;
        Diagnose__V1__SpecStatus *statuses = &status;
        status.spec_id = (char *)spec_id;
        status.spec_revision = revision;
        status.state = state;
        status.hits = hits;
        report.n_statuses = 1;
        report.statuses = &statuses;
        return Send(DIAG_SHM_MESSAGE_REPORT, &report.base);
    }

    /* Takes the next message, waiting up to 10 seconds. "welcome", "snapshot", "refused",
     * "closed", or what is wrong. */
    std::string Receive() {
        static uint8_t buffer[DIAG_LOCAL_SOCKET_BUFFER_SIZE];
        diag_local_message message;
        pollfd wait = {fd, POLLIN, 0};
        if (poll(&wait, 1, 10000) != 1)
            return "nothing";
        diag_status status = diag_local_socket_receive(fd, buffer, &message, &err);
        if (status == DIAG_ERR_CLOSED)
            return "closed";
        if (status != DIAG_OK)
            return err.message;
        std::string result = Take(&message);
        diag_local_message_done(&message);
        return result;
    }
    std::string Join(const std::string &path) {
        if (Connect(path) != DIAG_OK || SendHello() != DIAG_OK)
            return err.message;
        return Receive();
    }

    diag_status Put(uint64_t number, size_t payload = 10) {
        uint8_t data[DIAG_EVENT_MAX], prefix[DIAG_EVENT_PREFIX_MAX];
        std::string text(payload, 'v');
        size_t size = diag_event_prefix(prefix, "spec-1", 1);
        diag_wire_writer out = diag_wire_writer_make(data, sizeof data);
        diag_event_begin(&out, diag_bytes_make(prefix, size), DIAG_EVENT_KIND_HIT, 1, number);
        diag_value_put_str(&out, DIAG_EVENT_FIELD_VALUE, diag_bytes_from_text(text.c_str()), 0);
        return PutRaw(data, diag_wire_size(&out));
    }
    diag_status PutRaw(const void *data, size_t size) {
        diag_ring_writer writer = {&segment, wake_fd};
        return diag_ring_writer_put(&writer, diag_bytes_make(data, size));
    }

    std::string uid;
    uint32_t pid = (uint32_t)getpid();
    int fd = -1, wake_fd = -1;
    diag_segment segment = {nullptr, nullptr, 0, nullptr, 0, -1};
    std::map<std::string, uint64_t> specs; /* of the last snapshot: id, revision */
    uint64_t snapshot = 0;
    std::string refusal;
    diag_error err = {};

  private:
    std::string Take(diag_local_message *message) {
        switch (message->type) {
        case DIAG_SHM_MESSAGE_WELCOME:
            return TakeWelcome(message);
        case DIAG_SHM_MESSAGE_REFUSED:
            refusal.assign((const char *)message->payload.data, message->payload.size);
            return "refused";
        case DIAG_SHM_MESSAGE_SNAPSHOT:
            return TakeSnapshot(message);
        default:
            return "message of an unexpected type";
        }
    }
    std::string TakeWelcome(diag_local_message *message) {
        diag_segment_done(&segment);
        if (wake_fd >= 0)
            close(wake_fd);
        wake_fd = message->fds[1];
        message->fds[1] = -1;
        diag_status status = diag_segment_adopt(message->fds[0], true, &segment, &err);
        message->fds[0] = -1;
        return status == DIAG_OK ? "welcome" : err.message;
    }
    std::string TakeSnapshot(diag_local_message *message) {
        diag_bytes mapped;
        diag_status status = diag_sealed_memfd_map(message->fds[0], &mapped, &err);
        message->fds[0] = -1;
        if (status != DIAG_OK)
            return err.message;
        auto *taken = (Diagnose__V1__SpecSnapshot *)diag_rpc_unpack(
            &diagnose__v1__spec_snapshot__descriptor, mapped);
        diag_sealed_memfd_unmap(mapped);
        if (taken == nullptr)
            return "malformed snapshot";
        snapshot = taken->snapshot;
        specs.clear();
        for (size_t i = 0; i < taken->n_specs; i++)
            specs[taken->specs[i]->id] = taken->specs[i]->revision;
        protobuf_c_message_free_unpacked(&taken->base, nullptr);
        return "snapshot";
    }
};

#endif
