/* SPDX-License-Identifier: MIT */
/* owned_fd - descriptors that live in somebody else's process.
 *
 * An application may close descriptors that are not its own (a daemon does so for all of them), and
 * the numbers are then given to its next files. So ours are kept at high numbers, and looked at
 * before they are used: a number that has become the application's is neither written to, nor
 * read, nor closed.
 *
 * Threading: none needed; one owner at a time.
 * Limits:    all eventfds have one inode, and so cannot be told apart from one another. */
#ifndef DIAG_LIB_BASE_OWNED_FD_H
#define DIAG_LIB_BASE_OWNED_FD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

struct diag_owned_fd {
    int fd; /* -1: none */
    uint64_t device;
    uint64_t inode;
};

#define DIAG_OWNED_FD_NONE                                                                         \
    { -1, 0, 0 }

/* Takes `fd` over, moving it to a high number where there is one (close-on-exec). -1 is fine. */
struct diag_owned_fd diag_owned_fd_take(int fd);

/* True if the number still is what was taken. errno is left as it was. */
bool diag_owned_fd_is_ours(const struct diag_owned_fd *owned);

/* Closes it if it still is ours, and forgets it in any case. */
void diag_owned_fd_close(struct diag_owned_fd *owned);

DIAG_DECLS_END

#endif
