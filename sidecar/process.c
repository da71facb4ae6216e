/* SPDX-License-Identifier: MIT */
#include "sidecar/process.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "diagnose/v1/process.pb-c.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/wire.h"
#include "lib/rpc/message.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

#define NEWS_INTERVAL_NS (100 * DIAG_NS_PER_MS)
#define PROCESS_STATUS_FIELD_REFUSED 4
#define FIELD_ROOM 16 /* a field's tag and length */
#define COMMAND_MAX 512
#define VERSION_MAX 64
#define NAME_SIZE_MAX 256

enum diag_status diag_process_new(int socket_fd, struct diag_process **out,
                                  struct diag_error *err) {
    struct diag_process *process = calloc(1, sizeof *process);

    if (process == NULL) {
        close(socket_fd);
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "process");
    }
    process->state = DIAG_PROCESS_NEW;
    process->socket_fd = socket_fd;
    process->wake_fd = -1;
    process->end_fd = -1;
    process->segment.fd = -1;
    process->socket_watch = (struct diag_watch){DIAG_WATCH_SOCKET, process};
    process->wake_watch = (struct diag_watch){DIAG_WATCH_RING, process};
    process->end_watch = (struct diag_watch){DIAG_WATCH_END, process};
    *out = process;
    return DIAG_OK;
}

void diag_process_free(struct diag_process *process) {
    if (process == NULL)
        return;
    diag_closep(&process->socket_fd);
    diag_closep(&process->wake_fd);
    diag_closep(&process->end_fd);
    diag_segment_done(&process->segment);
    diag_buffer_done(&process->info);
    diag_status_set_done(&process->statuses);
    free(process);
}

static enum diag_status check_info(const Diagnose__V1__ProcessInfo *info, struct diag_error *err) {
    if (!diag_uid_is_valid(info->uid))
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "HELLO: uid \"%.40s\" is not 32 hexadecimal digits", info->uid);
    if (info->pid == 0)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "HELLO: pid is 0");
    if (strlen(info->command) > COMMAND_MAX)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "HELLO: command has over %d bytes",
                              COMMAND_MAX);
    if (strlen(info->python_version) > VERSION_MAX || strlen(info->library_version) > VERSION_MAX)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "HELLO: python_version or library_version has over %d bytes",
                              VERSION_MAX);
    if (strlen(info->container) > NAME_SIZE_MAX || strlen(info->service) > NAME_SIZE_MAX)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "HELLO: container or service has over %d bytes", NAME_SIZE_MAX);
    return DIAG_OK;
}

enum diag_status diag_process_identify(struct diag_process *process, struct diag_bytes hello,
                                       struct diag_error *err) {
    ProtobufCMessage *message = diag_rpc_unpack(&diagnose__v1__process_info__descriptor, hello);
    const Diagnose__V1__ProcessInfo *info = (const Diagnose__V1__ProcessInfo *)message;
    enum diag_status status;

    if (message == NULL)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "HELLO: %zu bytes that are no ProcessInfo",
                              hello.size);
    status = check_info(info, err);
    if (status == DIAG_OK && diag_buffer_append(&process->info, hello) != DIAG_OK)
        status = diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "process");
    if (status == DIAG_OK) {
        memcpy(process->source.process_uid, info->uid, DIAG_UID_SIZE);
        process->source.pid = info->pid;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return status;
}

static enum diag_status take_segment(struct diag_process *process, int *fd, uint64_t ring_size,
                                     struct diag_error *err) {
    enum diag_status status;

    if (*fd < 0)
        return diag_segment_create(process->source.process_uid, ring_size, &process->segment, err);
    status = diag_segment_adopt(DIAG_TAKE_FD(*fd), false, &process->segment, err);
    if (status != DIAG_OK) {
        diag_error_prefix(err, "HELLO");
        return status;
    }
    if (memcmp(process->segment.header->process_uid, process->source.process_uid, DIAG_UID_SIZE) !=
        0)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "HELLO: the segment is that of another process");
    return DIAG_OK;
}

