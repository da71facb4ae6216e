/* SPDX-License-Identifier: MIT */
/* event_poster - posts notices as Events to the API server, by a thread of its own.
 *
 * What cannot be posted is lost after a few attempts: the answers to the API server never wait for
 * it.
 *
 * Threading: diag_event_poster_put from any thread; the rest from the one that made it. */
#ifndef DIAG_DEPLOY_WEBHOOK_EVENT_POSTER_H
#define DIAG_DEPLOY_WEBHOOK_EVENT_POSTER_H

#include "deploy/webhook/cluster.h"
#include "deploy/webhook/notice_queue.h"

DIAG_DECLS_BEGIN

struct diag_event_poster; /* opaque */

/* Called by the poster's thread, or by that of diag_event_poster_put: an event was posted (status
 * DIAG_OK), or lost. `what`: one line for a log. */
typedef void diag_event_posted_fn(void *context, enum diag_status status, const char *what);

struct diag_event_poster_options {
    struct diag_cluster cluster;
    const char *instance; /* borrowed: which replica this is */
    diag_event_posted_fn *posted;
    void *context;
};

/* Starts the thread. *out is the caller's. */
DIAG_MUST_CHECK enum diag_status
diag_event_poster_new(const struct diag_event_poster_options *options,
                      struct diag_event_poster **out, struct diag_error *err);

/* Copies the notice into the queue, and returns at once. */
void diag_event_poster_put(struct diag_event_poster *poster,
                           const struct diag_review_notice *notice);

/* Posts what is queued for at most `grace_ms`, and ends the thread. NULL is fine. */
void diag_event_poster_stop_and_free(struct diag_event_poster *poster, unsigned grace_ms);

DIAG_DECLS_END

#endif
