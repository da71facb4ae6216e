/* SPDX-License-Identifier: MIT */
#include "lib/base/owned_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* High enough to be out of the way of open(), which gives the lowest number; low enough not to
 * make the kernel's table of descriptors grow, and for select(). */
#define HIGH_FD_MAX 1024
#define HIGH_FD_ROOM 64

static int high_fd(void) {
    struct rlimit limit;
    rlim_t end = HIGH_FD_MAX;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < end)
        end = limit.rlim_cur;
    return end > 2 * HIGH_FD_ROOM ? (int)end - HIGH_FD_ROOM : 3;
}

static bool identify(int fd, uint64_t *device, uint64_t *inode) {
    int saved_errno = errno;
    struct stat file;
    bool is_open = fstat(fd, &file) == 0;

    errno = saved_errno;
    if (!is_open)
        return false;
    *device = (uint64_t)file.st_dev;
    *inode = (uint64_t)file.st_ino;
    return true;
}

struct diag_owned_fd diag_owned_fd_take(int fd) {
    struct diag_owned_fd owned = DIAG_OWNED_FD_NONE;
    int high;

    if (fd < 0)
        return owned;
    high = fcntl(fd, F_DUPFD_CLOEXEC, high_fd());
    if (high >= 0)
        close(fd);
    owned.fd = high >= 0 ? high : fd;
    if (!identify(owned.fd, &owned.device, &owned.inode))
        owned.fd = -1;
    return owned;
}

bool diag_owned_fd_is_ours(const struct diag_owned_fd *owned) {
    uint64_t device, inode;

    return owned->fd >= 0 && identify(owned->fd, &device, &inode) && device == owned->device &&
           inode == owned->inode;
}

void diag_owned_fd_close(struct diag_owned_fd *owned) {
    if (diag_owned_fd_is_ours(owned))
        close(owned->fd);
    owned->fd = -1;
}
