// SPDX-License-Identifier: MIT
#include "lib/statsd/statsd_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "lib/base/clock.h"

namespace {

constexpr int kPatienceMs = 10000;

// A datagram socket that listens: at 127.0.0.1, at ::1 or at a path.
class Server {
  public:
    explicit Server(int family, const std::string &path = "", int port = 0) : path_(path) {
        fd_ = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct diag_statsd_address address = {};
        if (family == AF_UNIX) {
            address.size = sizeof address.socket.local;
            address.socket.local.sun_family = AF_UNIX;
            path.copy(address.socket.local.sun_path, path.size());
        } else {
            struct diag_statsd_peer peer = {};
            EXPECT_EQ(
                diag_statsd_peer_make(family == AF_INET ? "127.0.0.1" : "::1", 1, &peer, nullptr),
                DIAG_OK);
            EXPECT_EQ(diag_statsd_address_known(&peer, &address, nullptr), DIAG_OK);
            reinterpret_cast<struct sockaddr_in *>(&address.socket.any)->sin_port =
                htons(static_cast<uint16_t>(port));
        }
        is_bound_ = bind(fd_, &address.socket.any, address.size) == 0;
        struct sockaddr_in6 bound = {};
        socklen_t size = sizeof bound;
        if (family != AF_UNIX)
            getsockname(fd_, reinterpret_cast<struct sockaddr *>(&bound), &size);
        port_ = ntohs(bound.sin6_port); // at the same place in both families
    }

    ~Server() {
        close(fd_);
        if (!path_.empty())
            unlink(path_.c_str());
    }

    bool is_bound() const { return is_bound_; }
    int port() const { return port_; }

    std::string receive() {
        char buffer[65536];
        struct pollfd wait = {fd_, POLLIN, 0};
        if (poll(&wait, 1, kPatienceMs) != 1)
            return "(nothing)";
        ssize_t size = recv(fd_, buffer, sizeof buffer, 0);
        return std::string(buffer, static_cast<size_t>(size));
    }

    bool has_nothing() {
        struct pollfd wait = {fd_, POLLIN, 0};
        return poll(&wait, 1, 0) == 0;
    }

  private:
    int fd_, port_;
    bool is_bound_;
    std::string path_;
};

class Client {
  public:
    Client(const std::string &host, int port) {
        struct diag_statsd_peer peer = {};
        EXPECT_EQ(diag_statsd_peer_make(host.c_str(), port, &peer, nullptr), DIAG_OK);
        EXPECT_EQ(diag_statsd_client_new(&peer, &client_, nullptr), DIAG_OK);
    }
    ~Client() { diag_statsd_client_free(client_); }

    void send(const std::string &text, size_t count = 1) {
        diag_statsd_client_send(client_, diag_bytes_make(text.data(), text.size()), count);
    }
    std::string counts() const {
        struct diag_statsd_counts counts = diag_statsd_client_counts(client_);
        return std::to_string(counts.sent) + " " + std::to_string(counts.dropped) + " " +
               std::to_string(counts.failed);
    }
    struct diag_statsd_client *get() {
        return client_;
    }

