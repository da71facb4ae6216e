/* SPDX-License-Identifier: MIT */
/* status_report - which statuses the sidecar has not heard of yet, as LocalReport messages.
 *
 * Threading: the control thread only.
 * Ownership: keeps copies of what was sent. */
#ifndef DIAG_INPROC_AGENT_STATUS_REPORT_H
#define DIAG_INPROC_AGENT_STATUS_REPORT_H

#include <stdbool.h>

#include "lib/base/bytes.h"
#include "lib/base/map.h"
#include "lib/spec/spec_status.h"

DIAG_DECLS_BEGIN

/* All zero is an empty report. */
struct diag_status_report {
    struct diag_map sent; /* spec id -> struct diag_spec_status */
    struct diag_spec_status *current;
    size_t current_count;
    size_t current_capacity;
};

void diag_status_report_done(struct diag_status_report *report);

/* Forgets what was sent: a new sidecar wants to hear everything. */
void diag_status_report_reset(struct diag_status_report *report);

/* Begins a new round: clears what was added, but for removals that were not sent. */
void diag_status_report_begin(struct diag_status_report *report);

/* Adds the present status of a spec. When out of memory it is left for the next round. */
void diag_status_report_add(struct diag_status_report *report,
                            const struct diag_spec_status *status);

/* Sends one encoded LocalReport; anything but DIAG_OK ends the round. */
typedef enum diag_status diag_status_report_send_fn(void *context, struct diag_bytes message);

/* Sends what differs from what was sent before, in messages of at most 60 KiB; at least one
 * message if `is_forced`. What could not be sent is tried again in the next round. */
DIAG_MUST_CHECK enum diag_status diag_status_report_send(struct diag_status_report *report,
                                                         uint64_t snapshot, bool is_forced,
                                                         diag_status_report_send_fn *send,
                                                         void *context);

DIAG_DECLS_END

#endif
