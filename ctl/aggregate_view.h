/* SPDX-License-Identifier: MIT */
/* aggregate_view - counters and histograms out of a subscription, as documents and as text.
 *
 * Threading: one thread for each diag_aggregate_totals. */
#ifndef DIAG_CTL_AGGREGATE_VIEW_H
#define DIAG_CTL_AGGREGATE_VIEW_H

#include "ctl/document.h"
#include "lib/base/map.h"

DIAG_DECLS_BEGIN

/* Puts what an encoded diagnose.v1.Aggregate says into `map`: times, spec, kind (counter or
 * histogram), sum, count, tags; of histograms also buckets, min, max, and p50, p90, p99 as far as
 * the buckets tell. DIAG_ERR_PROTOCOL: it is none, and `map` may be half filled. */
DIAG_MUST_CHECK enum diag_status diag_aggregate_view_read(struct diag_bytes encoded,
                                                          struct diag_document *map);

/* The totals that were seen last, for what was added since. All zero: none. */
struct diag_aggregate_totals {
    struct diag_map seen; /* process, start, spec, tags, kind -> what was seen, owned */
};

void diag_aggregate_totals_done(struct diag_aggregate_totals *totals);

/* False if this total has been seen just so: sidecars repeat totals now and then. Puts `added` into
 * a counter's document: its sum without that of the one before it. Events are always true. */
bool diag_aggregate_totals_follow(struct diag_aggregate_totals *totals,
                                  struct diag_document *document);

/* Appends `+5 (sum 120)`, or `count 12 sum 3.5 min 0.1 p50 0.2 p90 0.4 p99 0.5 max 0.5`. */
void diag_aggregate_view_append_text(struct diag_buffer *out, const struct diag_document *document);

DIAG_DECLS_END

#endif
