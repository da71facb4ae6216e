// SPDX-License-Identifier: MIT
#include "deploy/webhook/connections.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deploy/webhook/listener.h"

namespace {

constexpr uint64_t TIMEOUT = 100;

class Connections : public testing::Test {
  protected:
    void SetUp() override {
        char bound[DIAG_LISTENER_ADDRESS_MAX];
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        int listening = -1;

        ASSERT_EQ(diag_connections_new(TIMEOUT, &connections, nullptr), DIAG_OK);
        ASSERT_EQ(diag_listener_open("127.0.0.1:0", &listening, bound, nullptr), DIAG_OK);
        getsockname(listening, reinterpret_cast<struct sockaddr *>(&address), &size);
        client = socket(AF_INET, SOCK_STREAM, 0);
        ASSERT_EQ(connect(client, reinterpret_cast<struct sockaddr *>(&address), size), 0);
        struct pollfd ready = {listening, POLLIN, 0};
        poll(&ready, 1, -1);
        server = accept(listening, nullptr, nullptr);
        close(listening);
        connection = diag_connections_add(connections, server, 1000);
        ASSERT_NE(connection, nullptr);
    }
    void TearDown() override {
        diag_connections_remove(connections, connection);
        diag_connections_free(connections);
        close(client);
        close(server);
    }
    // One byte, and its arrival.
    void send_byte() {
        struct pollfd ready = {server, POLLIN, 0};
        char byte;

        ASSERT_EQ(send(client, "x", 1, 0), 1);
        ASSERT_EQ(poll(&ready, 1, -1), 1);
        ASSERT_EQ(recv(server, &byte, 1, 0), 1);
    }
    bool is_shut() {
        char byte;
        return recv(client, &byte, 1, MSG_DONTWAIT) == 0;
    }

    struct diag_connections *connections = nullptr;
    struct diag_connection *connection = nullptr;
    int client = -1, server = -1;
};

TEST_F(Connections, AreShutDownWhenTheFirstRequestTakesTooLong) {
    EXPECT_EQ(diag_connections_reap(connections, 1000 + TIMEOUT - 1), 0u);
    send_byte(); // does not begin a new request
    EXPECT_FALSE(is_shut());
    EXPECT_EQ(diag_connections_reap(connections, 1000 + TIMEOUT), 1u);
    EXPECT_TRUE(is_shut());
    EXPECT_EQ(diag_connections_reap(connections, 1000 + 2 * TIMEOUT), 0u) << "once";
}

TEST_F(Connections, MayBeYoungerThanTheTime) {
    EXPECT_EQ(diag_connections_reap(connections, 500), 0u);
    EXPECT_FALSE(is_shut());
}

TEST_F(Connections, MayWaitBetweenRequests) {
    diag_connections_wait(connections, connection);
    EXPECT_EQ(diag_connections_reap(connections, 1000000), 0u);
    EXPECT_FALSE(is_shut());
}

TEST_F(Connections, AreShutDownWhenALaterRequestTakesTooLong) {
    diag_connections_wait(connections, connection);
    EXPECT_EQ(diag_connections_reap(connections, 5000), 0u);
    send_byte();
    EXPECT_EQ(diag_connections_reap(connections, 6000), 0u); // begins here
    send_byte();
    EXPECT_EQ(diag_connections_reap(connections, 6000 + TIMEOUT - 1), 0u);
    diag_connections_wait(connections, connection); // just in time
    EXPECT_EQ(diag_connections_reap(connections, 6000 + TIMEOUT), 0u);
    send_byte();
    EXPECT_EQ(diag_connections_reap(connections, 7000), 0u);
    EXPECT_EQ(diag_connections_reap(connections, 7000 + TIMEOUT), 1u);
    EXPECT_TRUE(is_shut());
}

} // namespace
