/* SPDX-License-Identifier: MIT */
/* reporter - the Report stream: events to the controller.
 *
 * Requests that the controller has not acknowledged are kept, and sent again first on the next
 * stream. Credits in the mailbox bound how many there are; while there is no stream the local
 * thread is told to leave events in their rings.
 *
 * Threading: the loop's thread.
 * Ownership: borrows loop, client and mailbox. */
#ifndef DIAG_SIDECAR_REPORTER_H
#define DIAG_SIDECAR_REPORTER_H

#include "lib/rpc/client.h"
#include "sidecar/backoff.h"
#include "sidecar/drain.h"
#include "sidecar/mailbox.h"

DIAG_DECLS_BEGIN

#define DIAG_REPORTER_UNACKNOWLEDGED_MAX DIAG_DRAIN_IN_FLIGHT_MAX

struct diag_report_request;

struct diag_reporter {
    struct diag_loop *loop;
    struct diag_rpc_client *client;
    struct diag_mailbox *mailbox;
    struct diag_rpc_stream *stream; /* NULL: none */
    struct diag_loop_timer retry;
    struct diag_backoff backoff;
    struct diag_report_request *first; /* unacknowledged, in order */
    struct diag_report_request **last;
    uint64_t next_sequence;
    bool is_enabled;
    bool has_failed; /* said so in the log */
    diag_loop_fn *on_drained;
    void *drained_context;
};

/* Gives out the first credits. */
void diag_reporter_init(struct diag_reporter *reporter, struct diag_loop *loop,
                        struct diag_rpc_client *client, struct diag_mailbox *mailbox);

/* After the client has been freed. */
void diag_reporter_done(struct diag_reporter *reporter);

/* Whether there is a controller to report to. */
void diag_reporter_enable(struct diag_reporter *reporter, bool is_enabled);

/* Takes over the body of a request (see drain.h). */
void diag_reporter_add(struct diag_reporter *reporter, struct diag_buffer body);

/* Calls `on_drained` once nothing is unacknowledged or there is no stream, which may be at once. */
void diag_reporter_when_drained(struct diag_reporter *reporter, diag_loop_fn *on_drained,
                                void *context);

DIAG_DECLS_END

#endif
