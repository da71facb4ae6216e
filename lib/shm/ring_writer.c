/* SPDX-License-Identifier: MIT */
/* How it works: a writer reserves room by moving `tail` (CAS), and from then on owns that room
 * alone. It marks the record BUSY, then stamps it with its position, copies the payload and
 * commits with READY. The order of the first two matters: whoever sees this lap's stamp sees this
 * lap's state, never the READY of an earlier record that lay there. */
#include "lib/shm/ring_writer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/shm/ring_record.h"

/* Room for `extent` bytes that do not cross the ring's end, and for the PAD before them when
 * needed. DIAG_ERR_FULL. */
static enum diag_status reserve(struct diag_segment *segment, uint64_t extent, uint64_t *position,
                                uint64_t *pad) {
    struct diag_shm_header *header = segment->header;
    /* relaxed: the room's content is ordered by `head` below and by the records' own states */
    uint64_t tail = __atomic_load_n(&header->tail, __ATOMIC_RELAXED);

    for (;;) {
        /* acquire; pairs with the release in diag_ring_reader_release: the reader has copied what
         * we are about to overwrite */
        uint64_t head = __atomic_load_n(&header->head, __ATOMIC_ACQUIRE);
        uint64_t used = tail - head;
        uint64_t to_end = segment->ring_size - diag_ring_record_offset(segment, tail);
        uint64_t skipped = to_end < extent ? to_end : 0;

        if (used > segment->ring_size || segment->ring_size - used < skipped + extent) {
            /* relaxed: only to learn whether `tail` was stale, in which case the sum was wrong */
            uint64_t latest = __atomic_load_n(&header->tail, __ATOMIC_RELAXED);
            if (latest == tail)
                return DIAG_ERR_FULL;
            tail = latest;
            continue;
        }
        /* relaxed: claims the room, publishes nothing */
        if (__atomic_compare_exchange_n(&header->tail, &tail, tail + skipped + extent, true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            *position = tail;
            *pad = skipped;
            return DIAG_OK;
        }
    }
}

/* The state first, the stamp second: see the top. */
static struct diag_shm_record *begin(struct diag_segment *segment, uint64_t position,
                                     uint32_t size_and_state) {
    struct diag_shm_record *record = diag_ring_record_at(segment, position);

    __atomic_store_n(&record->size_and_state, size_and_state, __ATOMIC_RELAXED);
    /* release; pairs with the acquire of the stamp in ring_reader.c */
    __atomic_store_n(&record->stamp, diag_ring_record_stamp(position), __ATOMIC_RELEASE);
    return record;
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

    /* Either the reader's look at the ring sees our commit, or we see its flag; pairs with the
     * fence in diag_ring_reader_prepare_sleep. */
    diag_ring_full_fence();
    if (DIAG_LIKELY(__atomic_load_n(&header->is_reader_sleeping, __ATOMIC_RELAXED) == 0))
        return;
    /* One of the writers that see the flag makes the system call. */
    if (__atomic_exchange_n(&header->is_reader_sleeping, 0, __ATOMIC_RELAXED) == 0)
        return;
    int saved_errno = errno;
    if (is_eventfd(writer->wake_fd)) {
        /* The reader looks by itself before long; a full counter wakes it anyway. */
        ssize_t written = write(writer->wake_fd, &one, sizeof one);
        (void)written;
    }
    errno = saved_errno;
}

enum diag_status diag_ring_writer_put(struct diag_ring_writer *writer, struct diag_bytes record) {
    struct diag_segment *segment = writer->segment;
    struct diag_shm_record *target;
    uint64_t position, pad;

    if (record.size == 0 || record.size > DIAG_SHM_RECORD_MAX)
        return DIAG_ERR_INVALID;
    if (DIAG_UNLIKELY(reserve(segment, diag_ring_record_extent(record.size), &position, &pad) !=
                      DIAG_OK)) {
        /* relaxed: a counter on its own */
        __atomic_fetch_add(&segment->header->dropped, 1, __ATOMIC_RELAXED);
        return DIAG_ERR_FULL;
    }
    if (pad != 0)
        begin(segment, position, DIAG_SHM_STATE_PAD);
    target = begin(segment, position + pad, (uint32_t)record.size | DIAG_SHM_STATE_BUSY);
    memcpy(target + 1, record.data, record.size);
    /* release; pairs with the acquire of the state in ring_reader.c: the payload is complete */
    __atomic_store_n(&target->size_and_state, (uint32_t)record.size | DIAG_SHM_STATE_READY,
                     __ATOMIC_RELEASE);
    wake_reader(writer);
    return DIAG_OK;
}
