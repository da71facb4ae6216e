/* SPDX-License-Identifier: MIT */
/* drain - from the rings and aggregates of processes to encoded diagnose.v1.ReportRequests.
 *
 * Events are checked and forwarded as the bytes that they are; those that are no events are
 * counted as lost.
 *
 * Threading: one thread.
 * Ownership: borrows the segments. */
#ifndef DIAG_SIDECAR_DRAIN_H
#define DIAG_SIDECAR_DRAIN_H

#include "lib/base/uid.h"
#include "lib/base/wire.h"
#include "lib/shm/aggregate_reader.h"
#include "lib/shm/ring_reader.h"

DIAG_DECLS_BEGIN

#define DIAG_DRAIN_REQUEST_MAX (64u << 10)
/* Spare bytes after the body of a request, for its sequence number: protobuf takes fields in any
 * order, and the number is known only when the request is sent. */
#define DIAG_DRAIN_SEQUENCE_ROOM 16

#define DIAG_DRAIN_REPEAT_NS UINT64_C(5000000000)

/* Requests that have been taken and are not acknowledged yet. */
#define DIAG_DRAIN_IN_FLIGHT_MAX 8

/* How far a ring had been read when a request was taken. */
struct diag_drain_mark {
    uint64_t request;
    struct diag_ring_mark ring;
};

struct diag_drain_source {
    struct diag_ring_reader reader;
    char process_uid[DIAG_UID_SIZE];
    uint32_t pid;
    uint64_t torn_seen;  /* of reader.torn */
    uint64_t lost;       /* since the last batch */
    uint64_t lost_total; /* ever */
    /* Published one after the other, as the requests are acknowledged: what a killed sidecar had
     * taken out of the ring is still there for the next one. */
    struct diag_drain_mark marks[DIAG_DRAIN_IN_FLIGHT_MAX];
    size_t mark_count;
    struct diag_aggregate_reader aggregates;
    uint32_t next_slot;         /* of the aggregates, where a full request left off */
    uint64_t repeat_at_unix_ns; /* all aggregates are sent then, also the unchanged ones */
};

struct diag_drain {
    uint64_t request_count; /* taken so far */
    struct diag_wire_writer writer;
    uint8_t *request;                   /* what has been collected */
    uint8_t event[DIAG_SHM_RECORD_MAX]; /* the one being looked at */
};

enum diag_drain_result {
    DIAG_DRAIN_EMPTY, /* the ring has nothing more to read now */
    DIAG_DRAIN_MORE,  /* the budget is used up */
    DIAG_DRAIN_FULL,  /* the request is full: take it, then go on */
};

DIAG_MUST_CHECK enum diag_status diag_drain_init(struct diag_drain *drain, struct diag_error *err);
void diag_drain_done(struct diag_drain *drain);

/* Moves events of one process, about `budget` bytes, into the request: one EventBatch, a further
 * one wherever events were lost between two others, none if there is nothing to tell. `is_dead`:
 * nobody writes any more, torn records are skipped. */
enum diag_drain_result diag_drain_collect(struct diag_drain *drain,
                                          struct diag_drain_source *source, bool is_dead,
                                          size_t budget);

/* Moves the aggregates that have changed into the request, as one EventBatch; every
 * DIAG_DRAIN_REPEAT_NS all of them, for subscribers that came or lost some meanwhile. Never MORE.
 * Those that are no aggregates, or that the process's death left in pieces, are counted as lost. */
enum diag_drain_result diag_drain_collect_aggregates(struct diag_drain *drain,
                                                     struct diag_drain_source *source, bool is_dead,
                                                     uint64_t now_unix_ns);

/* To be called for each source after diag_drain_take: what has been read by now is in the requests
 * up to that one. */
void diag_drain_note_taken(const struct diag_drain *drain, struct diag_drain_source *source);

/* The requests up to `request` (counted from 1) need not be sent again: their room is free. */
void diag_drain_acknowledged(struct diag_drain_source *source, uint64_t request);

/* Frees all room that has been read, acknowledged or not. */
void diag_drain_release(struct diag_drain_source *source);

/* Throws events away, which does not count as losing them. */
enum diag_drain_result diag_drain_discard(struct diag_drain *drain,
                                          struct diag_drain_source *source, bool is_dead,
                                          size_t budget);

static inline bool diag_drain_is_empty(const struct diag_drain *drain) {
    return diag_wire_size(&drain->writer) == 0;
}

/* Hands over the body of a request without its sequence, with DIAG_DRAIN_SEQUENCE_ROOM bytes
 * reserved behind it, and begins the next one. DIAG_ERR_NO_MEMORY: everything stays. */
DIAG_MUST_CHECK enum diag_status diag_drain_take(struct diag_drain *drain, struct diag_buffer *out);

DIAG_DECLS_END

#endif
