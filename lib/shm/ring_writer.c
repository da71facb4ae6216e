/* SPDX-License-Identifier: MIT */
/* How it works: a writer reserves room by moving `tail` (CAS), and from then on owns that room
 * alone. It marks the record BUSY, then stamps it with its position, copies the payload and
 * commits with READY. The order of the first two matters: whoever sees this lap's stamp sees this
 * lap's state, never the READY of an earlier record that lay there.
 *
 * Whoever finds that events were dropped since the last LOST record reserves room for another one
 * together with that of its event: a LOST record without an event behind it would use up the ring
 * for nothing. */
#include "lib/shm/ring_writer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/shm/ring_record.h"
#include "lib/shm/ring_testpoint.h"

#ifdef DIAG_TESTPOINTS
void (*diag_ring_testpoint_hook)(enum diag_ring_testpoint point);
#endif

#define LOST_EXTENT (sizeof(struct diag_shm_record) + DIAG_SHM_RECORD_ALIGN)

/* What a put has reserved. */
struct room {
    uint64_t position; /* of the PAD, the LOST record or the event, whichever comes first */
    uint64_t pad;      /* bytes up to the ring's end, or 0 */
};

/* Room for `extent` bytes that do not cross the ring's end, and for the PAD before them when
 * needed; the ring holds at most `limit` bytes afterwards. DIAG_ERR_FULL, also when head or tail
 * make no sense: whatever the sidecar did to them, nobody writes outside of the ring. */
