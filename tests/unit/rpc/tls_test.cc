/* SPDX-License-Identifier: MIT */
/* TLS end to end, with certificates made by the openssl program. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/rpc/credentials.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace diag_test {
namespace {

void run(const std::string &command) {
    std::string with_output = command + " 2>&1";
    FILE *pipe = popen(with_output.c_str(), "r");
    std::string output;
    char chunk[256];

    while (fgets(chunk, sizeof chunk, pipe) != nullptr)
        output += chunk;
    ASSERT_EQ(0, pclose(pipe)) << command << "\n" << output;
}

constexpr char kNewKey[] = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/* Two authorities; the first has signed the server's and a client's certificate. */
class TlsTest : public RpcTest {
  protected:
    static void SetUpTestSuite() {
        folder = new TemporaryFolder;
        authority("ca");
        authority("other_ca");
        signed_by("ca", "server", "DNS:localhost,DNS:controller.example,IP:127.0.0.1");
        signed_by("ca", "client", "DNS:client");
        signed_by("other_ca", "stranger", "DNS:client");
        write_file("empty.pem", "");
        write_file("text.pem", "no certificate\n");
        write_file("garbage.pem", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
                                  "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n");
        write_file("big.pem", std::string((1 << 20) + 1, '-'));
    }

    static void TearDownTestSuite() {
        delete folder;
        folder = nullptr;
    }

    static void authority(const std::string &name) {
        run(std::string("openssl req -x509 ") + kNewKey + " -days 2 -subj /CN=" + name +
            " -keyout " + folder->file(name + ".key") + " -out " + folder->file(name + ".pem"));
    }

    static void signed_by(const std::string &ca, const std::string &name,
                          const std::string &alternative_names) {
        write_file(name + ".ext", "subjectAltName=" + alternative_names + "\n");
        run(std::string("openssl req -new ") + kNewKey + " -subj /CN=" + name + " -keyout " +
            folder->file(name + ".key") + " -out " + folder->file(name + ".csr"));
        run("openssl x509 -req -days 2 -set_serial 1 -in " + path(name + ".csr") + " -CA " +
            path(ca + ".pem") + " -CAkey " + path(ca + ".key") + " -extfile " +
            path(name + ".ext") + " -out " + folder->file(name + ".pem"));
    }

    static void write_file(const std::string &name, const std::string &content) {
        FILE *file = fopen(folder->file(name).c_str(), "w");

        fwrite(content.data(), 1, content.size(), file);
        fclose(file);
    }

    static std::string path(const std::string &name) { return folder->path() + "/" + name; }

    /* The names live as long as the test. */
    const char *keep(const char *name) {
        return name == nullptr ? nullptr : names_.emplace_back(path(name)).c_str();
    }

    diag_rpc_tls tls(const char *cert, const char *key, const char *ca,
                     const char *server_name = nullptr) {
        return {keep(cert), keep(key), keep(ca), server_name, false, 0};
    }

    std::string start(const diag_rpc_tls &server_tls) {
        EXPECT_EQ(DIAG_OK, start_server("127.0.0.1:0", server_tls)) << err_.message;
        return std::to_string(diag_rpc_server_port(server_));
    }

    static TemporaryFolder *folder;
    std::deque<std::string> names_;
};

TemporaryFolder *TlsTest::folder;

