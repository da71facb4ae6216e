/* SPDX-License-Identifier: MIT */
#include "lib/shm/local_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

int OpenFdCount() {
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

class Listen : public ::testing::Test {
  protected:
    void SetUp() override {
        char pattern[] = "/tmp/dshmXXXXXX";
        ASSERT_NE(mkdtemp(pattern), nullptr);
        folder = pattern;
        path = folder + "/s";
    }
    void TearDown() override {
        unlink(path.c_str());
        unlink((path + ".lock").c_str());
        rmdir(folder.c_str());
    }
    diag_status Start() {
        return diag_local_socket_listen(path.c_str(), &listen_fd, &lock_fd, &err);
    }
    void Stop() {
        close(listen_fd);
        close(lock_fd);
    }

    std::string folder, path;
    int listen_fd = -1, lock_fd = -1;
    diag_error err = {};
};

TEST_F(Listen, ConnectAndExchange) {
    int client = -1;
    EXPECT_EQ(diag_local_socket_connect(path.c_str(), &client, &err), DIAG_ERR_UNAVAILABLE);
    EXPECT_EQ(client, -1);
    ASSERT_EQ(Start(), DIAG_OK) << err.message;
    struct stat file;
    ASSERT_EQ(stat(path.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777, 0666u);
    EXPECT_EQ(accept(listen_fd, NULL, NULL), -1) << "non-blocking";
    ASSERT_EQ(diag_local_socket_connect(path.c_str(), &client, &err), DIAG_OK) << err.message;
    EXPECT_NE(fcntl(client, F_GETFL) & O_NONBLOCK, 0);
    int server = accept(listen_fd, NULL, NULL);
    ASSERT_GE(server, 0);
    static uint8_t buffer[DIAG_LOCAL_SOCKET_BUFFER_SIZE];
    diag_local_message message;
    ASSERT_EQ(diag_local_socket_send(client, DIAG_SHM_MESSAGE_HELLO, diag_bytes_from_text("hi"),
                                     NULL, 0, &err),
              DIAG_OK);
    ASSERT_EQ(diag_local_socket_receive(server, buffer, &message, &err), DIAG_OK);
    EXPECT_EQ(message.type, DIAG_SHM_MESSAGE_HELLO);
    close(server);
    close(client);
    Stop();
}

TEST_F(Listen, StaleSocketIsReplaced) {
    ASSERT_EQ(Start(), DIAG_OK) << err.message;
    Stop(); /* as after kill -9: both files stay */
    int client = -1;
    EXPECT_EQ(diag_local_socket_connect(path.c_str(), &client, &err), DIAG_ERR_UNAVAILABLE);
    ASSERT_EQ(Start(), DIAG_OK) << err.message;
    ASSERT_EQ(diag_local_socket_connect(path.c_str(), &client, &err), DIAG_OK);
    close(client);
    Stop();
}

TEST_F(Listen, BusyWhileAnotherHoldsIt) {
    ASSERT_EQ(Start(), DIAG_OK) << err.message;
    int before = OpenFdCount();
    int other_listen = -1, other_lock = -1;
    EXPECT_EQ(diag_local_socket_listen(path.c_str(), &other_listen, &other_lock, &err),
              DIAG_ERR_BUSY);
    EXPECT_NE(strstr(err.message, path.c_str()), nullptr) << err.message;
    EXPECT_EQ(other_listen, -1);
    EXPECT_EQ(OpenFdCount(), before);
    int client = -1;
    EXPECT_EQ(diag_local_socket_connect(path.c_str(), &client, &err), DIAG_OK)
        << "the first one goes on";
    close(client);
    Stop();
}

TEST_F(Listen, DoesNotReplaceOtherFiles) {
    int fd = open(path.c_str(), O_CREAT | O_WRONLY, 0600);
    close(fd);
    EXPECT_EQ(Start(), DIAG_ERR_EXISTS);
    EXPECT_EQ(access(path.c_str(), F_OK), 0);
}

TEST_F(Listen, PathLimits) {
    int fd = -1;
    std::string longest = folder + "/" + std::string(107 - folder.size() - 1, 'x');
    std::string too_long = longest + "x";
    EXPECT_EQ(diag_local_socket_listen(too_long.c_str(), &listen_fd, &lock_fd, &err),
              DIAG_ERR_TOO_LARGE);
    EXPECT_NE(strstr(err.message, "108 bytes"), nullptr) << err.message;
    EXPECT_EQ(diag_local_socket_connect(too_long.c_str(), &fd, &err), DIAG_ERR_TOO_LARGE);
    EXPECT_EQ(diag_local_socket_connect("", &fd, &err), DIAG_ERR_INVALID);
    ASSERT_EQ(diag_local_socket_listen(longest.c_str(), &listen_fd, &lock_fd, &err), DIAG_OK)
        << err.message;
    unlink(longest.c_str());
    unlink((longest + ".lock").c_str());
    Stop();
}

TEST_F(Listen, FolderMissing) {
    path = folder + "/none/s";
    EXPECT_EQ(Start(), DIAG_ERR_IO);
    EXPECT_NE(strstr(err.message, "/none/s"), nullptr) << err.message;
}

class Pair : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    }
    void TearDown() override {
        for (int fd : fds)
            if (fd >= 0)
                close(fd);
    }
    diag_status Receive() { return diag_local_socket_receive(fds[1], buffer, &message, &err); }
    diag_status Send(const std::string &payload, const int *send_fds = nullptr, size_t count = 0) {
        return diag_local_socket_send(fds[0], DIAG_SHM_MESSAGE_REPORT,
                                      diag_bytes_make(payload.data(), payload.size()), send_fds,
                                      count, &err);
    }

    int fds[2] = {-1, -1};
    uint8_t buffer[DIAG_LOCAL_SOCKET_BUFFER_SIZE];
    diag_local_message message = {};
    diag_error err = {};
};

