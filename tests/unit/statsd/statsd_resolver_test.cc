// SPDX-License-Identifier: MIT
#include "lib/statsd/statsd_resolver.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

struct diag_statsd_resolver *start(const char *host) {
    struct diag_statsd_peer peer = {};
    struct diag_statsd_resolver *resolver = nullptr;
    EXPECT_EQ(diag_statsd_peer_make(host, 8125, &peer, nullptr), DIAG_OK);
    EXPECT_EQ(diag_statsd_resolver_new(&peer, &resolver, nullptr), DIAG_OK);
    return resolver;
}

enum diag_status wait_for(struct diag_statsd_resolver *resolver,
                          struct diag_statsd_address *address) {
    enum diag_status status;
    while ((status = diag_statsd_resolver_poll(resolver, address)) == DIAG_ERR_BUSY)
        sched_yield();
    return status;
}

TEST(StatsdResolver, FindsOrDoesNot) {
    struct diag_statsd_address address = {};
    struct diag_statsd_resolver *resolver = start("LOCALHOST");

    EXPECT_EQ(wait_for(resolver, &address), DIAG_OK);
    EXPECT_NE(address.size, 0u);
    diag_statsd_resolver_free(resolver);

    address = {};
    resolver = start("no-such-host.invalid");
    EXPECT_EQ(wait_for(resolver, &address), DIAG_ERR_UNAVAILABLE);
    EXPECT_EQ(address.size, 0u);
    diag_statsd_resolver_free(resolver);
    diag_statsd_resolver_free(nullptr);
}

// Sanitizers see what is freed by whom.
TEST(StatsdResolver, MayBeFreedWhileAsking) {
    for (int i = 0; i < 50; i++)
        diag_statsd_resolver_free(start("LOCALHOST"));
}

TEST(StatsdResolver, AChildIsToldThatNobodyAsks) {
    bool was_seen = false;

    // the parent's thread may be quicker than the fork, and then the child has the answer
    for (int i = 0; i < 100 && !was_seen; i++) {
        struct diag_statsd_resolver *resolver = start("LOCALHOST");
        pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            struct diag_statsd_address address;
            _exit(diag_statsd_resolver_poll(resolver, &address));
        }
        int status;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFEXITED(status));
        was_seen = WEXITSTATUS(status) == DIAG_ERR_CLOSED;
        EXPECT_TRUE(was_seen || WEXITSTATUS(status) == DIAG_OK);
        diag_statsd_resolver_free(resolver);
    }
    EXPECT_TRUE(was_seen);
}

} // namespace
