/* SPDX-License-Identifier: MIT */
#include "lib/rpc/credentials.h"

#include <gtest/gtest.h>
#include <string.h>

#include <cstdlib>
#include <string>

#include "lib/rpc/address.h"

namespace {

const char *const kCert = "cert.pem", *const kKey = "key.pem", *const kCa = "ca.pem";

TEST(TlsCheck, Combinations) {
    const struct {
        diag_rpc_tls tls;
        const char *address;
        const char *server_error; /* nullptr: fine */
        const char *client_error;
    } cases[] = {
        {{}, "unix:/run/x", nullptr, nullptr},
        {{}, "127.0.0.1:1", nullptr, nullptr},
        {{}, "localhost:1", nullptr, nullptr},
        {{},
         "0.0.0.0:7400",
         "refusing plaintext on 0.0.0.0:7400: give --tls-cert and --tls-key, or --insecure",
         "refusing plaintext on 0.0.0.0:7400: give --tls-ca, or --insecure"},
        {{},
         "controller:7400",
         "refusing plaintext on controller:7400: give --tls-cert and --tls-key, or --insecure",
         "refusing plaintext on controller:7400: give --tls-ca, or --insecure"},
        {{nullptr, nullptr, nullptr, nullptr, true}, "0.0.0.0:7400", nullptr, nullptr},
        {{kCert, kKey, nullptr, nullptr, false},
         "0.0.0.0:7400",
         nullptr,
         "--tls-cert and --tls-key need --tls-ca"},
        {{kCert, kKey, kCa, nullptr, false}, "0.0.0.0:7400", nullptr, nullptr},
        {{kCert, kKey, kCa, "name", false}, "0.0.0.0:7400", nullptr, nullptr},
        {{kCert, nullptr, kCa, nullptr, true},
         "unix:x",
         "--tls-cert needs --tls-key",
         "--tls-cert needs --tls-key"},
        {{nullptr, kKey, nullptr, nullptr, true},
         "unix:x",
         "--tls-key needs --tls-cert",
         "--tls-key needs --tls-cert"},
        {{nullptr, nullptr, kCa, nullptr, true},
         "1.2.3.4:1",
         "--tls-ca needs --tls-cert and --tls-key",
         nullptr},
        {{nullptr, nullptr, nullptr, "name", true},
         "1.2.3.4:1",
         nullptr,
         "--tls-server-name needs --tls-ca"},
        {{},
         "localhost",
         "address 'localhost' has no port: HOST:PORT or unix:PATH",
         "address 'localhost' has no port: HOST:PORT or unix:PATH"},
    };

    for (const auto &each : cases) {
        for (bool is_server : {true, false}) {
            const char *expected = is_server ? each.server_error : each.client_error;
            diag_error err = {};
            enum diag_status status = diag_rpc_tls_check(&each.tls, each.address, is_server, &err);

            EXPECT_EQ(expected == nullptr ? DIAG_OK : DIAG_ERR_INVALID, status) << each.address;
            EXPECT_STREQ(expected == nullptr ? "" : expected, err.message);
        }
    }
}

TEST(Tls, FlagsWriteToTheStruct) {
    diag_rpc_tls tls = {};
    diag_flag flags[DIAG_RPC_TLS_FLAG_COUNT];
    char arguments[][32] = {"program", "--tls-cert",        "c", "--tls-key=k", "--tls-ca",
                            "a",       "--tls-server-name", "n", "--insecure"};
    char *argv[10] = {};
    int count = 0, positional_count = -1;

    for (auto &each : arguments)
        argv[count++] = each;
    diag_rpc_tls_flags(&tls, flags);
    ASSERT_EQ(DIAG_OK, diag_flags_parse(flags, DIAG_RPC_TLS_FLAG_COUNT, count, argv,
                                        &positional_count, nullptr));
    EXPECT_EQ(0, positional_count);
    EXPECT_STREQ("c", tls.cert_file);
    EXPECT_STREQ("k", tls.key_file);
    EXPECT_STREQ("a", tls.ca_file);
    EXPECT_STREQ("n", tls.server_name);
    EXPECT_TRUE(tls.allow_plaintext);
    for (const diag_flag &flag : flags)
        EXPECT_GT(strlen(flag.help), size_t{0});
}

TEST(Address, IsLocal) {
    const struct {
        const char *address;
        bool is_local;
    } cases[] = {
        {"unix:/run/x", true},
        {"localhost:1", true},
        {"LOCALHOST:1", true},
        {"127.0.0.1:1", true},
        {"127.255.0.3:1", true},
        {"[::1]:1", true},
        {"128.0.0.1:1", false},
        {"0.0.0.0:1", false},
        {"[::]:1", false},
        {"10.0.0.1:1", false},
        {"example.org:1", false},
        {"localhost.evil.org:1", false},
        {"127.0.0.1.evil.org:1", false},
        {"[::2]:1", false},
        {"", false},
        {"localhost", false},
    };

    for (const auto &each : cases)
        EXPECT_EQ(each.is_local, diag_rpc_address_is_local(each.address)) << each.address;
}

std::string take(char *text) {
    std::string copy = text == nullptr ? "(null)" : text;

    free(text);
    return copy;
}

TEST(Address, Parses) {
    const struct {
        const char *text, *target, *listen, *authority;
    } cases[] = {
        {"unix:/run/a", "unix:/run/a", "unix:/run/a", "localhost"},
        {"unix:a b%c", "unix:a%20b%25c", "unix:a%20b%25c", "localhost"},
        {"localhost:0", "dns:///localhost:0", "localhost:0", "localhost:0"},
        {"0.0.0.0:65535", "dns:///0.0.0.0:65535", "0.0.0.0:65535", "0.0.0.0:65535"},
        {"[::1]:80", "dns:///%5B::1%5D:80", "[::1]:80", "[::1]:80"},
        {"ipv4:80", "dns:///ipv4:80", "ipv4:80", "ipv4:80"},
    };

    for (const auto &each : cases) {
        diag_rpc_address address;
        diag_error err = {};

        ASSERT_EQ(DIAG_OK, diag_rpc_address_parse(each.text, &address, &err)) << err.message;
        EXPECT_EQ(each.target, take(diag_rpc_address_target(&address)));
        EXPECT_EQ(each.listen, take(diag_rpc_address_listen(&address)));
        EXPECT_EQ(each.authority, take(diag_rpc_address_authority(&address)));
    }
}

TEST(Address, RefusesAndSaysWhy) {
    const struct {
        std::string text;
        const char *error;
    } cases[] = {
        {"", "the address is empty"},
        {"unix:", "address 'unix:' has no path"},
        {"unix:" + std::string(108, 'x'), "the path of a unix socket has at most 107 bytes"},
        {"host", "address 'host' has no port"},
        {"[::1]", "address '[::1]' has no port"},
        {":80", "address ':80' has no host"},
        {"[]:80", "address '[]:80' has no host"},
        {"host:", "the port must be a number from 0 to 65535"},
        {"host:http", "the port must be a number from 0 to 65535"},
        {"host:65536", "the port must be a number from 0 to 65535"},
        {"host:-1", "the port must be a number from 0 to 65535"},
        {"host: 1", "the port must be a number from 0 to 65535"},
        {"host:123456789012", "the port must be a number from 0 to 65535"},
        {"::1:80", "not a host name or address (IPv6 goes in [ ])"},
        {"http://host:80", "not a host name or address"},
        {"[host]:80", "not a host name or address"},
        {"a b:80", "not a host name or address"},
        {std::string(300, 'x') + ":80", "not a host name or address"},
    };

    for (const auto &each : cases) {
        diag_rpc_address address;
        diag_error err = {};

        EXPECT_EQ(DIAG_ERR_INVALID, diag_rpc_address_parse(each.text.c_str(), &address, &err));
        EXPECT_NE(nullptr, strstr(err.message, each.error)) << each.text << ": " << err.message;
    }
}

} // namespace