static inline enum diag_status reserve(struct diag_segment *segment, uint64_t extent,
                                       uint64_t limit, struct room *out) {
    struct diag_shm_header *header = segment->header;
    /* relaxed: the room's content is ordered by `head` below and by the records' own states */
    uint64_t tail = __atomic_load_n(&header->tail, __ATOMIC_RELAXED);

    for (;;) {
        /* acquire; pairs with the release in diag_ring_reader_release: the reader has copied what
         * we are about to overwrite */
        uint64_t head = __atomic_load_n(&header->head, __ATOMIC_ACQUIRE);
        uint64_t used = tail - head;
        uint64_t to_end = segment->ring_size - diag_ring_record_offset(segment, tail);
        uint64_t pad = to_end < extent ? to_end : 0;

        DIAG_TESTPOINT(HEAD_READ);
        if (DIAG_UNLIKELY(used > limit || limit - used < pad + extent ||
                          tail % DIAG_SHM_RECORD_ALIGN != 0)) {
            /* relaxed: only to learn whether `tail` was stale, in which case the sum was wrong */
            uint64_t latest = __atomic_load_n(&header->tail, __ATOMIC_RELAXED);
            if (latest == tail)
                return DIAG_ERR_FULL;
            tail = latest;
            continue;
        }
        /* relaxed: claims the room, publishes nothing */
        if (__atomic_compare_exchange_n(&header->tail, &tail, tail + pad + extent, true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            *out = (struct room){tail, pad};
            DIAG_TESTPOINT(RESERVED);
            return DIAG_OK;
        }
    }
}

/* release; pairs with the acquire of the stamp in ring_reader.c: what was written before it is
 * this lap's */
static inline void stamp(struct diag_shm_record *record, uint64_t position) {
    __atomic_store_n(&record->stamp, diag_ring_record_stamp(position), __ATOMIC_RELEASE);
}

static void write_pad(struct diag_segment *segment, uint64_t position) {
    struct diag_shm_record *record = diag_ring_record_at(segment, position);

    __atomic_store_n(&record->size_and_state, DIAG_SHM_STATE_PAD, __ATOMIC_RELAXED);
    stamp(record, position);
    DIAG_TESTPOINT(PAD_WRITTEN);
}

/* Complete before its stamp, so that a death in the middle leaves one gap together with the event
 * behind it. */
static void write_lost(struct diag_segment *segment, uint64_t position, uint64_t dropped_total) {
    struct diag_shm_record *record = diag_ring_record_at(segment, position);
    struct diag_shm_lost lost = {dropped_total};

    memcpy(record + 1, &lost, sizeof lost);
    record->type = DIAG_SHM_RECORD_LOST;
    record->reserved0 = 0;
    record->reserved1 = 0;
    __atomic_store_n(&record->size_and_state, (uint32_t)sizeof lost | DIAG_SHM_STATE_READY,
                     __ATOMIC_RELAXED);
    DIAG_TESTPOINT(LOST_UNMARKED);
    stamp(record, position);
    DIAG_TESTPOINT(LOST_WRITTEN);
    /* relaxed: a guess of how much is untold; a stale one costs one more LOST record */
    __atomic_store_n(&segment->header->dropped_told, dropped_total, __ATOMIC_RELAXED);
}

static inline void copy(uint8_t *target, struct diag_bytes event) {
#ifdef DIAG_TESTPOINTS
    size_t half = event.size / 2;

    memcpy(target, event.data, half);
    DIAG_TESTPOINT(HALF_COPIED);
    memcpy(target + half, event.data + half, event.size - half);
#else
    memcpy(target, event.data, event.size);
#endif
}

/* The state first, the stamp second, READY last: see the top. */
static inline void write_event(struct diag_segment *segment, uint64_t position,
                               struct diag_bytes event) {
    struct diag_shm_record *record = diag_ring_record_at(segment, position);
    uint32_t size = (uint32_t)event.size;

    __atomic_store_n(&record->size_and_state, size | DIAG_SHM_STATE_BUSY, __ATOMIC_RELAXED);
    DIAG_TESTPOINT(UNSTAMPED);
    stamp(record, position);
    DIAG_TESTPOINT(BUSY);
    record->type = DIAG_SHM_RECORD_EVENT;
    record->reserved0 = 0;
    record->reserved1 = 0;
    copy((uint8_t *)(record + 1), event);
    DIAG_TESTPOINT(COPIED);
    /* release; pairs with the acquire of the state in ring_reader.c: the payload is complete */
    __atomic_store_n(&record->size_and_state, size | DIAG_SHM_STATE_READY, __ATOMIC_RELEASE);
    DIAG_TESTPOINT(COMMITTED);
}

/* The application may have closed our descriptors, and its own files have the numbers now. Only
 * anonymous inodes, such as eventfds, have no file type. */
static bool is_eventfd(int fd) {
    struct stat file;

    return fd >= 0 && fstat(fd, &file) == 0 && (file.st_mode & S_IFMT) == 0;
}

static void wake_reader(struct diag_ring_writer *writer) {
    struct diag_shm_header *header = writer->segment->header;
    const uint64_t one = 1;
    int saved_errno;

    /* Either the reader's look at the ring sees our commit, or we see its flag; pairs with the
     * fence in diag_ring_reader_prepare_sleep. */
    diag_ring_full_fence();
    if (DIAG_LIKELY(__atomic_load_n(&header->is_reader_sleeping, __ATOMIC_RELAXED) == 0))
        return;
    /* One of the writers that see the flag makes the system call. */
    if (__atomic_exchange_n(&header->is_reader_sleeping, 0, __ATOMIC_RELAXED) == 0)
        return;
    DIAG_TESTPOINT(WAKE_CLAIMED);
    saved_errno = errno;
    if (is_eventfd(writer->wake_fd)) {
        /* The reader looks by itself before long; a full counter wakes it anyway. */
        ssize_t written = write(writer->wake_fd, &one, sizeof one);
        (void)written;
    }
    errno = saved_errno;
}

static __attribute__((noinline)) enum diag_status drop(struct diag_ring_writer *writer) {
    DIAG_TESTPOINT(FULL);
    /* relaxed: a counter on its own */
    __atomic_fetch_add(&writer->segment->header->dropped, 1, __ATOMIC_RELAXED);
    DIAG_TESTPOINT(DROP_COUNTED);
    return DIAG_ERR_FULL;
}

/* The put that comes after drops: LOST and event in one piece. LOST may lie in the kept part even
 * if the event may not. */
static __attribute__((noinline)) enum diag_status put_after_loss(struct diag_ring_writer *writer,
                                                                 struct diag_bytes event,
                                                                 uint64_t limit,
                                                                 uint64_t dropped_total) {
    struct diag_segment *segment = writer->segment;
    uint64_t extent = diag_ring_record_extent(event.size);
    bool is_kept = limit == segment->ring_size;
    struct room room;

    if (reserve(segment, LOST_EXTENT + extent, is_kept ? limit : limit + LOST_EXTENT, &room) ==
        DIAG_OK) {
        if (room.pad != 0)
            write_pad(segment, room.position);
        write_lost(segment, room.position + room.pad, dropped_total);
        write_event(segment, room.position + room.pad + LOST_EXTENT, event);
    } else if (is_kept && reserve(segment, extent, limit, &room) == DIAG_OK) {
        /* rather the event without its LOST than neither */
        if (room.pad != 0)
            write_pad(segment, room.position);
        write_event(segment, room.position + room.pad, event);
    } else {
        return drop(writer);
    }
    wake_reader(writer);
    return DIAG_OK;
}

static inline enum diag_status put(struct diag_ring_writer *writer, struct diag_bytes event,
                                   uint64_t limit) {
    struct diag_segment *segment = writer->segment;
    uint64_t dropped;
    struct room room;

    if (DIAG_UNLIKELY(event.size == 0 || event.size > DIAG_SHM_RECORD_MAX))
        return DIAG_ERR_INVALID;
    /* relaxed: where in the stream a drop is told of is as exact as the order of two threads */
    dropped = __atomic_load_n(&segment->header->dropped, __ATOMIC_RELAXED);
    if (DIAG_UNLIKELY(dropped != __atomic_load_n(&segment->header->dropped_told, __ATOMIC_RELAXED)))
        return put_after_loss(writer, event, limit, dropped);
    if (DIAG_UNLIKELY(reserve(segment, diag_ring_record_extent(event.size), limit, &room) !=
                      DIAG_OK))
        return drop(writer);
    if (DIAG_UNLIKELY(room.pad != 0))
        write_pad(segment, room.position);
    write_event(segment, room.position + room.pad, event);
    wake_reader(writer);
    return DIAG_OK;
}

enum diag_status diag_ring_writer_put(struct diag_ring_writer *writer, struct diag_bytes event) {
    uint64_t ring_size = writer->segment->ring_size;
    enum diag_status status;

    DIAG_TESTPOINT(BEGUN);
    status = put(writer, event, ring_size - ring_size / DIAG_SHM_RING_KEPT_PART);
    DIAG_TESTPOINT(ENDED);
    return status;
}

enum diag_status diag_ring_writer_put_kept(struct diag_ring_writer *writer,
                                           struct diag_bytes event) {
    enum diag_status status;

    DIAG_TESTPOINT(BEGUN);
    status = put(writer, event, writer->segment->ring_size);
    DIAG_TESTPOINT(ENDED);
    return status;
}
