/* SPDX-License-Identifier: MIT */
#include "inproc/agent/link.h"

#include "lib/base/cleanup.h"

void diag_link_init(struct diag_link *link) {
    link->socket.fd = -1;
}

void diag_link_close(struct diag_link *link) {
    diag_owned_fd_close(&link->socket);
}

enum diag_status diag_link_open(struct diag_link *link, const char *socket_path,
                                struct diag_bytes process_info, int segment_fd,
                                struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int fd = -1;
    enum diag_status status = diag_local_socket_connect(socket_path, &fd, err);

    if (status != DIAG_OK)
        return status;
    status = diag_local_socket_send(fd, DIAG_SHM_MESSAGE_HELLO, process_info, &segment_fd,
                                    segment_fd >= 0 ? 1 : 0, err);
    if (status != DIAG_OK)
        return status;
    link->socket = diag_owned_fd_take(DIAG_TAKE_FD(fd));
    return DIAG_OK;
}

static enum diag_status check(const struct diag_link *link, struct diag_error *err) {
    if (diag_owned_fd_is_ours(&link->socket))
        return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_CLOSED, 0, "the application has closed our descriptors");
}

static enum diag_status take_welcome(struct diag_local_message *message,
                                     struct diag_link_event *out, struct diag_error *err) {
    struct diag_link_event event = {.kind = DIAG_LINK_WELCOME};
    enum diag_status status;

    if (message->fd_count != 2)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "the sidecar's welcome came with %zu descriptors, not 2",
                              message->fd_count);
    status = diag_segment_adopt(DIAG_TAKE_FD(message->fds[0]), true, &event.segment, err);
    if (status != DIAG_OK)
        return status;
    event.wake_fd = DIAG_TAKE_FD(message->fds[1]);
    *out = event;
    return DIAG_OK;
}

static enum diag_status take_snapshot(struct diag_local_message *message,
                                      struct diag_link_event *out, struct diag_error *err) {
    struct diag_link_event event = {.kind = DIAG_LINK_SNAPSHOT, .wake_fd = -1};
    enum diag_status status;

    if (message->fd_count != 1)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "the sidecar's snapshot came with %zu descriptors, not 1",
                              message->fd_count);
    status = diag_sealed_memfd_map(DIAG_TAKE_FD(message->fds[0]), &event.snapshot, err);
    if (status != DIAG_OK)
        return status;
    *out = event;
    return DIAG_OK;
}

enum diag_status diag_link_receive(struct diag_link *link, struct diag_link_event *out,
                                   struct diag_error *err) {
    struct diag_local_message message;
    enum diag_status status = check(link, err);

    if (status == DIAG_OK)
        status = diag_local_socket_receive(link->socket.fd, link->buffer, &message, err);

    if (status != DIAG_OK)
        return status;
    switch (message.type) {
    case DIAG_SHM_MESSAGE_WELCOME:
        status = take_welcome(&message, out, err);
        break;
    case DIAG_SHM_MESSAGE_SNAPSHOT:
        status = take_snapshot(&message, out, err);
        break;
    case DIAG_SHM_MESSAGE_REFUSED:
        *out = (struct diag_link_event){
            .kind = DIAG_LINK_REFUSED, .wake_fd = -1, .reason = message.payload};
        break;
    default:
        status = diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                                "the sidecar sent a message of type %u, which is not for processes",
                                (unsigned)message.type);
    }
    diag_local_message_done(&message);
    return status;
}

enum diag_status diag_link_report(struct diag_link *link, struct diag_bytes report,
                                  struct diag_error *err) {
    enum diag_status status = check(link, err);

    if (status != DIAG_OK)
        return status;
    return diag_local_socket_send(link->socket.fd, DIAG_SHM_MESSAGE_REPORT, report, NULL, 0, err);
}
