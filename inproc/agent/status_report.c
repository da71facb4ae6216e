/* SPDX-License-Identifier: MIT */
#include "inproc/agent/status_report.h"

#include <stdlib.h>
#include <string.h>

#include "lib/spec/spec_status_codec.h"

#define MESSAGE_MAX (60 * 1024)
#define MESSAGE_MARGIN (DIAG_SPEC_STATUS_ENCODED_MAX + 4) /* one more status, as a field */

enum { REPORT_SNAPSHOT = 1, REPORT_STATUSES = 2 }; /* diagnose.v1.LocalReport */

void diag_status_report_reset(struct diag_status_report *report) {
    struct diag_spec_status *status;

    for (size_t cursor = 0; (status = diag_map_next(&report->sent, &cursor)) != NULL;)
        free(status);
    diag_map_done(&report->sent);
}

void diag_status_report_done(struct diag_status_report *report) {
    diag_status_report_reset(report);
    free(report->current);
    memset(report, 0, sizeof *report);
}

static bool is_equal(const struct diag_spec_status *a, const struct diag_spec_status *b) {
    return a->spec_revision == b->spec_revision && a->state == b->state &&
           a->functions == b->functions && a->codes == b->codes && a->is_pure == b->is_pure &&
           a->hits == b->hits && a->errors == b->errors && a->dropped == b->dropped &&
           memcmp(a->skips, b->skips, sizeof a->skips) == 0 &&
           strcmp(a->message, b->message) == 0 && strcmp(a->mechanism, b->mechanism) == 0 &&
           strcmp(a->excluded, b->excluded) == 0;
}

/* A removal is news only to a sidecar that has heard of the spec. */
static bool is_news(const struct diag_status_report *report,
                    const struct diag_spec_status *status) {
    const struct diag_spec_status *sent = diag_map_get(&report->sent, status->spec_id);

    if (status->state == DIAG_SPEC_STATE_REMOVED)
        return sent != NULL;
    return sent == NULL || !is_equal(sent, status);
}

void diag_status_report_begin(struct diag_status_report *report) {
    size_t kept = 0;

    /* the engine tells of a removal once: keep those that could not be sent */
    for (size_t i = 0; i < report->current_count; i++)
        if (report->current[i].state == DIAG_SPEC_STATE_REMOVED &&
            is_news(report, &report->current[i]))
            report->current[kept++] = report->current[i];
    report->current_count = kept;
}

void diag_status_report_add(struct diag_status_report *report,
                            const struct diag_spec_status *status) {
    if (report->current_count == report->current_capacity) {
        size_t capacity = report->current_capacity > 0 ? 2 * report->current_capacity : 8;
        struct diag_spec_status *current =
            realloc(report->current, capacity * sizeof *report->current);
        if (current == NULL)
            return;
        report->current = current;
        report->current_capacity = capacity;
    }
    report->current[report->current_count++] = *status;
}

/* Remembers that the sidecar has heard of `status`. Out of memory: it will hear it again. */
static void remember(struct diag_status_report *report, const struct diag_spec_status *status) {
    struct diag_spec_status *copy = diag_map_get(&report->sent, status->spec_id);

    if (status->state == DIAG_SPEC_STATE_REMOVED) {
        free(diag_map_remove(&report->sent, status->spec_id));
        return;
    }
    if (copy != NULL) {
        *copy = *status;
        return;
    }
    copy = malloc(sizeof *copy);
    if (copy == NULL)
        return;
    *copy = *status;
    if (diag_map_put(&report->sent, copy->spec_id, copy) != DIAG_OK)
        free(copy);
}

enum diag_status diag_status_report_send(struct diag_status_report *report, uint64_t snapshot,
                                         bool is_forced, diag_status_report_send_fn *send,
                                         void *context) {
    uint8_t data[MESSAGE_MAX];
    size_t at = 0;

    do {
        struct diag_wire_writer writer = diag_wire_writer_make(data, sizeof data);
        size_t first = at, news_count = 0;
        enum diag_status status;

        diag_wire_put_varint(&writer, REPORT_SNAPSHOT, snapshot);
        for (; at < report->current_count && diag_wire_room(&writer) > MESSAGE_MARGIN; at++) {
            if (!is_news(report, &report->current[at]))
                continue;
            diag_spec_status_encode(&writer, REPORT_STATUSES, &report->current[at]);
            news_count++;
        }
        if (news_count == 0 && !is_forced)
            continue;
        status = send(context, diag_bytes_make(data, diag_wire_size(&writer)));
        if (status != DIAG_OK)
            return status;
        is_forced = false;
        for (size_t i = first; i < at; i++)
            remember(report, &report->current[i]);
    } while (at < report->current_count);
    return DIAG_OK;
}
