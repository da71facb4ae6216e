/* SPDX-License-Identifier: MIT */
/* local_state - the local thread's insides, shared by local.c and local_rings.c only.
 *
 * Threading: the local thread. */
#ifndef DIAG_SIDECAR_LOCAL_STATE_H
#define DIAG_SIDECAR_LOCAL_STATE_H

#include "sidecar/local.h"
#include "sidecar/process.h"
#include "sidecar/refusals.h"

DIAG_DECLS_BEGIN

#define DIAG_LOCAL_NEVER UINT64_MAX

struct diag_local {
    struct diag_local_options options;
    int epoll_fd;
    struct diag_watch listener, mailbox, signal;
    struct diag_process *processes;
    size_t counts[DIAG_PROCESS_ENDED + 1]; /* by state */
    struct diag_refusals refusals;
    struct diag_drain drain;
    struct diag_mail mail; /* what was wanted last; its snapshot_fd and credits are ours */
    uint64_t window_ends_ns;
    uint64_t next_pass_ns;
    uint64_t accept_again_ns;
    uint8_t buffer[DIAG_LOCAL_SOCKET_BUFFER_SIZE];
};

/* One look at all rings; says in next_pass_ns when the next one is due. */
void diag_local_run_pass(struct diag_local *local, uint64_t now);

/* Reads all rings. True if there may be more to read at once. */
bool diag_local_read_rings(struct diag_local *local);

/* After new credits: frees the room in the rings whose events the controller has. */
void diag_local_free_acknowledged(struct diag_local *local);

/* Hands over the request that is being filled. */
void diag_local_flush(struct diag_local *local);

DIAG_DECLS_END

#endif
