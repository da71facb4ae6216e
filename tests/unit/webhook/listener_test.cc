// SPDX-License-Identifier: MIT
#include "deploy/webhook/listener.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace {

TEST(Listener, Listens) {
    for (const char *address : {"127.0.0.1:0", "localhost:0", "[::1]:0", "[::]:0"}) {
        char bound[DIAG_LISTENER_ADDRESS_MAX];
        struct diag_error err = {};
        int fd = -1, is_listening = 0;
        socklen_t size = sizeof is_listening;

        ASSERT_EQ(diag_listener_open(address, &fd, bound, &err), DIAG_OK) << err.message;
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size);
        EXPECT_EQ(is_listening, 1);
        // the address that it tells is the one that is taken now
        int other = -1;
        EXPECT_EQ(diag_listener_open(bound, &other, bound, &err), DIAG_ERR_IO) << bound;
        EXPECT_EQ(other, -1);
        close(fd);
    }
}

TEST(Listener, SaysWhatIsNoAddress) {
    for (const char *address : {"", ":", ":80", "host", "host:", "host:x", "::1:80", "[::1]80",
                                "[::1:80", "[]:80", "host:123456789", "256.0.0.1:80"}) {
        char bound[DIAG_LISTENER_ADDRESS_MAX];
        struct diag_error err = {};
        int fd = -1;

        EXPECT_EQ(diag_listener_open(address, &fd, bound, &err), DIAG_ERR_INVALID) << address;
        EXPECT_NE(std::string(err.message).find(address), std::string::npos) << err.message;
        EXPECT_EQ(fd, -1);
    }
}

} // namespace