/* The peer's pidfd: its pid alone may mean nothing in our namespace, or somebody else by now. */
static int open_peer_pidfd(int socket_fd) {
    struct ucred peer;
    socklen_t size = sizeof(int);
    int fd = -1;

    if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0)
        return fd;
    size = sizeof peer;
    if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0)
        return -1;
    return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

enum diag_status diag_process_welcome(struct diag_process *process, int *fd, uint64_t ring_size,
                                      struct diag_error *err) {
    enum diag_status status = take_segment(process, fd, ring_size, err);
    int fds[2];

    if (status == DIAG_OK)
        status = diag_ring_reader_init(&process->source.reader, &process->segment, err);
    if (status != DIAG_OK)
        return status;
    diag_aggregate_reader_init(&process->source.aggregates, &process->segment);
    process->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (process->wake_fd < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "eventfd");
    process->end_fd = open_peer_pidfd(process->socket_fd);
    fds[0] = process->segment.fd;
    fds[1] = process->wake_fd;
    status = diag_local_socket_send(process->socket_fd, DIAG_SHM_MESSAGE_WELCOME,
                                    diag_bytes_make(NULL, 0), fds, 2, err);
    if (status == DIAG_OK)
        process->state = DIAG_PROCESS_LIVE;
    return status;
}

enum diag_status diag_process_send_snapshot(struct diag_process *process, int fd, uint64_t number,
                                            struct diag_error *err) {
    enum diag_status status;

    process->waits_for_room = false;
    if (process->snapshot_sent == number)
        return DIAG_OK;
    status = diag_local_socket_send(process->socket_fd, DIAG_SHM_MESSAGE_SNAPSHOT,
                                    diag_bytes_make(NULL, 0), &fd, 1, err);
    if (status == DIAG_OK)
        process->snapshot_sent = number;
    else if (status == DIAG_ERR_FULL)
        process->waits_for_room = true;
    return status;
}

enum diag_status diag_process_encode(const struct diag_process *process, struct diag_buffer *out) {
    return diag_status_set_encode(&process->statuses, diag_buffer_bytes(&process->info),
                                  process->source.lost_total, out);
}

enum diag_status diag_process_encode_refused(const struct diag_process *process, const char *reason,
                                             struct diag_buffer *out) {
    struct diag_bytes text = diag_bytes_from_text(reason);
    enum diag_status status = diag_process_encode(process, out);
    struct diag_wire_writer writer;

    if (status == DIAG_OK)
        status = diag_buffer_reserve(out, text.size + FIELD_ROOM);
    if (status != DIAG_OK)
        return status;
    writer = diag_wire_writer_make(out->data + out->size, text.size + FIELD_ROOM);
    diag_wire_put_bytes(&writer, PROCESS_STATUS_FIELD_REFUSED, text);
    out->size += diag_wire_size(&writer);
    return DIAG_OK;
}

uint64_t diag_process_segment_size(int fd, uint64_t ring_size) {
    struct stat file;

    /* It is what it says only if it is sealed, which adopting it checks. */
    if (fd >= 0 && fstat(fd, &file) == 0)
        return (uint64_t)file.st_size;
    return DIAG_SHM_HEADER_SIZE + ring_size + DIAG_SHM_AGGREGATE_REGION_SIZE;
}

void diag_process_note_update(struct diag_process *process, bool is_news, uint64_t now_ns) {
    uint64_t at = process->last_update_at_ns +
                  (is_news ? NEWS_INTERVAL_NS : DIAG_PROCESS_COUNTERS_INTERVAL_NS);

    if (at < now_ns)
        at = now_ns;
    if (!process->has_update || at < process->update_at_ns)
        process->update_at_ns = at;
    process->has_update = true;
}

static short poll_now(int fd, short events) {
    struct pollfd entry = {.fd = fd, .events = events};

    return poll(&entry, 1, 0) == 1 ? entry.revents : 0;
}

bool diag_process_has_hung_up(const struct diag_process *process) {
    return (poll_now(process->socket_fd, POLLRDHUP) & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

bool diag_process_has_ended(const struct diag_process *process) {
    return process->end_fd >= 0 && poll_now(process->end_fd, POLLIN) != 0;
}