  private:
    struct diag_statsd_client *client_;
};

std::string make_path() {
    char folder[] = "/tmp/diag.XXXXXX";
    EXPECT_NE(mkdtemp(folder), nullptr);
    return std::string(folder) + "/s";
}

void remove_path(const std::string &path) {
    unlink(path.c_str());
    rmdir(path.substr(0, path.size() - 2).c_str());
}

// The number of the one descriptor that a send has opened.
int find_socket(int from, int to) {
    for (int fd = from; fd < to; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return fd;
    return -1;
}

TEST(StatsdClient, SendsByIpv4AndIpv6AndUnix) {
    std::string path = make_path();
    {
        Server v4(AF_INET), v6(AF_INET6), local(AF_UNIX, path);
        struct {
            Server *server;
            std::string host;
        } const cases[] = {
            {&v4, "127.0.0.1"}, {&v4, "localhost"}, {&v6, "[::1]"}, {&local, "unix://" + path}};
        for (const auto &c : cases) {
            if (!c.server->is_bound())
                continue; // a machine without IPv6
            Client client(c.host, c.server->port() == 0 ? 1 : c.server->port());
            errno = 77;
            client.send("a:1|c\nb:2|c", 2);
            client.send("c:3|c");
            EXPECT_EQ(errno, 77);
            EXPECT_EQ(c.server->receive(), "a:1|c\nb:2|c");
            EXPECT_EQ(c.server->receive(), "c:3|c");
            EXPECT_EQ(client.counts(), "3 0 0");
        }
    }
    remove_path(path);
}

TEST(StatsdClient, OpensNothingBeforeTheFirstSend) {
    Server server(AF_INET);
    Client client("127.0.0.1", server.port());

    EXPECT_EQ(find_socket(100, 1024), -1);
    client.send("x:1|c");
    EXPECT_NE(find_socket(100, 1024), -1);
    diag_statsd_client_close(client.get());
    EXPECT_EQ(find_socket(100, 1024), -1);
    client.send("y:1|c");
    EXPECT_EQ(server.receive(), "x:1|c");
    EXPECT_EQ(server.receive(), "y:1|c");
}

TEST(StatsdClient, NobodyThereAndThenSomebody) {
    int port;
    {
        Server server(AF_INET);
        port = server.port();
    }
    Client client("127.0.0.1", port);
    client.send("lost:1|c\nlost:2|c", 2);
    EXPECT_EQ(client.counts(), "2 0 0");
    client.send("lost:3|c");
    EXPECT_EQ(client.counts(), "1 0 2") << "the first was refused";

    Server server(AF_INET, "", port);
    ASSERT_TRUE(server.is_bound());
    client.send("found:1|c");
    EXPECT_EQ(server.receive(), "found:1|c");
    EXPECT_EQ(client.counts(), "1 0 3");
    client.send("found:2|c");
    EXPECT_EQ(server.receive(), "found:2|c");
    EXPECT_EQ(client.counts(), "2 0 3");
}

TEST(StatsdClient, AFullBufferDropsAndDoesNotBlock) {
    std::string path = make_path();
    {
        Server server(AF_UNIX, path);
        Client client("unix://" + path, 1);
        size_t total = 0;
        while (diag_statsd_client_counts(client.get()).dropped == 0 && total < 100000) {
            client.send("x:1|c");
            total++;
        }
        struct diag_statsd_counts counts = diag_statsd_client_counts(client.get());
        EXPECT_EQ(counts.dropped, 1u);
        EXPECT_EQ(counts.sent, total - 1);
        EXPECT_EQ(counts.failed, 0u);
        server.receive();
        client.send("y:1|c");
        EXPECT_EQ(diag_statsd_client_counts(client.get()).sent, total);
    }
    remove_path(path);
}

TEST(StatsdClient, ARestartOfAUnixServerIsFollowed) {
    std::string path = make_path();
    signal(SIGPIPE, SIG_DFL);
    Client client("unix://" + path, 1);
    {
        Server server(AF_UNIX, path);
        client.send("x:1|c");
        EXPECT_EQ(server.receive(), "x:1|c");
    }
    {
        Server server(AF_UNIX, path);
        client.send("y:1|c");
        EXPECT_EQ(server.receive(), "y:1|c");
        EXPECT_EQ(client.counts(), "2 0 0");
    }
    client.send("z:1|c");
    EXPECT_EQ(client.counts(), "2 0 1");
    // after a failure it takes a moment, in which every metric is counted
    Server server(AF_UNIX, path);
    uint64_t end_ns = diag_clock_monotonic_ns() + kPatienceMs * DIAG_NS_PER_MS;
    while (server.has_nothing() && diag_clock_monotonic_ns() < end_ns) {
        client.send("again:1|c");
        sched_yield();
    }
    EXPECT_EQ(server.receive(), "again:1|c");
    EXPECT_EQ(diag_statsd_client_counts(client.get()).sent, 3u);
    remove_path(path);
}

TEST(StatsdClient, ADescriptorThatIsSomebodyElsesNowIsLeftAlone) {
    Server server(AF_INET);
    Client client("127.0.0.1", server.port());
    client.send("x:1|c");
    int number = find_socket(100, 1024);
    ASSERT_NE(number, -1);

    // what a daemon does, and then opens files and sockets of its own
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(number);
    ASSERT_EQ(dup2(pair[0], number), number);
    client.send("y:1|c");
    EXPECT_EQ(server.receive(), "x:1|c");
    EXPECT_EQ(server.receive(), "y:1|c");
    struct pollfd other = {pair[1], POLLIN, 0};
    EXPECT_EQ(poll(&other, 1, 0), 0) << "wrote into the application's socket";
    diag_statsd_client_close(client.get());
    EXPECT_GE(fcntl(number, F_GETFD), 0) << "closed the application's socket";
    EXPECT_EQ(client.counts(), "2 0 0");
    close(number);
    close(pair[0]);
    close(pair[1]);
}

TEST(StatsdClient, AForkedChildGoesOn) {
    Server server(AF_INET);
    Client client("127.0.0.1", server.port());
    client.send("parent:1|c");
    EXPECT_EQ(server.receive(), "parent:1|c");
    pid_t child = fork();
    if (child == 0) {
        client.send("child:1|c");
        _exit(client.counts() == "2 0 0" ? 0 : 1);
    }
    int status;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(server.receive(), "child:1|c");
    client.send("parent:2|c");
    EXPECT_EQ(server.receive(), "parent:2|c");
    EXPECT_EQ(client.counts(), "2 0 0");
}

TEST(StatsdClient, ANameIsLookedUpMeanwhile) {
    Server server(AF_INET);
    Client client("LOCALHOST", server.port());
    uint64_t total = 0;

    while (diag_statsd_client_counts(client.get()).sent == 0) {
        client.send("x:1|c");
        total++;
        sched_yield();
    }
    struct diag_statsd_counts counts = diag_statsd_client_counts(client.get());
    EXPECT_GE(counts.dropped, 1u) << "the first one cannot know the address";
    EXPECT_EQ(counts.sent + counts.dropped, total);
}

TEST(StatsdClient, AChildLooksUpForItself) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizers' own locks do not survive a fork beside a thread";
#endif
    Server server(AF_INET);

    for (int i = 0; i < 20; i++) {
        Client client("LOCALHOST", server.port());
        client.send("x:1|c");
        pid_t child = fork();
        if (child == 0) {
            uint64_t end_ns = diag_clock_monotonic_ns() + kPatienceMs * DIAG_NS_PER_MS;
            while (diag_statsd_client_counts(client.get()).sent == 0 &&
                   diag_clock_monotonic_ns() < end_ns) {
                client.send("x:1|c");
                sched_yield();
            }
            _exit(diag_statsd_client_counts(client.get()).sent == 1 ? 0 : 1);
        }
        int status;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
}

TEST(StatsdClient, NoSuchName) {
    Client client("no-such-host.invalid", 8125);

    client.send("x:1|c");
    client.send("y:1|c\nz:1|c", 2);
    EXPECT_EQ(client.counts(), "0 3 0");
}

TEST(StatsdClient, OpenTellsOfErrors) {
    Client client("unix:///nonexistent/socket", 1);
    struct diag_statsd_address address = {};
    struct diag_error err = {};

    ASSERT_EQ(diag_statsd_address_known(diag_statsd_client_peer(client.get()), &address, nullptr),
              DIAG_OK);
    EXPECT_EQ(diag_statsd_client_open(client.get(), &address, &err), DIAG_ERR_IO);
    EXPECT_STREQ(err.message, "unix:///nonexistent/socket: No such file or directory");
    client.send("x:1|c");
    EXPECT_EQ(client.counts(), "0 0 1");
}

TEST(StatsdClient, AMessageThatIsTooLongFails) {
    Server server(AF_INET);
    Client client("127.0.0.1", server.port());

    client.send(std::string(70000, 'x'));
    EXPECT_EQ(client.counts(), "0 0 1");
    client.send("x:1|c");
    EXPECT_EQ(server.receive(), "x:1|c");
}

} // namespace
