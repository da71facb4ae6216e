// SPDX-License-Identifier: MIT
#include "lib/base/owned_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

TEST(OwnedFd, MovesOutOfTheWay) {
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    struct diag_owned_fd owned = diag_owned_fd_take(fds[0]);

    EXPECT_GT(owned.fd, 100);
    EXPECT_EQ(fcntl(fds[0], F_GETFD), -1);
    EXPECT_EQ(fcntl(owned.fd, F_GETFD), FD_CLOEXEC);
    EXPECT_TRUE(diag_owned_fd_is_ours(&owned));
    int fd = owned.fd;
    diag_owned_fd_close(&owned);
    EXPECT_EQ(owned.fd, -1);
    EXPECT_EQ(fcntl(fd, F_GETFD), -1);
    diag_owned_fd_close(&owned);
    close(fds[1]);
}

TEST(OwnedFd, ANumberThatIsSomebodyElsesNowIsLeftAlone) {
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    struct diag_owned_fd owned = diag_owned_fd_take(fds[0]);
    int number = owned.fd;

    close(number);
    EXPECT_FALSE(diag_owned_fd_is_ours(&owned));
    int other = open("/dev/null", O_RDONLY);
    ASSERT_EQ(dup2(other, number), number);
    EXPECT_FALSE(diag_owned_fd_is_ours(&owned));
    diag_owned_fd_close(&owned);
    EXPECT_NE(fcntl(number, F_GETFD), -1) << "closed what was not ours";
    close(number);
    close(other);
    close(fds[1]);
}

TEST(OwnedFd, None) {
    struct diag_owned_fd owned = diag_owned_fd_take(-1);

    EXPECT_EQ(owned.fd, -1);
    EXPECT_FALSE(diag_owned_fd_is_ours(&owned));
    diag_owned_fd_close(&owned);
}
