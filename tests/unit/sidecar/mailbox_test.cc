/* SPDX-License-Identifier: MIT */
#include "sidecar/mailbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <thread>

namespace {

class Mailbox : public ::testing::Test {
  protected:
    void SetUp() override { ASSERT_EQ(diag_mailbox_init(&mailbox, nullptr), DIAG_OK); }
    void TearDown() override { diag_mailbox_done(&mailbox); }
    bool IsReadable() {
        pollfd wait = {mailbox.event_fd, POLLIN, 0};
        return poll(&wait, 1, 0) == 1;
    }
    static bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }
    static int Open() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

    diag_mailbox mailbox;
};

TEST_F(Mailbox, BeginsQuiet) {
    EXPECT_FALSE(IsReadable());
    diag_mail mail = diag_mailbox_take(&mailbox);
    EXPECT_EQ(mail.snapshot_fd, -1);
    EXPECT_EQ(mail.credits, 0u);
    EXPECT_FALSE(mail.are_events_wanted || mail.is_reporting || mail.should_stop);
}

TEST_F(Mailbox, StateStaysAndCreditsAreTakenOnce) {
    diag_mailbox_post_credits(&mailbox, 8);
    diag_mailbox_post_credits(&mailbox, 1);
    diag_mailbox_post_events_wanted(&mailbox, true);
    diag_mailbox_post_reporting(&mailbox, true);
    EXPECT_TRUE(IsReadable());
    diag_mail mail = diag_mailbox_take(&mailbox);
    EXPECT_FALSE(IsReadable());
    EXPECT_EQ(mail.credits, 9u);
    EXPECT_TRUE(mail.are_events_wanted && mail.is_reporting);
    diag_mailbox_post_reporting(&mailbox, false);
    mail = diag_mailbox_take(&mailbox);
    EXPECT_EQ(mail.credits, 0u);
    EXPECT_TRUE(mail.are_events_wanted);
    EXPECT_FALSE(mail.is_reporting);
    diag_mailbox_post_stop(&mailbox);
    EXPECT_TRUE(diag_mailbox_take(&mailbox).should_stop);
}

TEST_F(Mailbox, OnlyTheLatestSnapshotCounts) {
    int first = Open(), second = Open(), third = Open();
    diag_mailbox_post_snapshot(&mailbox, first, 1);
    diag_mailbox_post_snapshot(&mailbox, second, 2);
    EXPECT_FALSE(IsOpen(first));
    diag_mail mail = diag_mailbox_take(&mailbox);
    EXPECT_EQ(mail.snapshot_fd, second);
    EXPECT_EQ(mail.snapshot, 2u);
    EXPECT_EQ(diag_mailbox_take(&mailbox).snapshot_fd, -1);
    EXPECT_TRUE(IsOpen(second)) << "it is the taker's";
    close(second);
    diag_mailbox_post_snapshot(&mailbox, third, 3);
    diag_mailbox_done(&mailbox);
    EXPECT_FALSE(IsOpen(third));
    ASSERT_EQ(diag_mailbox_init(&mailbox, nullptr), DIAG_OK);
}

TEST_F(Mailbox, NoPostIsMissed) {
    const uint32_t kPosts = 20000;
    std::thread poster([this] {
        for (uint32_t i = 0; i < kPosts; i++)
            diag_mailbox_post_credits(&mailbox, 1);
        diag_mailbox_post_stop(&mailbox);
    });
    uint32_t credits = 0;
    for (bool should_stop = false; !should_stop;) {
        pollfd wait = {mailbox.event_fd, POLLIN, 0};
        ASSERT_EQ(poll(&wait, 1, -1), 1);
        diag_mail mail = diag_mailbox_take(&mailbox);
        credits += mail.credits;
        should_stop = mail.should_stop;
    }
    poster.join();
    EXPECT_EQ(credits, kPosts);
}

} // namespace