TEST_F(Pair, GoldenHeader) {
    ASSERT_EQ(Send("abc"), DIAG_OK);
    unsigned char bytes[64];
    const unsigned char expected[] = {'D', 'I', 'A', 'S', 1, 0, 0,   0,   5,  0,
                                      0,   0,   3,   0,   0, 0, 'a', 'b', 'c'};
    ASSERT_EQ(recv(fds[1], bytes, sizeof bytes, 0), (ssize_t)sizeof expected);
    EXPECT_EQ(memcmp(bytes, expected, sizeof expected), 0);
}

TEST_F(Pair, PayloadSizes) {
    for (size_t size : {(size_t)0, (size_t)1, (size_t)DIAG_SHM_SOCKET_PAYLOAD_MAX}) {
        std::string payload(size, 'p');
        ASSERT_EQ(Send(payload), DIAG_OK) << err.message;
        ASSERT_EQ(Receive(), DIAG_OK) << err.message;
        EXPECT_EQ(message.type, DIAG_SHM_MESSAGE_REPORT);
        EXPECT_EQ(message.fd_count, 0u);
        EXPECT_TRUE(
            diag_bytes_equal(message.payload, diag_bytes_make(payload.data(), payload.size())));
    }
    EXPECT_EQ(Send(std::string(DIAG_SHM_SOCKET_PAYLOAD_MAX + 1, 'p')), DIAG_ERR_TOO_LARGE);
    EXPECT_EQ(Receive(), DIAG_ERR_UNAVAILABLE);
}

TEST_F(Pair, Descriptors) {
    int before = OpenFdCount();
    int events[] = {eventfd(7, EFD_CLOEXEC), eventfd(8, EFD_CLOEXEC), eventfd(9, EFD_CLOEXEC)};
    for (size_t count = 1; count <= 2; count++) {
        ASSERT_EQ(Send("x", events, count), DIAG_OK) << err.message;
        ASSERT_EQ(Receive(), DIAG_OK) << err.message;
        ASSERT_EQ(message.fd_count, count);
        for (size_t i = 0; i < count; i++) {
            uint64_t value;
            EXPECT_NE(fcntl(message.fds[i], F_GETFD) & FD_CLOEXEC, 0);
            ASSERT_EQ(read(message.fds[i], &value, sizeof value), (ssize_t)sizeof value);
            EXPECT_EQ(value, 7 + i);
            ASSERT_EQ(write(events[i], &value, sizeof value), (ssize_t)sizeof value);
        }
        EXPECT_TRUE(count == 2 || message.fds[1] == -1);
        diag_local_message_done(&message);
    }
    EXPECT_EQ(Send("x", events, 3), DIAG_ERR_INVALID);
    for (int fd : events)
        close(fd);
    EXPECT_EQ(OpenFdCount(), before);
}

