/* SPDX-License-Identifier: MIT */
/* aggregate_check - is this an encoded diagnose.v1.Aggregate? As event_check for events: structure,
 * UTF-8, and that it is one counter or one histogram within its limits.
 *
 * Threading: any thread. */
#ifndef DIAG_LIB_EVENT_AGGREGATE_CHECK_H
#define DIAG_LIB_EVENT_AGGREGATE_CHECK_H

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

#define DIAG_AGGREGATE_BUCKETS_MAX 160

/* DIAG_ERR_TOO_LARGE: over DIAG_AGGREGATE_MAX bytes. DIAG_ERR_PROTOCOL: not an aggregate. `spec_id`
 * (optional) receives a borrowed view of the id. */
DIAG_MUST_CHECK enum diag_status diag_aggregate_check(struct diag_bytes aggregate,
                                                      struct diag_bytes *spec_id);

DIAG_DECLS_END

#endif
