/* SPDX-License-Identifier: MIT */
/* local_state - the local thread's insides, shared by the local*.c only.
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
    uint64_t read_total; /* how far all rings have been read */
    unsigned idle_pass_count;
    uint64_t accept_again_ns;
    uint8_t buffer[DIAG_LOCAL_SOCKET_BUFFER_SIZE];
};

/* ---- local.c ---- */

/* Adds a descriptor to the loop, for reading; changes what is waited for (EPOLL*). */
DIAG_MUST_CHECK enum diag_status diag_local_watch(struct diag_local *local, int fd,
                                                  struct diag_watch *data, struct diag_error *err);
void diag_local_change_watch(struct diag_local *local, int fd, struct diag_watch *data,
                             uint32_t events);

/* ---- local_process.c ---- */

/* Takes all connections that wait. */
void diag_local_accept(struct diag_local *local);

/* Reads some of what a process that is NEW or LIVE has sent; it may be ENDED afterwards. */
void diag_local_read_messages(struct diag_local *local, struct diag_process *process);

/* Sends what the mailbox said last, if it has not gone out already. */
void diag_local_send_snapshot(struct diag_local *local, struct diag_process *process);

/* Hands its ProcessStatus to the sink. */
void diag_local_tell_update(struct diag_local *local, struct diag_process *process, uint64_t now);

/* Tells the peer why, and ends the connection. */
void diag_local_refuse(struct diag_local *local, struct diag_process *process,
                       const struct diag_error *why);

/* It is ENDED from now on: what is left of it is a ring to drain, if that. */
void diag_local_end_process(struct diag_local *local, struct diag_process *process, bool is_dead);

/* ---- local_join.c ---- */

/* Takes HELLO: the process is LIVE, or `err` says why not. */
DIAG_MUST_CHECK enum diag_status diag_local_join(struct diag_local *local,
                                                 struct diag_process *process,
                                                 struct diag_local_message *message,
                                                 struct diag_error *err);

/* Gives up the ring of the process that has been dead for longest. False: there is none. */
bool diag_local_give_up_oldest(struct diag_local *local);

/* ---- local_rings.c ---- */

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