TEST_F(Pair, Garbage) {
    diag_shm_message good = {DIAG_SHM_SOCKET_MAGIC, 1, 0, DIAG_SHM_MESSAGE_HELLO, 3};
    diag_shm_message magic = good, major = good, longer = good, shorter = good, none = good,
                     unknown = good;
    magic.magic++;
    major.version_major = 2;
    longer.payload_size = 4;
    shorter.payload_size = 2;
    none.type = 0;
    unknown.type = 6;
    auto bytes = [](const diag_shm_message &header) {
        return std::string((const char *)&header, sizeof header) + "abc";
    };
    struct {
        const char *name;
        std::string datagram;
        diag_status status;
        const char *part;
    } const cases[] = {
        {"one byte", "G", DIAG_ERR_PROTOCOL, "no header"},
        {"half a header", bytes(good).substr(0, 15), DIAG_ERR_PROTOCOL, "no header"},
        {"http", "GET / HTTP/1.1\r\nHost: example\r\n\r\n", DIAG_ERR_PROTOCOL, "magic"},
        {"magic", bytes(magic), DIAG_ERR_PROTOCOL, "magic"},
        {"major", bytes(major), DIAG_ERR_VERSION, "version_major is 2"},
        {"size too long", bytes(longer), DIAG_ERR_PROTOCOL, "payload_size is 4"},
        {"size too short", bytes(shorter), DIAG_ERR_PROTOCOL, "payload_size is 2"},
        {"type 0", bytes(none), DIAG_ERR_PROTOCOL, "type 0"},
        {"type 6", bytes(unknown), DIAG_ERR_PROTOCOL, "type 6"},
        {"oversize", bytes(good) + std::string(DIAG_SHM_SOCKET_PAYLOAD_MAX, 'x'), DIAG_ERR_PROTOCOL,
         "longer than"},
    };
    for (auto &c : cases) {
        SCOPED_TRACE(c.name);
        ASSERT_EQ(send(fds[0], c.datagram.data(), c.datagram.size(), 0),
                  (ssize_t)c.datagram.size());
        message.fd_count = 77;
        EXPECT_EQ(Receive(), c.status);
        EXPECT_NE(strstr(err.message, c.part), nullptr) << err.message;
        EXPECT_EQ(message.fd_count, 77u) << "outputs are untouched on failure";
    }
    ASSERT_EQ(Send("fine"), DIAG_OK);
    EXPECT_EQ(Receive(), DIAG_OK) << "the socket itself goes on";
}

void SendRaw(int socket, const std::string &datagram, const std::vector<int> &fds) {
    std::vector<char> control(CMSG_SPACE(sizeof(int) * fds.size()));
    struct iovec part = {(void *)datagram.data(), datagram.size()};
    struct msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
    ASSERT_EQ(sendmsg(socket, &header, 0), (ssize_t)datagram.size());
}

TEST_F(Pair, RefusedMessagesKeepNoDescriptors) {
    int event = eventfd(0, EFD_CLOEXEC);
    int before = OpenFdCount();
    diag_shm_message good = {DIAG_SHM_SOCKET_MAGIC, 1, 0, DIAG_SHM_MESSAGE_HELLO, 0};

    SendRaw(fds[0], "garbage", {event, event});
    EXPECT_EQ(Receive(), DIAG_ERR_PROTOCOL);
    EXPECT_EQ(OpenFdCount(), before);
    SendRaw(fds[0], std::string((const char *)&good, sizeof good), {event, event, event, event});
    EXPECT_EQ(Receive(), DIAG_ERR_PROTOCOL);
    EXPECT_NE(strstr(err.message, "descriptors"), nullptr) << err.message;
    EXPECT_EQ(OpenFdCount(), before);
    close(event);
}

TEST_F(Pair, Closed) {
    ASSERT_EQ(Send("last"), DIAG_OK);
    close(fds[0]);
    fds[0] = -1;
    EXPECT_EQ(Receive(), DIAG_OK) << "what was sent before comes first";
    EXPECT_EQ(Receive(), DIAG_ERR_CLOSED);
    EXPECT_EQ(diag_local_socket_send(fds[1], DIAG_SHM_MESSAGE_WELCOME, diag_bytes_make(NULL, 0),
                                     NULL, 0, &err),
              DIAG_ERR_CLOSED)
        << "and no SIGPIPE";
}

TEST_F(Pair, LastWordOfAPeerThatDidNotReadAll) {
    ASSERT_EQ(diag_local_socket_send(fds[1], DIAG_SHM_MESSAGE_HELLO, diag_bytes_make(NULL, 0), NULL,
                                     0, &err),
              DIAG_OK);
    ASSERT_EQ(Send("reason"), DIAG_OK);
    close(fds[0]);
    fds[0] = -1;
    EXPECT_EQ(Receive(), DIAG_OK) << err.message;
    EXPECT_EQ(Receive(), DIAG_ERR_CLOSED);
}

TEST_F(Pair, FullWhenThePeerDoesNotRead) {
    std::string payload(60000, 'x');
    diag_status status = DIAG_OK;
    int sent = 0;
    while ((status = Send(payload)) == DIAG_OK && sent < 1000)
        sent++;
    EXPECT_EQ(status, DIAG_ERR_FULL);
    EXPECT_GT(sent, 0);
    EXPECT_EQ(Receive(), DIAG_OK);
    EXPECT_EQ(Send(payload), DIAG_OK);
}

} // namespace
