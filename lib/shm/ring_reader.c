/* SPDX-License-Identifier: MIT */
/* How it works: the reader trusts its own head alone. A record at head counts once it bears the
 * stamp of that position; what an earlier lap left there bears another one. Each word of the
 * producer's is loaded once, and checked against the room that lies between head and tail. */
#include "lib/shm/ring_reader.h"

#include <string.h>

#include "lib/shm/ring_record.h"

enum record_kind {
    RECORD_ABSENT, /* reserved at most: no stamp of this lap */
    RECORD_BUSY,
    RECORD_EVENT,
    RECORD_LOST,
    RECORD_UNKNOWN, /* committed, of a type or size that we do not know */
    RECORD_PAD,
    RECORD_BAD, /* a stamp of this lap, and nonsense beside it */
};

struct record_view {
    enum record_kind kind;
    uint64_t extent; /* all but ABSENT and BAD: bytes from this record to the next */
    size_t size;     /* EVENT: of the payload */
};

/* `record` is READY, and its type is complete. */
static enum record_kind kind_of_ready(const struct diag_shm_record *record, size_t size) {
    /* relaxed: ordered by the state; atomic, as a hostile producer may still write it */
    switch (__atomic_load_n(&record->type, __ATOMIC_RELAXED)) {
    case DIAG_SHM_RECORD_EVENT:
        return RECORD_EVENT;
    case DIAG_SHM_RECORD_LOST:
        return size == sizeof(struct diag_shm_lost) ? RECORD_LOST : RECORD_UNKNOWN;
    default:
        return RECORD_UNKNOWN;
    }
}

/* What lies at `position`, given that `available` bytes are reserved from there. */
static struct record_view look(const struct diag_segment *segment, uint64_t position,
                               uint64_t available) {
    struct diag_shm_record *record = diag_ring_record_at(segment, position);
    uint64_t to_end = segment->ring_size - diag_ring_record_offset(segment, position);
    struct record_view view = {RECORD_ABSENT, 0, 0};
    uint32_t stamp, word, state;

    /* acquire; pairs with the release of the stamp in ring_writer.c: the state that we load next
     * is this lap's */
    stamp = __atomic_load_n(&record->stamp, __ATOMIC_ACQUIRE);
    if (stamp != diag_ring_record_stamp(position))
        return view;
    /* acquire; pairs with the release of READY in ring_writer.c */
    word = __atomic_load_n(&record->size_and_state, __ATOMIC_ACQUIRE);
    state = word & DIAG_SHM_STATE_MASK;
    view.size = word & DIAG_SHM_SIZE_MASK;
    view.kind = RECORD_BAD;
    switch (state) {
    case 0: /* untouched memory, whose stamp is right at position 0 only */
        view.kind = RECORD_ABSENT;
        return view;
    case DIAG_SHM_STATE_PAD:
        view.extent = to_end;
        if (view.extent <= available)
            view.kind = RECORD_PAD;
        return view;
    case DIAG_SHM_STATE_BUSY:
    case DIAG_SHM_STATE_READY:
        if (view.size == 0 || view.size > DIAG_SHM_RECORD_MAX)
            return view;
        view.extent = diag_ring_record_extent(view.size);
        if (view.extent <= available && view.extent <= to_end)
            view.kind =
                state == DIAG_SHM_STATE_BUSY ? RECORD_BUSY : kind_of_ready(record, view.size);
        return view;
    default:
        return view;
    }
}

/* Between head and tail there are at most ring_size bytes, in whole units. */
static bool is_plausible(const struct diag_segment *segment, uint64_t head, uint64_t tail) {
    return tail - head <= segment->ring_size && (head | tail) % DIAG_SHM_RECORD_ALIGN == 0;
}

static uint64_t load_tail(const struct diag_ring_reader *reader) {
    /* relaxed: a bound; the records' own words order their content */
    return __atomic_load_n(&reader->segment->header->tail, __ATOMIC_RELAXED);
}

