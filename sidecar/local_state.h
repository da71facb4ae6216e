/* SPDX-License-Identifier: MIT */
/* local_state - what the three sources of the local thread share; private to them.
 *
 * Threading: the local thread. */
#ifndef DIAG_SIDECAR_LOCAL_STATE_H
#define DIAG_SIDECAR_LOCAL_STATE_H

#include "sidecar/local.h"
#include "sidecar/process.h"

DIAG_DECLS_BEGIN

#define DIAG_LOCAL_NEVER UINT64_MAX /* of a time */

struct diag_local {
    struct diag_local_options options;
    int epoll_fd;
    struct diag_watch listener, mailbox, signal;
    struct diag_process *processes;
    size_t counts[DIAG_PROCESS_ENDED + 1]; /* by state */
    struct diag_drain drain;
    struct diag_mail mail; /* what was wanted last; its snapshot_fd and credits are ours */
    uint64_t window_ends_ns;
    uint64_t next_pass_ns;
    uint64_t accept_again_ns;
    uint8_t buffer[DIAG_LOCAL_SOCKET_BUFFER_SIZE];
};

/* ---- local.c ---- */

DIAG_MUST_CHECK enum diag_status diag_local_watch(struct diag_local *local, int fd,
                                                  struct diag_watch *data, struct diag_error *err);
void diag_local_change_watch(struct diag_local *local, int fd, struct diag_watch *data,
                             uint32_t events);

/* ---- local_peers.c; none of these frees a process, it becomes ENDED at most ---- */

void diag_local_accept_processes(struct diag_local *local);
void diag_local_read_messages(struct diag_local *local, struct diag_process *process);

/* The latest one, unless the process has it. */
void diag_local_send_snapshot(struct diag_local *local, struct diag_process *process);

/* What is left of it is a ring to drain, if that. `is_dead`: nobody writes it any more. */
void diag_local_end_process(struct diag_local *local, struct diag_process *process, bool is_dead);

/* Tells the peer why, and ends the connection. */
void diag_local_refuse(struct diag_local *local, struct diag_process *process,
                       const struct diag_error *why);

/* Plans to tell the process's status: news at once unless some went just now, counters each
 * second. */
void diag_local_note_update(struct diag_process *process, bool is_news, uint64_t now);
void diag_local_tell_update(struct diag_local *local, struct diag_process *process, uint64_t now);

/* ---- local_rings.c ---- */

/* Reads the rings, and plans the next pass. */
void diag_local_run_pass(struct diag_local *local, uint64_t now);

/* Forwards what may still be forwarded. */
void diag_local_run_last_pass(struct diag_local *local);

DIAG_DECLS_END

#endif
