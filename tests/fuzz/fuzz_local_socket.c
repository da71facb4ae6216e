/* SPDX-License-Identifier: MIT */
/* Any messages on the socket, in both directions: what a process may send to the sidecar (HELLO,
 * REPORT), what the sidecar may send to a process.
 *
 * Input: a byte that says who receives; then messages: a byte of descriptors to go along, two of
 * length, the bytes. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diagnose/v1/process.pb-c.h"
#include "inproc/agent/link.h"
#include "lib/base/cleanup.h"
#include "lib/rpc/message.h"
#include "sidecar/process.h"
#include "tests/fuzz/fuzz_input.h"

#define MESSAGES_MAX 16
#define FDS_MAX 4

static int open_descriptors(void) {
    int count = 0;

    for (int fd = 0; fd < 64; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static bool send_raw(int fd, struct diag_bytes bytes, size_t fd_count) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    } control = {.bytes = {0}};
    struct iovec part = {(void *)(uintptr_t)bytes.data, bytes.size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    int fds[FDS_MAX] = {fd, fd, fd, fd};

    if (fd_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * fd_count);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static bool sidecar_receives(struct diag_process *process) {
    static uint8_t buffer[DIAG_LOCAL_SOCKET_BUFFER_SIZE];
    struct diag_local_message message;
    struct diag_error err = {0};
    enum diag_status status = diag_local_socket_receive(process->socket_fd, buffer, &message, &err);
    bool is_news;

    if (status != DIAG_OK) {
        MUST(err.message[0] != '\0');
        return false;
    }
    MUST(message.payload.size <= DIAG_SHM_SOCKET_PAYLOAD_MAX);
    if (message.type == DIAG_SHM_MESSAGE_HELLO && process->source.pid == 0)
        status = diag_process_identify(process, message.payload, &err);
    if (message.type == DIAG_SHM_MESSAGE_HELLO && status == DIAG_OK && message.fd_count > 0)
        status = diag_process_welcome(process, &message.fds[0], DIAG_SHM_RING_SIZE_MIN, &err);
    if (message.type == DIAG_SHM_MESSAGE_REPORT)
        status = diag_status_set_merge(&process->statuses, message.payload, &is_news, &err);
    MUST(status == DIAG_OK || err.message[0] != '\0');
    diag_local_message_done(&message);
    return status == DIAG_OK;
}

static bool process_receives(struct diag_link *link) {
    struct diag_link_event event;
    struct diag_error err = {0};

    if (diag_link_receive(link, &event, &err) != DIAG_OK) {
        MUST(err.message[0] != '\0');
        return false;
    }
    if (event.kind == DIAG_LINK_WELCOME) {
        diag_segment_done(&event.segment);
        diag_closep(&event.wake_fd);
    } else if (event.kind == DIAG_LINK_SNAPSHOT) {
        diag_sealed_memfd_unmap(event.snapshot);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct diag_link link;
    struct diag_bytes input = {data, size};
    bool to_sidecar = take_integer(&input, 1) % 2 == 0, goes_on = true;
    int before = open_descriptors(), fds[2];
    struct diag_process *process = NULL;

    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    diag_link_init(&link);
    if (to_sidecar)
        MUST(diag_process_new(fds[0], &process, NULL) == DIAG_OK);
    else
        link.socket = diag_owned_fd_take(fds[0]);
    for (int i = 0; i < MESSAGES_MAX && goes_on && input.size > 0; i++) {
        size_t fd_count = take_integer(&input, 1) % (FDS_MAX + 1);
        size_t length = take_integer(&input, 2);

        if (!send_raw(fds[1], take_bytes(&input, length), fd_count))
            break;
        goes_on = to_sidecar ? sidecar_receives(process) : process_receives(&link);
    }
    close(fds[1]);
    if (goes_on) /* the hang-up */
        goes_on = to_sidecar ? sidecar_receives(process) : process_receives(&link);
    if (to_sidecar) {
        struct diag_buffer status = {0};
        ProtobufCMessage *unpacked;

        MUST(diag_process_encode(process, &status) == DIAG_OK);
        /* the controller gets these bytes, and would end the stream of a sidecar whose it cannot
         * read */
        unpacked =
            diag_rpc_unpack(&diagnose__v1__process_status__descriptor, diag_buffer_bytes(&status));
        MUST(unpacked != NULL);
        protobuf_c_message_free_unpacked(unpacked, NULL);
        diag_buffer_done(&status);
    }
    diag_process_free(process);
    diag_link_close(&link);
    MUST(open_descriptors() == before);
    return 0;
}
