// SPDX-License-Identifier: MIT
// The process's end of the socket, against a sidecar that is played by the test.
#include "inproc/agent/link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

namespace {

const char uid[] = "0123456789abcdef0123456789abcdef";

void await_readable(int fd) {
    struct pollfd waiting = {fd, POLLIN, 0};
    ASSERT_EQ(poll(&waiting, 1, 10000), 1);
}

class Link : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_NE(mkdtemp(folder), nullptr);
        path = std::string(folder) + "/s";
        ASSERT_EQ(diag_local_socket_listen(path.c_str(), &listen_fd, &lock_fd, nullptr), DIAG_OK);
        diag_link_init(link.get());
    }

    void TearDown() override {
        diag_link_close(link.get());
        for (int fd : {listen_fd, lock_fd, peer})
            if (fd >= 0)
                close(fd);
        unlink(path.c_str());
        unlink((path + ".lock").c_str());
        rmdir(folder);
    }

    void open_link(int segment_fd = -1) {
        struct diag_error err = {};
        ASSERT_EQ(diag_link_open(link.get(), path.c_str(), diag_bytes_from_text("info"), segment_fd,
                                 &err),
                  DIAG_OK)
            << err.message;
        await_readable(listen_fd);
        peer = accept(listen_fd, nullptr, nullptr);
        ASSERT_GE(peer, 0);
    }

    enum diag_status receive(struct diag_link_event *event) {
        await_readable(link->socket.fd);
        return diag_link_receive(link.get(), event, &err);
    }

    char folder[32] = "/tmp/diag-link.XXXXXX";
    std::string path;
    int listen_fd = -1, lock_fd = -1, peer = -1;
    std::unique_ptr<struct diag_link> link = std::make_unique<struct diag_link>();
    struct diag_error err = {};
};

TEST_F(Link, NobodyListens) {
    EXPECT_EQ(
        diag_link_open(link.get(), "/tmp/no-such-socket", diag_bytes_from_text("x"), -1, &err),
        DIAG_ERR_UNAVAILABLE);
    EXPECT_EQ(link->socket.fd, -1);
}

TEST_F(Link, SaysHelloAndTakesTheWelcome) {
    struct diag_segment segment = {};
    struct diag_link_event event = {};
    auto buffer = std::make_unique<uint8_t[]>(DIAG_LOCAL_SOCKET_BUFFER_SIZE);
    struct diag_local_message hello = {};

    ASSERT_EQ(diag_segment_create(uid, DIAG_SHM_RING_SIZE_MIN, &segment, nullptr), DIAG_OK);
    open_link(segment.fd);
    EXPECT_EQ(diag_link_receive(link.get(), &event, &err), DIAG_ERR_UNAVAILABLE);
    await_readable(peer);
    ASSERT_EQ(diag_local_socket_receive(peer, buffer.get(), &hello, &err), DIAG_OK);
    EXPECT_EQ(hello.type, DIAG_SHM_MESSAGE_HELLO);
    EXPECT_EQ(std::string(reinterpret_cast<const char *>(hello.payload.data), hello.payload.size),
              "info");
    EXPECT_EQ(hello.fd_count, 1u);
    diag_local_message_done(&hello);

    int wake_fd = eventfd(0, 0);
    int fds[] = {segment.fd, wake_fd};
    ASSERT_EQ(diag_local_socket_send(peer, DIAG_SHM_MESSAGE_WELCOME, {}, fds, 2, &err), DIAG_OK);
    ASSERT_EQ(receive(&event), DIAG_OK) << err.message;
    EXPECT_EQ(event.kind, DIAG_LINK_WELCOME);
    EXPECT_STREQ(event.segment.header->process_uid, uid);
    diag_segment_done(&event.segment);
    close(event.wake_fd);
    close(wake_fd);
    diag_segment_done(&segment);
}

TEST_F(Link, TakesSnapshotsAndRefusals) {
    struct diag_link_event event = {};
    int fd = -1;

    open_link();
    ASSERT_EQ(diag_sealed_memfd_create("specs", diag_bytes_from_text("content"), &fd, nullptr),
              DIAG_OK);
    ASSERT_EQ(diag_local_socket_send(peer, DIAG_SHM_MESSAGE_SNAPSHOT, {}, &fd, 1, &err), DIAG_OK);
    close(fd);
    ASSERT_EQ(receive(&event), DIAG_OK) << err.message;
    EXPECT_EQ(event.kind, DIAG_LINK_SNAPSHOT);
    EXPECT_TRUE(diag_bytes_equal(event.snapshot, diag_bytes_from_text("content")));
    diag_sealed_memfd_unmap(event.snapshot);

    ASSERT_EQ(diag_local_socket_send(peer, DIAG_SHM_MESSAGE_REFUSED, diag_bytes_from_text("full"),
                                     nullptr, 0, &err),
              DIAG_OK);
    ASSERT_EQ(receive(&event), DIAG_OK);
    EXPECT_EQ(event.kind, DIAG_LINK_REFUSED);
    EXPECT_TRUE(diag_bytes_equal(event.reason, diag_bytes_from_text("full")));
}

TEST_F(Link, RefusesWhatASidecarWouldNotSay) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    struct {
        const char *name;
        enum diag_shm_message_type type;
        std::vector<int> fds;
    } const cases[] = {
        {"welcome without descriptors", DIAG_SHM_MESSAGE_WELCOME, {}},
        {"welcome with one", DIAG_SHM_MESSAGE_WELCOME, {pipe_fds[0]}},
        {"welcome with no segment", DIAG_SHM_MESSAGE_WELCOME, {pipe_fds[0], pipe_fds[1]}},
        {"snapshot without descriptor", DIAG_SHM_MESSAGE_SNAPSHOT, {}},
        {"snapshot that can still change", DIAG_SHM_MESSAGE_SNAPSHOT, {pipe_fds[0]}},
        {"a process's message", DIAG_SHM_MESSAGE_REPORT, {}},
    };

    open_link();
    for (const auto &c : cases) {
        struct diag_link_event event = {};
        ASSERT_EQ(diag_local_socket_send(peer, c.type, {}, c.fds.data(), c.fds.size(), &err),
                  DIAG_OK);
        EXPECT_EQ(receive(&event), DIAG_ERR_PROTOCOL) << c.name << ": " << err.message;
    }
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

TEST_F(Link, NoticesThatTheSidecarHasGone) {
    struct diag_link_event event = {};

    open_link();
    close(peer);
    peer = -1;
    EXPECT_EQ(receive(&event), DIAG_ERR_CLOSED);
    EXPECT_EQ(diag_link_report(link.get(), diag_bytes_from_text("x"), &err), DIAG_ERR_CLOSED);
}

} // namespace
