/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/notice_queue.h"

#include <string.h>

/* FNV-1a, https://www.rfc-editor.org/rfc/rfc9923 */
static uint64_t add_text(uint64_t hash, const char *text) {
    size_t size = strlen(text) + 1; /* with the NUL, which separates */

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_of(const struct diag_review_notice *notice) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    hash = add_text(hash, notice->namespace_name);
    hash = add_text(hash, notice->kind);
    hash = add_text(hash, notice->name);
    hash = add_text(hash, notice->uid);
    return add_text(hash, notice->reason);
}

enum diag_status diag_notice_queue_put(struct diag_notice_queue *queue,
                                       const struct diag_review_notice *notice,
                                       uint64_t monotonic_ns) {
    uint64_t hash = hash_of(notice);

    for (size_t i = 0; i < queue->recent_count; i++)
        if (queue->recent[i].hash == hash &&
            monotonic_ns - queue->recent[i].time_ns < DIAG_NOTICE_QUEUE_REPEAT_NS)
            return DIAG_ERR_EXISTS;
    if (queue->count == DIAG_NOTICE_QUEUE_MAX)
        return DIAG_ERR_FULL;
    queue->notices[(queue->first + queue->count++) % DIAG_NOTICE_QUEUE_MAX] = *notice;
    queue->recent[queue->recent_next].hash = hash;
    queue->recent[queue->recent_next].time_ns = monotonic_ns;
    queue->recent_next = (queue->recent_next + 1) % DIAG_NOTICE_QUEUE_RECENT_MAX;
    if (queue->recent_count < DIAG_NOTICE_QUEUE_RECENT_MAX)
        queue->recent_count++;
    return DIAG_OK;
}

bool diag_notice_queue_take(struct diag_notice_queue *queue, struct diag_review_notice *notice) {
    if (queue->count == 0)
        return false;
    *notice = queue->notices[queue->first];
    queue->first = (queue->first + 1) % DIAG_NOTICE_QUEUE_MAX;
    queue->count--;
    return true;
}
