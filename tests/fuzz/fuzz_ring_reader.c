/* SPDX-License-Identifier: MIT */
/* Any bytes as header and ring of a segment that a process hands to the sidecar: adopted, drained,
 * salvaged.
 *
 * Input: a byte of flags; a header of 320 bytes, or five integers of it; the ring from its head
 * on. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/shm/ring_reader.h"
#include "sidecar/drain.h"
#include "tests/fuzz/fuzz_input.h"

#define UID "0123456789abcdef0123456789abcdef"

enum {
    HAS_HEADER = 1,  /* the input has all of the header */
    IS_DEAD = 2,     /* salvage */
    IS_DRAINED = 4,  /* by the sidecar's drain, not by the reader alone */
    IS_UNSEALED = 8, /* another descriptor than a segment's */
    IS_SHORT = 16,
    IS_PIPE = 32,
    IS_DISCARDED = 64, /* by the drain, as nobody listens */
};

/* The same for every input; its content is not. */
static struct diag_segment model;

static int other_descriptor(unsigned flags) {
    int fds[2], fd;

    if ((flags & IS_PIPE) != 0) {
        MUST(pipe(fds) == 0);
        close(fds[1]);
        return fds[0];
    }
    fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    MUST(fd >= 0);
    MUST(ftruncate(fd, (flags & IS_SHORT) != 0 ? 4096 : (off_t)model.mapped_size) == 0);
    if ((flags & IS_UNSEALED) == 0)
        MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
    return fd;
}

static void fill(unsigned flags, struct diag_bytes input) {
    static struct diag_shm_header good;
    struct diag_bytes header;
    uint64_t at;

    if (model.header == NULL) {
        MUST(diag_segment_create(UID, DIAG_SHM_RING_SIZE_MIN, &model, NULL) == DIAG_OK);
        good = *model.header;
    }
    *model.header = good;
    memset(model.ring, 0, model.ring_size);
    if ((flags & HAS_HEADER) != 0) {
        header = take_bytes(&input, sizeof good);
        memcpy(model.header, header.data, header.size);
    } else {
        model.header->head = take_integer(&input, 8);
        model.header->tail = model.header->head + take_integer(&input, 4);
        model.header->dropped = take_integer(&input, 4);
        model.header->dropped_reported = take_integer(&input, 4);
        model.header->is_reader_sleeping = (uint32_t)take_integer(&input, 1);
    }
    at = model.header->head % model.ring_size;
    while (input.size > 0) {
        struct diag_bytes part = take_bytes(&input, model.ring_size - at);
        memcpy(model.ring + at, part.data, part.size);
        at = 0;
    }
}

static void read_all(struct diag_ring_reader *reader, bool is_dead) {
    static uint8_t record[DIAG_SHM_RECORD_MAX];
    enum diag_status status;
    uint64_t room = model.ring_size, told = 0;

    do {
        size_t size = 0;
        uint64_t head = reader->head;

        status = is_dead ? diag_ring_reader_salvage(reader, record, &size)
                         : diag_ring_reader_next(reader, record, &size);
        if (status == DIAG_OK) {
            MUST(size >= 1 && size <= DIAG_SHM_RECORD_MAX);
            MUST(reader->head - head > size && reader->head - head <= room);
            room -= reader->head - head;
        }
        told += diag_ring_reader_take_dropped_here(reader);
    } while (status == DIAG_OK);
    MUST(status == DIAG_ERR_CLOSED || status == DIAG_ERR_PROTOCOL);
    if (is_dead)
        MUST(reader->head == model.header->tail);
    MUST(told <= model.header->dropped);
    diag_ring_reader_release(reader);
    (void)diag_ring_reader_prepare_sleep(reader);
    told += diag_ring_reader_take_dropped(reader);
    MUST(told <= model.header->dropped);
    MUST(diag_ring_reader_take_dropped(reader) == 0);
}

static void drain_all(const struct diag_ring_reader *reader, unsigned flags) {
    struct diag_drain_source source = {.reader = *reader, .process_uid = UID, .pid = 1};
    bool is_dead = (flags & IS_DEAD) != 0;
    enum diag_drain_result result;
    struct diag_drain drain;

    MUST(diag_drain_init(&drain, NULL) == DIAG_OK);
    do {
        result = (flags & IS_DISCARDED) != 0 ? diag_drain_discard(&drain, &source, is_dead, 4096)
                                             : diag_drain_collect(&drain, &source, is_dead, 4096);
        MUST(!drain.writer.has_overflowed);
        if (!diag_drain_is_empty(&drain)) {
            struct diag_buffer body;
            MUST(diag_drain_take(&drain, &body) == DIAG_OK);
            diag_buffer_done(&body);
        }
    } while (result != DIAG_DRAIN_EMPTY);
    MUST(!is_dead || source.reader.head == model.header->tail);
    diag_drain_done(&drain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct diag_bytes input = {data, size};
    unsigned flags = (unsigned)take_integer(&input, 1);
    struct diag_segment segment = {.fd = -1};
    struct diag_ring_reader reader;
    struct diag_error err;
    int fd;

    fill(flags, input);
    fd =
        (flags & (IS_UNSEALED | IS_SHORT | IS_PIPE)) != 0 ? other_descriptor(flags) : dup(model.fd);
    if (diag_segment_adopt(fd, true, &segment, &err) != DIAG_OK) {
        MUST(err.message[0] != '\0' && segment.header == NULL);
        return 0;
    }
    MUST(segment.ring_size == model.ring_size);
    if (diag_ring_reader_init(&reader, &segment, &err) != DIAG_OK)
        MUST(err.message[0] != '\0');
    else if ((flags & (IS_DRAINED | IS_DISCARDED)) != 0)
        drain_all(&reader, flags);
    else
        read_all(&reader, (flags & IS_DEAD) != 0);
    diag_segment_done(&segment);
    return 0;
}
