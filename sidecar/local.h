/* SPDX-License-Identifier: MIT */
/* local - the thread that serves the processes beside the sidecar: their sockets and rings.
 *
 * Threading: diag_local_run in a thread of its own; the others before it and after it. It is told
 *            things through the mailbox, and tells things through the sink, from its thread.
 * Ownership: borrows the descriptors and the mailbox. */
#ifndef DIAG_SIDECAR_LOCAL_H
#define DIAG_SIDECAR_LOCAL_H

#include "lib/base/bytes.h"
#include "sidecar/mailbox.h"

DIAG_DECLS_BEGIN

struct diag_local;

/* Each takes ownership of the buffers. */
struct diag_local_sink {
    void *context;
    /* The body of a ReportRequest (see drain.h). Uses up one credit of the mailbox. */
    void (*request)(void *context, struct diag_buffer body);
    /* A process's ProcessStatus, new or changed. */
    void (*process_changed)(void *context, const char *uid, struct diag_buffer status);
    void (*process_ended)(void *context, const char *uid);
    /* `signal_fd` was readable. */
    void (*signalled)(void *context);
    /* diag_local_run is about to return; nothing follows. */
    void (*stopped)(void *context);
};

struct diag_local_options {
    int listen_fd;
    int signal_fd; /* signalfd, or -1 */
    struct diag_mailbox *mailbox;
    struct diag_local_sink sink;
    uint64_t ring_size;
    size_t max_processes;
    uint64_t max_memory; /* bytes of all segments together */
};

DIAG_MUST_CHECK enum diag_status diag_local_new(const struct diag_local_options *options,
                                                struct diag_local **out, struct diag_error *err);

/* Hangs up on all processes. NULL is fine. */
void diag_local_free(struct diag_local *local);

/* Serves until the mailbox says stop; forwards what it can before it returns. */
void diag_local_run(struct diag_local *local);

DIAG_DECLS_END

#endif
