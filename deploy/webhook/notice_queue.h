/* SPDX-License-Identifier: MIT */
/* notice_queue - notices that wait to be posted: bounded, and the same words about the same thing
 * only once in ten minutes, because a controller makes pods that fail again and again.
 *
 * Threading: none; the caller's lock. */
#ifndef DIAG_DEPLOY_WEBHOOK_NOTICE_QUEUE_H
#define DIAG_DEPLOY_WEBHOOK_NOTICE_QUEUE_H

#include "deploy/webhook/review.h"

DIAG_DECLS_BEGIN

#define DIAG_NOTICE_QUEUE_MAX 64
#define DIAG_NOTICE_QUEUE_RECENT_MAX 256
#define DIAG_NOTICE_QUEUE_REPEAT_NS (UINT64_C(600) * 1000 * 1000 * 1000)

/* All zero is an empty queue. */
struct diag_notice_queue {
    struct diag_review_notice notices[DIAG_NOTICE_QUEUE_MAX];
    size_t first, count;
    struct {
        uint64_t hash, time_ns;
    } recent[DIAG_NOTICE_QUEUE_RECENT_MAX]; /* the oldest is overwritten */
    size_t recent_count, recent_next;
};

/* Copies the notice. DIAG_ERR_EXISTS: the same was put in the last ten minutes; DIAG_ERR_FULL. In
 * both cases the queue is as before. */
DIAG_MUST_CHECK enum diag_status diag_notice_queue_put(struct diag_notice_queue *queue,
                                                       const struct diag_review_notice *notice,
                                                       uint64_t monotonic_ns);

/* Moves the oldest into *notice; false if there is none. */
bool diag_notice_queue_take(struct diag_notice_queue *queue, struct diag_review_notice *notice);

DIAG_DECLS_END

#endif
