/* SPDX-License-Identifier: MIT */
/* Any bytes as aggregates: in the slots of a process's segment, read and encoded by the sidecar; or
 * encoded, as a sidecar sends them to the controller. Whatever comes through is an aggregate to
 * protobuf-c, and to the controller.
 *
 * Input: a byte of flags; then the encoded aggregate, or the length of the counter's part (two
 * bytes), the first counter's slot, the first histogram's slot. */
#include "diagnose/v1/events_service.pb-c.h"
#include "lib/base/cleanup.h"
#include "lib/event/aggregate_check.h"
#include "sidecar/drain.h"
#include "tests/fuzz/fuzz_input.h"

#define UID "0123456789abcdef0123456789abcdef"
#define NOW_UNIX_NS UINT64_C(1700000000000000000)

enum { REQUEST_BATCHES = 2, BATCH_AGGREGATES = 5 }; /* fields of diagnose.v1 */

enum { IS_ENCODED = 1, IS_DEAD = 2, IS_DISCARDED = 4 };

static void check_encoded(struct diag_bytes input) {
    Diagnose__V1__Aggregate *aggregate;

    if (diag_aggregate_check(input, NULL) != DIAG_OK)
        return;
    aggregate = diagnose__v1__aggregate__unpack(NULL, input.size, input.data);
    MUST(aggregate != NULL);
    diagnose__v1__aggregate__free_unpacked(aggregate, NULL);
}

/* The controller's way through a request: the bytes of each aggregate in each batch. */
static void check_bytes(struct diag_bytes body) {
    struct diag_wire_reader batches = diag_wire_reader_make(body);
    struct diag_wire_field batch, field;

    while (diag_wire_next(&batches, &batch) == DIAG_OK) {
        struct diag_wire_reader fields = diag_wire_reader_make(batch.bytes);

        MUST(batch.number == REQUEST_BATCHES);
        while (diag_wire_next(&fields, &field) == DIAG_OK)
            if (field.number == BATCH_AGGREGATES)
                MUST(diag_aggregate_check(field.bytes, NULL) == DIAG_OK);
    }
}

static void check_request(struct diag_drain *drain) {
    Diagnose__V1__ReportRequest *request;
    struct diag_buffer body;

    if (diag_drain_is_empty(drain))
        return;
    MUST(diag_drain_take(drain, &body) == DIAG_OK);
    check_bytes(diag_buffer_bytes(&body));
    request = diagnose__v1__report_request__unpack(NULL, body.size, body.data);
    MUST(request != NULL);
    diagnose__v1__report_request__free_unpacked(request, NULL);
    diag_buffer_done(&body);
}

/* Twice, as the sidecar does each second; the second time there is nothing new but for what is
 * told again. */
static void drain_slots(struct diag_segment *segment, unsigned flags) {
    struct diag_drain_source source = {.process_uid = UID, .pid = 1};
    /* a slot's nonsense is told once, but again when everything is new again */
    uint64_t lost_max = (flags & IS_DISCARDED) != 0 ? 4 : 2;
    struct diag_drain drain;

    diag_aggregate_reader_init(&source.aggregates, segment);
    MUST(diag_drain_init(&drain, NULL) == DIAG_OK);
    for (int second = 0; second < 2; second++) {
        enum diag_drain_result result;

        if ((flags & IS_DISCARDED) != 0)
            diag_aggregate_reader_discard(&source.aggregates);
        do {
            result = diag_drain_collect_aggregates(&drain, &source, (flags & IS_DEAD) != 0,
                                                   NOW_UNIX_NS + (uint64_t)second * 1000000000);
            MUST(!drain.writer.has_overflowed);
            check_request(&drain);
        } while (result != DIAG_DRAIN_EMPTY);
        MUST(source.lost_total <= lost_max);
    }
    diag_drain_done(&drain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct diag_segment segment; /* the same for every input; its slots are not */
    struct diag_bytes input = {data, size}, part;
    unsigned flags = (unsigned)take_integer(&input, 1);
    struct diag_shm_aggregates *slots;

    if ((flags & IS_ENCODED) != 0) {
        check_encoded(input);
        return 0;
    }
    if (segment.header == NULL)
        MUST(diag_segment_create(UID, DIAG_SHM_RING_SIZE_MIN, &segment, NULL) == DIAG_OK);
    slots = (struct diag_shm_aggregates *)(void *)segment.aggregates;
    memset(&slots->counters[0], 0, sizeof slots->counters[0]);
    memset(&slots->histograms[0], 0, sizeof slots->histograms[0]);
    part = take_bytes(&input, take_integer(&input, 2));
    memcpy(&slots->counters[0], part.data,
           part.size < sizeof slots->counters[0] ? part.size : sizeof slots->counters[0]);
    memcpy(&slots->histograms[0], input.data,
           input.size < sizeof slots->histograms[0] ? input.size : sizeof slots->histograms[0]);
    drain_slots(&segment, flags);
    return 0;
}
