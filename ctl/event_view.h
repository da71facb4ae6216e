/* SPDX-License-Identifier: MIT */
/* event_view - events and aggregates out of a subscription, as documents and as lines.
 *
 * Read from the wire, as their texts may have NULs in them.
 *
 * Threading: any thread. */
#ifndef DIAG_CTL_EVENT_VIEW_H
#define DIAG_CTL_EVENT_VIEW_H

#include "ctl/document.h"

DIAG_DECLS_BEGIN

/* Of one diagnose.v1.SubscribeResponse. */
struct diag_event_view {
    bool is_started;
    uint64_t lost;                /* by this subscriber */
    uint64_t malformed;           /* events and aggregates that are none */
    struct diag_document *events; /* list, aggregates included; owned */
    struct diag_document *losses; /* list of {process_uid, pid, lost}: by the processes; owned */
};

/* DIAG_ERR_PROTOCOL: not a SubscribeResponse. Release with diag_event_view_done. */
DIAG_MUST_CHECK enum diag_status diag_event_view_init(struct diag_event_view *view,
                                                      struct diag_bytes response);
void diag_event_view_done(struct diag_event_view *view);

/* Appends `12:00:01.123456 pid=123 spec-id value {tag=value}` and a newline; of an error the value
 * is `error: NameError: ...`, of an aggregate that of aggregate_view.h. */
void diag_event_view_append_line(struct diag_buffer *out, const struct diag_document *event);

DIAG_DECLS_END

#endif
