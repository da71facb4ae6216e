// SPDX-License-Identifier: MIT
#include "lib/base/stop_signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

TEST(StopSignals, AreBlockedInThreadsThatStartLater) {
    diag_stop_signals_block();
    for (int number : {SIGTERM, SIGINT}) {
        std::thread([number] {
            sigset_t blocked, signals = diag_stop_signals();
            pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
            EXPECT_EQ(sigismember(&blocked, number), 1);
            kill(getpid(), number); // would end the test
            int arrived = 0;
            EXPECT_EQ(sigwait(&signals, &arrived), 0);
            EXPECT_EQ(arrived, number);
        }).join();
    }
    sigset_t signals = diag_stop_signals();
    EXPECT_EQ(sigismember(&signals, SIGHUP), 0);
}
