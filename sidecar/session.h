/* SPDX-License-Identifier: MIT */
/* session - the Sync stream: specs from the controller, statuses to it; reconnects for ever.
 *
 * A stream that ends leaves the specs where they are. Only when the controller has been away for
 * longer than the ttl that it gave are they taken out of the processes.
 *
 * Threading: the loop's thread.
 * Ownership: borrows everything that it is given. */
#ifndef DIAG_SIDECAR_SESSION_H
#define DIAG_SIDECAR_SESSION_H

#include "lib/base/uid.h"
#include "lib/rpc/client.h"
#include "sidecar/backoff.h"
#include "sidecar/labels.h"
#include "sidecar/options.h"
#include "sidecar/outage.h"
#include "sidecar/reporter.h"
#include "sidecar/roster.h"
#include "sidecar/spec_table.h"

DIAG_DECLS_BEGIN

/* Until a controller has given one. */
#define DIAG_SESSION_DEFAULT_TTL_MS 60000

struct diag_session {
    const struct diag_sidecar_options *options;
    const struct diag_sidecar_labels *labels;
    struct diag_loop *loop;
    struct diag_rpc_client *client;
    struct diag_mailbox *mailbox;
    struct diag_reporter *reporter;
    char uid[DIAG_UID_SIZE];

    struct diag_rpc_stream *stream; /* NULL: none */
    bool is_connected;              /* the controller has answered on this stream */
    bool is_stopping;
    struct diag_outage outage;
    struct diag_backoff backoff;
    struct diag_loop_timer retry, lost, expiry, report;

    struct diag_spec_table specs;
    uint64_t snapshot; /* number of the last one, 0 before the first */
    uint64_t ttl_ms;
    struct diag_roster roster;
    uint64_t last_report_ns; /* CLOCK_MONOTONIC */
};

/* DIAG_ERR_IO: no random bits for the uid. */
DIAG_MUST_CHECK enum diag_status
diag_session_init(struct diag_session *session, const struct diag_sidecar_options *options,
                  const struct diag_sidecar_labels *labels, struct diag_loop *loop,
                  struct diag_rpc_client *client, struct diag_mailbox *mailbox,
                  struct diag_reporter *reporter, struct diag_error *err);

/* After the client has been freed. */
void diag_session_done(struct diag_session *session);

/* Opens the first stream. */
void diag_session_start(struct diag_session *session);

/* Tells the controller what is still untold, and ends the stream without another attempt. */
void diag_session_stop(struct diag_session *session);

/* A process is new or has changed; takes over the encoded ProcessStatus. */
void diag_session_process_changed(struct diag_session *session, const char *uid,
                                  struct diag_buffer *status);
void diag_session_process_ended(struct diag_session *session, const char *uid);

DIAG_DECLS_END

#endif