TEST_F(TlsTest, WhoMayTalkToWhom) {
    const struct {
        const char *name;
        diag_rpc_tls server;
        const char *host;
        diag_rpc_tls client;
        bool is_fine;
    } cases[] = {
        {"TLS", tls("server.pem", "server.key", nullptr), "localhost",
         tls(nullptr, nullptr, "ca.pem"), true},
        {"TLS by address", tls("server.pem", "server.key", nullptr), "127.0.0.1",
         tls(nullptr, nullptr, "ca.pem"), true},
        {"another name", tls("server.pem", "server.key", nullptr), "127.0.0.1",
         tls(nullptr, nullptr, "ca.pem", "controller.example"), true},
        {"a wrong name", tls("server.pem", "server.key", nullptr), "127.0.0.1",
         tls(nullptr, nullptr, "ca.pem", "evil.example"), false},
        {"a wrong CA", tls("server.pem", "server.key", nullptr), "localhost",
         tls(nullptr, nullptr, "other_ca.pem"), false},
        {"a CA file of garbage", tls("server.pem", "server.key", nullptr), "localhost",
         tls(nullptr, nullptr, "garbage.pem"), false},
        {"plaintext to TLS", tls("server.pem", "server.key", nullptr), "localhost", {}, false},
        {"TLS to plaintext", {}, "localhost", tls(nullptr, nullptr, "ca.pem"), false},
        {"mutual TLS", tls("server.pem", "server.key", "ca.pem"), "localhost",
         tls("client.pem", "client.key", "ca.pem"), true},
        {"no client certificate", tls("server.pem", "server.key", "ca.pem"), "localhost",
         tls(nullptr, nullptr, "ca.pem"), false},
        {"a stranger's certificate", tls("server.pem", "server.key", "ca.pem"), "localhost",
         tls("stranger.pem", "stranger.key", "ca.pem"), false},
        {"a certificate without its key", tls("server.pem", "server.key", "ca.pem"), "localhost",
         tls("client.pem", "stranger.key", "ca.pem"), false},
        {"plaintext to mutual TLS",
         tls("server.pem", "server.key", "ca.pem"),
         "localhost",
         {},
         false},
    };

    for (uint64_t reload_s : {0, 3600})
        for (const auto &each : cases) {
            diag_rpc_tls server = each.server, mine = each.client;
            server.reload_s = mine.reload_s = reload_s;
            std::string port = start(server);
            diag_rpc_client *client = connect(std::string(each.host) + ":" + port, mine);
            Reply reply = call(client, "/test.Service/Echo", "hello");

            EXPECT_EQ(each.is_fine ? 0 : 14, reply.code)
                << each.name << ": " << reply.status_message;
            EXPECT_EQ(each.is_fine ? "hello" : "", reply.response) << each.name;
            stop_server(0);
        }
}

TEST_F(TlsTest, FilesThatComeLaterAreWaitedFor) {
    std::string port = start(tls("server.pem", "server.key", "ca.pem"));
    diag_rpc_tls late = tls("late.pem", "late.key", "late_ca.pem");
    diag_error err = {};

    EXPECT_EQ(DIAG_ERR_NOT_FOUND, diag_rpc_tls_check_files(&late, &err));
    EXPECT_NE(nullptr, strstr(err.message, "--tls-cert: cannot open")) << err.message;
    late.reload_s = 1;
    diag_rpc_client *client = connect("localhost:" + port, late);
    EXPECT_NE(0, call(client, "/test.Service/Echo", "x").code);
    run("cp " + path("client.key") + " " + folder->file("late.key") + " && cp " + path("ca.pem") +
        " " + folder->file("late_ca.pem") + " && cp " + path("client.pem") + " " +
        folder->file("late.pem"));
    EXPECT_EQ(DIAG_OK, diag_rpc_tls_check_files(&late, &err)) << err.message;
    Reply reply = call(client, "/test.Service/Echo", "x", kPatienceMs, true);
    EXPECT_EQ("x", reply.response) << reply.status_message;
}

/* The server's certificate changes to one of another authority: whoever trusts only the old one is
 * out, whoever trusts the new one is in. */
TEST_F(TlsTest, ARenewedCertificateIsServed) {
    run("cp " + path("server.key") + " " + folder->file("renewed.key") + " && cp " +
        path("server.pem") + " " + folder->file("renewed.pem"));
    diag_rpc_tls server = tls("renewed.pem", "renewed.key", nullptr);
    server.reload_s = 1;
    std::string port = start(server);
    diag_rpc_client *old = connect("localhost:" + port, tls(nullptr, nullptr, "ca.pem"));
    EXPECT_EQ("x", call(old, "/test.Service/Echo", "x").response);

    signed_by("other_ca", "renewed", "DNS:localhost");
    bool never = false;
    Reply reply;
    for (int attempt = 0; attempt < 200 && reply.response != "y"; attempt++) {
        diag_rpc_client *now = connect("localhost:" + port, tls(nullptr, nullptr, "other_ca.pem"));
        reply = call(now, "/test.Service/Echo", "y");
        (void)diag_loop_run_until(loop_, &never, 100); /* nothing tells when gRPC has looked */
    }
    EXPECT_EQ("y", reply.response) << reply.status_message;
    EXPECT_EQ("x", call(old, "/test.Service/Echo", "x").response) << "open connections stay";
}

