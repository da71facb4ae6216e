// SPDX-License-Identifier: MIT
#include "deploy/webhook/listener.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

static bool has_ipv6 = true;

// In place of libc's: a kernel that was started with ipv6.disable=1.
extern "C" int socket(int domain, int type, int protocol) noexcept {
    if (domain == AF_INET6 && !has_ipv6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return static_cast<int>(syscall(SYS_socket, domain, type, protocol));
}

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

TEST(Listener, TakesIpv4WhereThereIsNoIpv6) {
    char bound[DIAG_LISTENER_ADDRESS_MAX];
    struct diag_error err = {};
    int fd = -1, other = -1;

    has_ipv6 = false;
    ASSERT_EQ(diag_listener_open("[::]:0", &fd, bound, &err), DIAG_OK) << err.message;
    EXPECT_EQ(std::string(bound).rfind("0.0.0.0:", 0), 0u) << bound;
    // an address that somebody chose is not exchanged for another one
    EXPECT_EQ(diag_listener_open("[::1]:0", &other, bound, &err), DIAG_ERR_IO);
    EXPECT_EQ(err.os_errno, EAFNOSUPPORT);
    EXPECT_NE(std::string(err.message).find("[::1]:0"), std::string::npos) << err.message;
    EXPECT_EQ(diag_listener_open("[::1]:0", &other, bound, nullptr), DIAG_ERR_IO);
    close(fd);
    has_ipv6 = true;
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
