/* SPDX-License-Identifier: MIT */
/* status_set - the status of each spec in one process, merged out of its LocalReports.
 *
 * Threading: one thread. */
#ifndef DIAG_SIDECAR_STATUS_SET_H
#define DIAG_SIDECAR_STATUS_SET_H

#include "lib/base/bytes.h"
#include "lib/base/map.h"

DIAG_DECLS_BEGIN

#define DIAG_STATUS_SET_MAX 1024 /* specs in one process */

struct diag_status_set {
    struct diag_map by_spec; /* of struct entry */
    bool has_removed;        /* some are REMOVED: shown once, then forgotten */
};

/* All zero is an empty set. */
void diag_status_set_done(struct diag_status_set *set);

/* Takes over an encoded diagnose.v1.LocalReport. Fields of statuses that this release does not know
 * are kept. *is_news: more than counters has changed. DIAG_ERR_PROTOCOL names the field; statuses
 * before the bad one have been taken. DIAG_ERR_FULL: more than DIAG_STATUS_SET_MAX specs.
 * DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_status_set_merge(struct diag_status_set *set,
                                                       struct diag_bytes report, bool *is_news,
                                                       struct diag_error *err);

/* Encodes a diagnose.v1.ProcessStatus: `info` (an encoded ProcessInfo), all statuses, the losses.
 * Appends to `out`. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_status_set_encode(const struct diag_status_set *set,
                                                        struct diag_bytes info,
                                                        uint64_t lost_events,
                                                        struct diag_buffer *out);

/* Forgets the specs that are REMOVED. True: there were some. */
bool diag_status_set_forget_removed(struct diag_status_set *set);

DIAG_DECLS_END

#endif