static enum diag_status skip_to(struct diag_ring_reader *reader, uint64_t tail) {
    reader->head = tail;
    reader->torn++;
    return DIAG_ERR_PROTOCOL;
}

static const void *payload_at_head(const struct diag_ring_reader *reader) {
    return diag_ring_record_at(reader->segment, reader->head) + 1;
}

static void take_event(struct diag_ring_reader *reader, struct record_view view, uint8_t *buffer,
                       size_t *size) {
    memcpy(buffer, payload_at_head(reader), view.size);
    *size = view.size;
    reader->head += view.extent;
}

/* `total` is what the producer says has been dropped so far: never more than its header says, and
 * what has been told of already is not told again. */
static uint64_t newly_dropped(struct diag_ring_reader *reader, uint64_t total) {
    uint64_t dropped = total > reader->dropped_seen ? total - reader->dropped_seen : 0;

    reader->dropped_seen += dropped;
    return dropped;
}

/* relaxed: a counter on its own */
static uint64_t load_dropped(const struct diag_ring_reader *reader) {
    return __atomic_load_n(&reader->segment->header->dropped, __ATOMIC_RELAXED);
}

static void take_lost(struct diag_ring_reader *reader, struct record_view view) {
    uint64_t limit = load_dropped(reader);
    struct diag_shm_lost lost;

    memcpy(&lost, payload_at_head(reader), sizeof lost);
    reader->dropped_here +=
        newly_dropped(reader, lost.dropped_total < limit ? lost.dropped_total : limit);
    reader->head += view.extent;
}

static void skip(struct diag_ring_reader *reader, struct record_view view) {
    reader->head += view.extent;
    reader->torn++;
}

enum diag_status diag_ring_reader_init(struct diag_ring_reader *reader,
                                       struct diag_segment *segment, struct diag_error *err) {
    struct diag_shm_header *header = segment->header;
    /* relaxed: whoever handed the segment over did so through a socket, which orders */
    uint64_t head = __atomic_load_n(&header->head, __ATOMIC_RELAXED);
    uint64_t tail = __atomic_load_n(&header->tail, __ATOMIC_RELAXED);

    if (!is_plausible(segment, head, tail))
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "segment: head %llu and tail %llu make no sense in a ring of %llu",
                              (unsigned long long)head, (unsigned long long)tail,
                              (unsigned long long)segment->ring_size);
    *reader = (struct diag_ring_reader){
        .segment = segment,
        .head = head,
        .dropped_seen = __atomic_load_n(&header->dropped_reported, __ATOMIC_RELAXED),
    };
    return DIAG_OK;
}

enum diag_status diag_ring_reader_next(struct diag_ring_reader *reader,
                                       uint8_t buffer[DIAG_SHM_RECORD_MAX], size_t *size) {
    uint64_t tail = load_tail(reader);

    /* One load of the tail, so that a hostile producer cannot keep us here. */
    while (reader->head != tail) {
        struct record_view view;

        if (!is_plausible(reader->segment, reader->head, tail))
            return skip_to(reader, tail);
        view = look(reader->segment, reader->head, tail - reader->head);
        switch (view.kind) {
        case RECORD_ABSENT:
        case RECORD_BUSY:
            return DIAG_ERR_CLOSED;
        case RECORD_EVENT:
            take_event(reader, view, buffer, size);
            return DIAG_OK;
        case RECORD_LOST:
            take_lost(reader, view);
            break;
        case RECORD_UNKNOWN:
            skip(reader, view);
            break;
        case RECORD_PAD:
            reader->head += view.extent;
            break;
        case RECORD_BAD:
            return skip_to(reader, tail);
        }
    }
    return DIAG_ERR_CLOSED;
}

