/* SPDX-License-Identifier: MIT */
/* uplink - carries what the local thread has to tell to the loop's thread.
 *
 * Threading: the sink's functions on the local thread; session, reporter and callbacks are called
 *            on the loop's.
 * Ownership: borrows everything. What has been posted when the loop is freed is lost, so stop the
 *            local thread and wait for `stopped` first. */
#ifndef DIAG_SIDECAR_UPLINK_H
#define DIAG_SIDECAR_UPLINK_H

#include "sidecar/local.h"
#include "sidecar/session.h"

DIAG_DECLS_BEGIN

struct diag_uplink {
    struct diag_loop *loop;
    struct diag_session *session;
    struct diag_reporter *reporter;
    diag_loop_fn *signalled; /* with `context` */
    diag_loop_fn *stopped;   /* with `context`; nothing follows */
    void *context;
};

struct diag_local_sink diag_uplink_sink(struct diag_uplink *uplink);

DIAG_DECLS_END

#endif