TEST_F(TlsTest, TlsOverAUnixSocket) {
    std::string address = "unix:" + folder_.file("socket");

    ASSERT_EQ(DIAG_OK, start_server(address, tls("server.pem", "server.key", "ca.pem")));
    diag_rpc_client *client = connect(address, tls("client.pem", "client.key", "ca.pem"));
    EXPECT_EQ("x", call(client, "/test.Service/Echo", "x").response);
}

TEST_F(TlsTest, BadFilesAreNamed) {
    const struct {
        const char *cert, *key, *ca;
        enum diag_status status;
        const char *message; /* with %s for the folder */
    } cases[] = {
        {"none.pem", "server.key", "ca.pem", DIAG_ERR_NOT_FOUND,
         "--tls-cert: cannot open %s/none.pem: No such file or directory"},
        {"server.pem", "none.key", "ca.pem", DIAG_ERR_NOT_FOUND,
         "--tls-key: cannot open %s/none.key: No such file or directory"},
        {"server.pem", "server.key", "none.pem", DIAG_ERR_NOT_FOUND,
         "--tls-ca: cannot open %s/none.pem: No such file or directory"},
        {"server.pem", "server.key", ".", DIAG_ERR_IO,
         "--tls-ca: cannot read %s/.: Is a directory"},
        {"empty.pem", "server.key", "ca.pem", DIAG_ERR_INVALID,
         "--tls-cert: %s/empty.pem is empty"},
        {"big.pem", "server.key", "ca.pem", DIAG_ERR_TOO_LARGE,
         "--tls-cert: %s/big.pem is longer than 1048576 bytes"},
        {"text.pem", "server.key", "ca.pem", DIAG_ERR_INVALID,
         "--tls-cert: %s/text.pem has no PEM block 'CERTIFICATE'"},
        {"server.pem", "server.pem", "ca.pem", DIAG_ERR_INVALID,
         "--tls-key: %s/server.pem has no PEM block 'PRIVATE KEY'"},
        {"server.pem", "server.key", "server.key", DIAG_ERR_INVALID,
         "--tls-ca: %s/server.key has no PEM block 'CERTIFICATE'"},
    };

    for (const auto &each : cases) {
        diag_rpc_tls files = tls(each.cert, each.key, each.ca);
        diag_rpc_client_options options = {};
        diag_rpc_client *client = nullptr;
        char expected[256];

        snprintf(expected, sizeof expected, each.message, folder->path().c_str());
        EXPECT_EQ(each.status, start_server("127.0.0.1:0", files));
        EXPECT_STREQ(expected, err_.message);
        EXPECT_EQ(nullptr, server_);
        options.address = "127.0.0.1:1";
        options.tls = files;
        EXPECT_EQ(each.status, diag_rpc_client_new(loop_, &options, &client, &err_));
        EXPECT_STREQ(expected, err_.message);
        EXPECT_EQ(nullptr, client);
    }
}

TEST_F(TlsTest, AServerNeedsACertificateAndItsKey) {
    const struct {
        const char *cert, *key;
    } cases[] = {{"server.pem", "client.key"}, {"garbage.pem", "garbage.pem"}};

    for (const auto &each : cases) {
        std::string address = "unix:" + folder_.file("socket");

        EXPECT_EQ(DIAG_ERR_INVALID, start_server(address, tls(each.cert, each.key, nullptr)));
        EXPECT_EQ("cannot serve TLS on " + address + " with --tls-cert " + path(each.cert) +
                      " and --tls-key " + path(each.key) + ": not a certificate and its key",
                  std::string(err_.message));
    }
}

} // namespace
} // namespace diag_test
