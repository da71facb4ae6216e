// SPDX-License-Identifier: MIT
#include "lib/statsd/statsd_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <string>

namespace {

std::string describe(const struct diag_statsd_peer &peer) {
    char text[DIAG_STATSD_PEER_TEXT_MAX];
    diag_statsd_peer_describe(&peer, text);
    return text;
}

TEST(StatsdAddress, WhatTheEnvironmentSays) {
    struct {
        const char *url, *agent, *port;
        const char *host;
        long given_port;
        const char *expected; // or the error
    } const cases[] = {
        {nullptr, nullptr, nullptr, nullptr, 0, "localhost:8125"},
        {"", "", "", nullptr, 0, "localhost:8125"},
        {nullptr, "10.1.2.3", nullptr, nullptr, 0, "10.1.2.3:8125"},
        {nullptr, nullptr, "9125", nullptr, 0, "localhost:9125"},
        {nullptr, "agent", "9125", nullptr, 0, "agent:9125"},
        {nullptr, "agent", "9125", "mine", 0, "mine:9125"},
        {nullptr, "agent", "9125", nullptr, 7, "agent:7"},
        {nullptr, "agent", "9125", "mine", 7, "mine:7"},
        {nullptr, "::1", nullptr, nullptr, 0, "[::1]:8125"},
        {nullptr, "[::1]", nullptr, nullptr, 0, "[::1]:8125"},
        {nullptr, "unix:///run/d.sock", "x", nullptr, 0,
         "DD_DOGSTATSD_PORT: port: \"x\" is not a "
         "number from 1 to 65535"},
        {nullptr, "unix:///run/d.sock", nullptr, nullptr, 0, "unix:///run/d.sock"},
        {nullptr, nullptr, "x", "unix:///run/d.sock", 0, "unix:///run/d.sock"},
        {"udp://u:99", "agent", "9125", nullptr, 0, "u:99"},
        {"udp://u", "agent", "9125", nullptr, 0, "u:8125"},
        {"udp://u/", nullptr, nullptr, nullptr, 0, "u:8125"},
        {"udp://[::1]:99", nullptr, nullptr, nullptr, 0, "[::1]:99"},
        {"udp://[::1]", nullptr, nullptr, nullptr, 0, "[::1]:8125"},
        {"unix:///run/d.sock", "agent", "9125", nullptr, 0, "unix:///run/d.sock"},
        {"udp://u:99", nullptr, nullptr, "mine", 0, "mine:8125"},
        {"udp://u:99", nullptr, nullptr, nullptr, 7, "localhost:7"},
        {"tcp://u:99", nullptr, nullptr, nullptr, 0,
         "DD_DOGSTATSD_URL: \"tcp://u:99\" is neither udp://host:port nor unix:///path"},
        {"udp://u:x", nullptr, nullptr, nullptr, 0,
         "DD_DOGSTATSD_URL: port: \"x\" is not a number from 1 to 65535"},
        {"udp://u:", nullptr, nullptr, nullptr, 0,
         "DD_DOGSTATSD_URL: port: \"\" is not a number from 1 to 65535"},
        {"udp://u:99999", nullptr, nullptr, nullptr, 0,
         "DD_DOGSTATSD_URL: port: is 99999, must be from 1 to 65535"},
        {"udp://:99", nullptr, nullptr, nullptr, 0,
         "DD_DOGSTATSD_URL: host: has 0 characters, 1 to 255 are allowed"},
        {"udp://u:99/x", nullptr, nullptr, nullptr, 0, "DD_DOGSTATSD_URL: \"u:99/x\" has a path"},
        {"unix://run/d.sock", nullptr, nullptr, nullptr, 0,
         "DD_DOGSTATSD_URL: host: unix://run/d.sock: an absolute path is needed, as in "
         "unix:///path"},
        {nullptr, "a b", nullptr, nullptr, 0,
         "DD_AGENT_HOST: host: \"a b\" is neither a host nor unix:///path"},
        {nullptr, nullptr, "0", nullptr, 0,
         "DD_DOGSTATSD_PORT: port: is 0, must be from 1 to 65535"},
    };

    for (const auto &c : cases) {
        struct diag_statsd_peer peer = {};
        struct diag_error err = {};
        auto set = [](const char *name, const char *value) {
            value == nullptr ? unsetenv(name) : setenv(name, value, 1);
        };
        set("DD_DOGSTATSD_URL", c.url);
        set("DD_AGENT_HOST", c.agent);
        set("DD_DOGSTATSD_PORT", c.port);
        if (diag_statsd_peer_from_environment(c.host, c.given_port, &peer, &err) == DIAG_OK)
            EXPECT_EQ(describe(peer), c.expected);
        else
            EXPECT_STREQ(err.message, c.expected);
    }
}

TEST(StatsdAddress, WhatIsRefused) {
    std::string long_path = "unix:///" + std::string(107, 'x');
    struct {
        std::string host;
        long port;
        const char *message;
    } const cases[] = {
        {"", 1, "host: has 0 characters, 1 to 255 are allowed"},
        {"[]", 1, "host: has 0 characters, 1 to 255 are allowed"},
        {std::string(256, 'x'), 1, "host: has 256 characters, 1 to 255 are allowed"},
        {"udp://x", 1, "host: \"udp://x\" is neither a host nor unix:///path"},
        {"x", 0, "port: is 0, must be from 1 to 65535"},
        {"x", 65536, "port: is 65536, must be from 1 to 65535"},
        {long_path, 1, "host: a path of 108 bytes, a unix socket can have 107"},
        {"unix://", 1, "host: unix://: an absolute path is needed, as in unix:///path"},
    };

    for (const auto &c : cases) {
        struct diag_statsd_peer peer = {};
        struct diag_error err = {};
        EXPECT_EQ(diag_statsd_peer_make(c.host.c_str(), c.port, &peer, &err), DIAG_ERR_INVALID);
        EXPECT_STREQ(err.message, c.message);
    }
}

TEST(StatsdAddress, NumbersAndPathsNeedNoResolver) {
    struct {
        const char *host, *ip;
        int family;
    } const cases[] = {
        {"127.0.0.2", "127.0.0.2", AF_INET},
        {"localhost", "127.0.0.1", AF_INET},
        {"::1", "::1", AF_INET6},
        {"[::1]", "::1", AF_INET6},
    };
    struct diag_statsd_peer peer = {};
    struct diag_statsd_address address = {};

    for (const auto &c : cases) {
        struct diag_statsd_address other = {};
        char text[INET6_ADDRSTRLEN];
        ASSERT_EQ(diag_statsd_peer_make(c.host, 8125, &peer, nullptr), DIAG_OK);
        ASSERT_EQ(diag_statsd_address_known(&peer, &address, nullptr), DIAG_OK) << c.host;
        ASSERT_EQ(address.socket.any.sa_family, c.family);
        const auto *v4 = reinterpret_cast<const struct sockaddr_in *>(&address.socket.any);
        const auto *v6 = reinterpret_cast<const struct sockaddr_in6 *>(&address.socket.any);
        inet_ntop(c.family,
                  c.family == AF_INET ? static_cast<const void *>(&v4->sin_addr) : &v6->sin6_addr,
                  text, sizeof text);
        EXPECT_STREQ(text, c.ip);
        EXPECT_EQ(ntohs(v4->sin_port), 8125);
        EXPECT_FALSE(diag_statsd_address_equal(&address, &other));
        ASSERT_EQ(diag_statsd_address_resolve(&peer, &other, nullptr), DIAG_OK);
        EXPECT_TRUE(diag_statsd_address_equal(&address, &other));
    }
    ASSERT_EQ(diag_statsd_peer_make("unix:///a/b", 0, &peer, nullptr), DIAG_OK);
    ASSERT_EQ(diag_statsd_address_known(&peer, &address, nullptr), DIAG_OK);
    EXPECT_EQ(address.socket.any.sa_family, AF_UNIX);
    EXPECT_STREQ(address.socket.local.sun_path, "/a/b");
}

TEST(StatsdAddress, Names) {
    struct diag_statsd_peer peer = {};
    struct diag_statsd_address address = {};
    struct diag_error err = {};

    // in capitals it is a name like any other, and in every /etc/hosts
    ASSERT_EQ(diag_statsd_peer_make("LOCALHOST", 8125, &peer, nullptr), DIAG_OK);
    EXPECT_EQ(diag_statsd_address_known(&peer, &address, &err), DIAG_ERR_NOT_FOUND);
    EXPECT_EQ(diag_statsd_address_resolve(&peer, &address, &err), DIAG_OK) << err.message;
    EXPECT_NE(address.size, 0u);
    ASSERT_EQ(diag_statsd_peer_make("no-such-host.invalid", 8125, &peer, nullptr), DIAG_OK);
    EXPECT_EQ(diag_statsd_address_resolve(&peer, &address, &err), DIAG_ERR_UNAVAILABLE);
    EXPECT_EQ(std::string(err.message).find("host: no-such-host.invalid: "), 0u) << err.message;
}

} // namespace
