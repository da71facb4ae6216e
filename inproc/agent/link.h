/* SPDX-License-Identifier: MIT */
/* link - the process's connection to the sidecar beside it. Knows nothing of Python.
 *
 * Threading: the control thread only.
 * Fork:      the child calls diag_link_close and opens a link of its own.
 * Layout:    lib/shm/shm_abi.h */
#ifndef DIAG_INPROC_AGENT_LINK_H
#define DIAG_INPROC_AGENT_LINK_H

#include <stdbool.h>

#include "lib/base/owned_fd.h"
#include "lib/shm/local_socket.h"
#include "lib/shm/segment.h"

DIAG_DECLS_BEGIN

struct diag_link {
    struct diag_owned_fd socket; /* fd -1: not connected */
    uint8_t buffer[DIAG_LOCAL_SOCKET_BUFFER_SIZE];
};

enum diag_link_event_kind {
    DIAG_LINK_WELCOME,  /* `segment` and `wake_fd`: now the caller's */
    DIAG_LINK_SNAPSHOT, /* `snapshot`: to be given to diag_sealed_memfd_unmap */
    DIAG_LINK_REFUSED,  /* `reason` */
};

struct diag_link_event {
    enum diag_link_event_kind kind;
    struct diag_segment segment;
    int wake_fd;
    struct diag_bytes snapshot;
    struct diag_bytes reason; /* borrowed from the link until the next call */
};

void diag_link_init(struct diag_link *link);

/* Connects and says HELLO with `process_info` (an encoded diagnose.v1.ProcessInfo). A `segment_fd`
 * that is not -1 offers the segment that an earlier sidecar gave us; it stays the caller's.
 * DIAG_ERR_UNAVAILABLE: nobody listens at `socket_path`. */
DIAG_MUST_CHECK enum diag_status diag_link_open(struct diag_link *link, const char *socket_path,
                                                struct diag_bytes process_info, int segment_fd,
                                                struct diag_error *err);

/* Takes the next message. DIAG_ERR_UNAVAILABLE: none is there. Anything else, such as
 * DIAG_ERR_CLOSED when the sidecar has gone or the application has closed our descriptor: the link
 * is of no use any more; close it. */
DIAG_MUST_CHECK enum diag_status
diag_link_receive(struct diag_link *link, struct diag_link_event *out, struct diag_error *err);

/* Sends an encoded diagnose.v1.LocalReport. DIAG_ERR_FULL: the sidecar does not read just now. */
DIAG_MUST_CHECK enum diag_status diag_link_report(struct diag_link *link, struct diag_bytes report,
                                                  struct diag_error *err);

void diag_link_close(struct diag_link *link);

DIAG_DECLS_END

#endif
