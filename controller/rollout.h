/* SPDX-License-Identifier: MIT */
/* rollout - what one sidecar has been told, and what it must still be told.
 *
 * Pure: the specs of a store, the labels of a sidecar and a time go in; fields of a
 * diagnose.v1.SyncResponse come out.
 *
 * Threading: one thread. */
#ifndef DIAG_CONTROLLER_ROLLOUT_H
#define DIAG_CONTROLLER_ROLLOUT_H

#include "controller/message_builder.h"
#include "controller/store.h"
#include "lib/base/map.h"

DIAG_DECLS_BEGIN

/* A delta's specs stay below this, so that the message stays below 1 MiB. */
#define DIAG_ROLLOUT_BYTES_MAX (896u << 10)

/* All zero: the sidecar holds nothing. */
struct diag_rollout {
    struct diag_map sent; /* id -> revision that the sidecar has or that is on its way */
};

void diag_rollout_done(struct diag_rollout *rollout);

/* The sidecar says that it holds this spec from before. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_rollout_hold(struct diag_rollout *rollout, const char *id,
                                                   uint64_t revision, struct diag_error *err);

/* Appends as many upserts and removals as one message takes, and counts them as sent. With
 * *is_complete nothing is left. On failure the rollout is not to be used any more: the message
 * cannot be sent. */
DIAG_MUST_CHECK enum diag_status
diag_rollout_next(struct diag_rollout *rollout, const struct diag_store *store,
                  const struct diag_label *labels, size_t label_count, uint64_t now_unix_ns,
                  struct diag_message_builder *builder, bool *is_complete, struct diag_error *err);

/* The same for one spec, which has changed or is gone. Sets *has_changed if the sidecar must be
 * told. */
DIAG_MUST_CHECK enum diag_status
diag_rollout_next_of(struct diag_rollout *rollout, const struct diag_store *store, const char *id,
                     const struct diag_label *labels, size_t label_count, uint64_t now_unix_ns,
                     struct diag_message_builder *builder, bool *has_changed,
                     struct diag_error *err);

DIAG_DECLS_END

#endif