/* The next position from which on records can be told again; `tail` if there is none. */
static uint64_t end_of_gap(const struct diag_segment *segment, uint64_t position, uint64_t tail) {
    for (position += DIAG_SHM_RECORD_ALIGN; position != tail; position += DIAG_SHM_RECORD_ALIGN) {
        struct record_view view = look(segment, position, tail - position);
        if (view.kind != RECORD_ABSENT && view.kind != RECORD_BAD)
            return position;
    }
    return tail;
}

enum diag_status diag_ring_reader_salvage(struct diag_ring_reader *reader,
                                          uint8_t buffer[DIAG_SHM_RECORD_MAX], size_t *size) {
    uint64_t tail = load_tail(reader);

    while (reader->head != tail) {
        struct record_view view;

        if (!is_plausible(reader->segment, reader->head, tail))
            return skip_to(reader, tail);
        view = look(reader->segment, reader->head, tail - reader->head);
        switch (view.kind) {
        case RECORD_EVENT:
            take_event(reader, view, buffer, size);
            return DIAG_OK;
        case RECORD_LOST:
            take_lost(reader, view);
            break;
        case RECORD_PAD:
            reader->head += view.extent;
            break;
        case RECORD_BUSY: /* its owner died while it copied */
        case RECORD_UNKNOWN:
            skip(reader, view);
            break;
        case RECORD_ABSENT: /* its owner died before the stamp, so its size is unknown */
        case RECORD_BAD:
            reader->head = end_of_gap(reader->segment, reader->head, tail);
            reader->torn++;
            break;
        }
    }
    return DIAG_ERR_CLOSED;
}

struct diag_ring_mark diag_ring_reader_mark(const struct diag_ring_reader *reader) {
    return (struct diag_ring_mark){reader->head, reader->dropped_seen - reader->dropped_here};
}

void diag_ring_reader_release_to(struct diag_ring_reader *reader, struct diag_ring_mark mark) {
    /* relaxed: what the next sidecar need not tell of any more; nobody reads it while we run */
    __atomic_store_n(&reader->segment->header->dropped_reported, mark.dropped, __ATOMIC_RELAXED);
    /* release; pairs with the acquire of head in ring_writer.c: our copies are complete */
    __atomic_store_n(&reader->segment->header->head, mark.head, __ATOMIC_RELEASE);
}

void diag_ring_reader_release(struct diag_ring_reader *reader) {
    diag_ring_reader_release_to(reader, diag_ring_reader_mark(reader));
}

bool diag_ring_reader_prepare_sleep(struct diag_ring_reader *reader) {
    uint64_t tail;

    __atomic_store_n(&reader->segment->header->is_reader_sleeping, 1, __ATOMIC_RELAXED);
    /* pairs with the fence of wake_reader in ring_writer.c */
    diag_ring_full_fence();
    tail = load_tail(reader);
    if (reader->head == tail)
        return true;
    if (is_plausible(reader->segment, reader->head, tail)) {
        /* Whoever still writes the next record will see the flag when it commits. */
        enum record_kind kind = look(reader->segment, reader->head, tail - reader->head).kind;
        if (kind == RECORD_ABSENT || kind == RECORD_BUSY)
            return true;
    }
    diag_ring_reader_end_sleep(reader);
    return false;
}

void diag_ring_reader_end_sleep(struct diag_ring_reader *reader) {
    /* relaxed: a stale 1 costs a writer one needless wake-up */
    __atomic_store_n(&reader->segment->header->is_reader_sleeping, 0, __ATOMIC_RELAXED);
}

uint64_t diag_ring_reader_take_dropped_here(struct diag_ring_reader *reader) {
    uint64_t taken = reader->dropped_here;

    if (DIAG_LIKELY(taken == 0))
        return 0;
    reader->dropped_here = 0;
    return taken;
}

uint64_t diag_ring_reader_take_dropped(struct diag_ring_reader *reader) {
    uint64_t taken = reader->dropped_here;

    reader->dropped_here = 0;
    taken += newly_dropped(reader, load_dropped(reader));
    return taken;
}
