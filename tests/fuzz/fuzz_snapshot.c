/* SPDX-License-Identifier: MIT */
/* Any bytes from the sidecar as what the process maps: a snapshot of specs, or the segment of a
 * welcome.
 *
 * Input: a byte that says which; the bytes. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inproc/agent/link.h"
#include "lib/base/cleanup.h"
#include "lib/shm/ring_writer.h"
#include "lib/spec/spec_codec.h"
#include "tests/fuzz/fuzz_input.h"

enum { SNAPSHOT, SPEC, SEGMENT, UNSEALED, PEEK, KIND_COUNT };

static void decode_spec(struct diag_bytes encoded) {
    char id[DIAG_SPEC_ID_MAX + 1];
    struct diag_spec *spec = NULL;
    struct diag_error err = {0};
    uint64_t revision;

    diag_spec_peek(encoded, id, &revision);
    MUST(strlen(id) <= DIAG_SPEC_ID_MAX);
    if (diag_spec_decode(encoded, &spec, &err) != DIAG_OK) {
        MUST(spec == NULL && err.message[0] != '\0');
        return;
    }
    if (diag_spec_validate(spec, &err) != DIAG_OK) {
        /* goes up in a status */
        MUST(err.message[0] != '\0' && diag_bytes_is_utf8(diag_bytes_from_text(err.message)));
    } else {
        enum diag_spec_event event;
        int line = 0;

        MUST(strcmp(spec->id, id) == 0);
        MUST(diag_spec_event_parse(spec->instrument.event, &event, &line, NULL) == DIAG_OK);
        MUST((event == DIAG_SPEC_EVENT_LINE) == (line > 0));
        MUST(diag_spec_target_is_line(spec->target, NULL, NULL) ==
             (strchr(spec->target, ':') != NULL));
    }
    MUST(diag_spec_equal(spec, spec));
    MUST(diag_spec_matches(spec, spec->match_labels, spec->match_label_count));
    diag_spec_free(spec);
}

static void decode_snapshot(struct diag_bytes content) {
    struct diag_spec_snapshot snapshot;
    struct diag_error err = {0};

    if (diag_spec_snapshot_decode(content, &snapshot, &err) != DIAG_OK) {
        MUST(err.message[0] != '\0');
        return;
    }
    for (size_t i = 0; i < snapshot.spec_count; i++)
        decode_spec(snapshot.specs[i]);
    diag_spec_snapshot_done(&snapshot);
}

/* A segment whose header is the sidecar's: the process must refuse it, or be able to write. */
static int make_segment(struct diag_bytes header) {
    struct diag_segment segment;
    int fd;

    MUST(diag_segment_create("0123456789abcdef0123456789abcdef", DIAG_SHM_RING_SIZE_MIN, &segment,
                             NULL) == DIAG_OK);
    memcpy(segment.header, header.data,
           header.size < DIAG_SHM_HEADER_SIZE ? header.size : DIAG_SHM_HEADER_SIZE);
    fd = dup(segment.fd);
    diag_segment_done(&segment);
    return fd;
}

static void write_events(struct diag_segment *segment) {
    struct diag_ring_writer writer = {segment, -1};
    static const uint8_t event[600];

    /* a head or tail that makes no sense must not lead it out of the ring */
    for (size_t i = 0; i < 200; i++) {
        enum diag_status status =
            i % 5 == 0 ? diag_ring_writer_put_kept(&writer, diag_bytes_make(event, 1 + 3 * i))
                       : diag_ring_writer_put(&writer, diag_bytes_make(event, 1 + 3 * i));
        MUST(status == DIAG_OK || status == DIAG_ERR_FULL);
    }
}

static void receive(struct diag_link *link) {
    struct diag_link_event event;
    struct diag_error err = {0};

    if (diag_link_receive(link, &event, &err) != DIAG_OK) {
        MUST(err.message[0] != '\0');
        return;
    }
    if (event.kind == DIAG_LINK_SNAPSHOT) {
        decode_snapshot(event.snapshot);
        diag_sealed_memfd_unmap(event.snapshot);
        return;
    }
    MUST(event.kind == DIAG_LINK_WELCOME);
    write_events(&event.segment);
    diag_segment_done(&event.segment);
    diag_closep(&event.wake_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct diag_link link;
    struct diag_bytes input = {data, size}, nothing = {NULL, 0};
    uint64_t kind = take_integer(&input, 1) % KIND_COUNT;
    int pair[2], fds[2] = {-1, -1};

    if (kind == SPEC || kind == PEEK) {
        decode_spec(input);
        return 0;
    }
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    diag_link_init(&link);
    link.socket = diag_owned_fd_take(pair[0]);
    if (kind == SEGMENT) {
        fds[0] = fds[1] = make_segment(input);
        MUST(diag_local_socket_send(pair[1], DIAG_SHM_MESSAGE_WELCOME, nothing, fds, 2, NULL) ==
             DIAG_OK);
    } else {
        if (kind == SNAPSHOT) {
            MUST(diag_sealed_memfd_create("fuzz", input, &fds[0], NULL) == DIAG_OK);
        } else {
            fds[0] = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
            MUST(fds[0] >= 0 && write(fds[0], input.data, input.size) == (ssize_t)input.size);
        }
        MUST(diag_local_socket_send(pair[1], DIAG_SHM_MESSAGE_SNAPSHOT, nothing, fds, 1, NULL) ==
             DIAG_OK);
    }
    close(fds[0]);
    receive(&link);
    close(pair[1]);
    diag_link_close(&link);
    return 0;
}
