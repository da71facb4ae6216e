/* SPDX-License-Identifier: MIT */
/* event_batch - checks an encoded diagnose.v1.EventBatch, and takes events and aggregates out of
 * one, without decoding what it need not look at.
 *
 * Threading: any thread.
 * Ownership: a batch borrows the bytes that it was read from. */
#ifndef DIAG_CONTROLLER_EVENT_BATCH_H
#define DIAG_CONTROLLER_EVENT_BATCH_H

#include "controller/message_builder.h"
#include "lib/base/map.h"

DIAG_DECLS_BEGIN

struct diag_event_batch {
    struct diag_bytes encoded;
    uint64_t event_count;
    uint64_t aggregate_count;
    uint64_t lost; /* EventBatch.lost */
};

/* Events and aggregates together. */
static inline uint64_t diag_event_batch_item_count(const struct diag_event_batch *batch) {
    return batch->event_count + batch->aggregate_count;
}

/* Checks the batch, and each event and aggregate in it. DIAG_ERR_PROTOCOL names the field. */
DIAG_MUST_CHECK enum diag_status diag_event_batch_read(struct diag_bytes encoded,
                                                       struct diag_event_batch *out,
                                                       struct diag_error *err);

/* How many of the batch's events and aggregates belong to specs whose ids are keys of
 * `spec_ids`. */
uint64_t diag_event_batch_match(const struct diag_event_batch *batch,
                                const struct diag_map *spec_ids);

/* Writes the batch with only those that match, as field `number`. */
void diag_event_batch_filter(const struct diag_event_batch *batch, const struct diag_map *spec_ids,
                             struct diag_message_builder *builder, uint32_t number);

DIAG_DECLS_END

#endif
