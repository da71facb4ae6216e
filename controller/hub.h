/* SPDX-License-Identifier: MIT */
/* hub - hands batches of events and aggregates to the subscribers whose filter matches.
 *
 * Each subscriber has a bounded queue, in messages and in bytes. What does not fit is counted, and
 * the next response that fits says how many were lost. Subscribers with the same filter
 * share each message.
 *
 * Threading: one thread; the sink's functions are called from inside the hub's and must not call
 *            back.
 * Ownership: a subscriber borrows its hub and its sink's stream. */
#ifndef DIAG_CONTROLLER_HUB_H
#define DIAG_CONTROLLER_HUB_H

#include "controller/event_batch.h"

DIAG_DECLS_BEGIN

#define DIAG_HUB_SUBSCRIBERS_MAX 1024
#define DIAG_HUB_FILTER_MAX 256 /* ids of one subscriber */
#define DIAG_HUB_QUEUE_MAX 64   /* messages of one subscriber */
#define DIAG_HUB_QUEUE_BYTES (8u << 20)

struct diag_hub;
struct diag_hub_subscriber;

/* A subscriber's bounded queue: diag_rpc_stream_write and diag_rpc_stream_queued, but in tests. */
struct diag_hub_sink {
    enum diag_status (*write)(void *stream, struct diag_rpc_message *message);
    size_t (*queued)(void *stream);
    void *stream;
};

/* The first subscriber has come (true) or the last one gone (false). */
typedef void diag_hub_wanted_fn(void *context, bool is_wanted);

DIAG_MUST_CHECK enum diag_status diag_hub_new(struct diag_hub **out, struct diag_error *err);

/* After all subscribers. NULL is fine. */
void diag_hub_free(struct diag_hub *hub);

void diag_hub_set_listener(struct diag_hub *hub, diag_hub_wanted_fn *fn, void *context);

/* Adds a subscriber to events of these specs, or of all if there are none, and sends the response
 * `started`. DIAG_ERR_INVALID names the field; DIAG_ERR_FULL: too many subscribers. */
DIAG_MUST_CHECK enum diag_status
diag_hub_subscribe(struct diag_hub *hub, const char *const *spec_ids, size_t spec_id_count,
                   const struct diag_hub_sink *sink, struct diag_hub_subscriber **out,
                   struct diag_error *err);

/* NULL is fine. */
void diag_hub_unsubscribe(struct diag_hub_subscriber *subscriber);

/* The subscriber's queue is empty again: tells what it lost. */
void diag_hub_writable(struct diag_hub_subscriber *subscriber);

/* Hands the batches of one report to all subscribers, at most 1 MiB together. */
void diag_hub_publish(struct diag_hub *hub, const struct diag_event_batch *batches,
                      size_t batch_count);

bool diag_hub_is_wanted(const struct diag_hub *hub);

DIAG_DECLS_END

#endif
