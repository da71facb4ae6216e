/* SPDX-License-Identifier: MIT */
/* local_socket - messages and descriptors between a sidecar and the processes beside it.
 *
 * Threading: one thread per socket and direction.
 * Layout:    shm_abi.h; source of the mechanism: unix(7), cmsg(3). */
#ifndef DIAG_LIB_SHM_LOCAL_SOCKET_H
#define DIAG_LIB_SHM_LOCAL_SOCKET_H

#include "lib/base/bytes.h"
#include "lib/shm/shm_abi.h"

DIAG_DECLS_BEGIN

#define DIAG_LOCAL_SOCKET_FDS_MAX 2

/* Binds and listens, non-blocking, close-on-exec, mode 0666 (any user of the pod may connect; the
 * folder decides who sees it). PATH.lock is locked for as long as *lock_fd is open:
 * DIAG_ERR_BUSY when another live process has it; a stale socket is replaced. The caller owns both
 * descriptors, and unlinks PATH at its end. DIAG_ERR_TOO_LARGE: the path exceeds what a unix
 * socket can have (107 bytes). */
DIAG_MUST_CHECK enum diag_status diag_local_socket_listen(const char *path, int *listen_fd,
                                                          int *lock_fd, struct diag_error *err);

/* Connects, non-blocking afterwards, close-on-exec. DIAG_ERR_UNAVAILABLE: nobody listens. */
DIAG_MUST_CHECK enum diag_status diag_local_socket_connect(const char *path, int *fd,
                                                           struct diag_error *err);

/* Sends one message. Never blocks and never raises SIGPIPE. The descriptors stay the caller's.
 * DIAG_ERR_FULL: the peer does not read. DIAG_ERR_CLOSED: the peer is gone. */
DIAG_MUST_CHECK enum diag_status diag_local_socket_send(int fd, enum diag_shm_message_type type,
                                                        struct diag_bytes payload, const int *fds,
                                                        size_t fd_count, struct diag_error *err);

struct diag_local_message {
    enum diag_shm_message_type type;
    struct diag_bytes payload;          /* borrowed from the buffer */
    int fds[DIAG_LOCAL_SOCKET_FDS_MAX]; /* owned by the caller, -1 where there is none */
    size_t fd_count;
};

#define DIAG_LOCAL_SOCKET_BUFFER_SIZE                                                              \
    (sizeof(struct diag_shm_message) + DIAG_SHM_SOCKET_PAYLOAD_MAX)

/* Receives one message. Never blocks. DIAG_ERR_UNAVAILABLE: nothing there now. DIAG_ERR_CLOSED:
 * the peer has closed. DIAG_ERR_PROTOCOL, DIAG_ERR_VERSION: not a message of ours; any descriptors
 * that came along have been closed. */
DIAG_MUST_CHECK enum diag_status
diag_local_socket_receive(int fd, uint8_t buffer[DIAG_LOCAL_SOCKET_BUFFER_SIZE],
                          struct diag_local_message *out, struct diag_error *err);

/* Closes the descriptors that nobody took. */
void diag_local_message_done(struct diag_local_message *message);

DIAG_DECLS_END

#endif
