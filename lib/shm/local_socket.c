/* SPDX-License-Identifier: MIT */
#include "lib/shm/local_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base/cleanup.h"

static enum diag_status make_address(const char *path, struct sockaddr_un *address,
                                     struct diag_error *err) {
    size_t length = strlen(path);

    if (length == 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "socket path is empty");
    if (length >= sizeof address->sun_path)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0,
                              "socket path has %zu bytes, a unix socket can have %zu: %s", length,
                              sizeof address->sun_path - 1, path);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, length);
    return DIAG_OK;
}

/* Locks PATH.lock. The file may be unlinked by its holder at the end, so that after waiting for
 * nothing we make sure to hold the one that is there now. */
static enum diag_status lock(const char *path, int *lock_fd, struct diag_error *err) {
    char lock_path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + sizeof ".lock"];

    snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    for (;;) {
        DIAG_CLEANUP(diag_closep)
        int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        struct stat ours, current;

        if (fd < 0)
            return diag_error_set(err, errno == EACCES ? DIAG_ERR_PERMISSION : DIAG_ERR_IO, errno,
                                  "%s", lock_path);
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK)
                return diag_error_set(err, DIAG_ERR_BUSY, 0, "%s: another process holds %s", path,
                                      lock_path);
            return diag_error_set(err, DIAG_ERR_IO, errno, "lock of %s", lock_path);
        }
        if (fstat(fd, &ours) == 0 && stat(lock_path, &current) == 0 &&
            ours.st_ino == current.st_ino && ours.st_dev == current.st_dev) {
            *lock_fd = DIAG_TAKE_FD(fd);
            return DIAG_OK;
        }
    }
}

static enum diag_status remove_stale(const char *path, struct diag_error *err) {
    struct stat file;

    if (lstat(path, &file) != 0) {
        if (errno == ENOENT)
            return DIAG_OK;
        return diag_error_set(err, DIAG_ERR_IO, errno, "%s", path);
    }
    if (!S_ISSOCK(file.st_mode))
        return diag_error_set(err, DIAG_ERR_EXISTS, 0, "%s is there and is not a socket", path);
    if (unlink(path) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "stale socket %s", path);
    return DIAG_OK;
}

enum diag_status diag_local_socket_listen(const char *path, int *listen_fd, int *lock_fd,
                                          struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int locked = -1;
    DIAG_CLEANUP(diag_closep) int fd = -1;
    struct sockaddr_un address;
    enum diag_status status;

    status = make_address(path, &address, err);
    if (status == DIAG_OK)
        status = lock(path, &locked, err);
    if (status == DIAG_OK)
        status = remove_stale(path, err);
    if (status != DIAG_OK)
        return status;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "socket");
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "bind of %s", path);
    if (chmod(path, 0666) != 0 || listen(fd, SOMAXCONN) != 0) {
        status = diag_error_set(err, DIAG_ERR_IO, errno, "listen at %s", path);
        unlink(path);
        return status;
    }
    *lock_fd = DIAG_TAKE_FD(locked);
    *listen_fd = DIAG_TAKE_FD(fd);
    return DIAG_OK;
}

enum diag_status diag_local_socket_connect(const char *path, int *fd, struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int made = -1;
    struct sockaddr_un address;
    enum diag_status status;

    status = make_address(path, &address, err);
    if (status != DIAG_OK)
        return status;
    /* Non-blocking from the start: a listener with a full backlog must not hold us up. */
    made = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "socket");
    if (connect(made, (const struct sockaddr *)&address, sizeof address) != 0) {
        switch (errno) {
        case ENOENT:
        case ECONNREFUSED:
        case EAGAIN:
        case EINTR:
            return diag_error_set(err, DIAG_ERR_UNAVAILABLE, errno, "%s", path);
        case EACCES:
        case EPERM:
            return diag_error_set(err, DIAG_ERR_PERMISSION, errno, "%s", path);
        default:
            return diag_error_set(err, DIAG_ERR_IO, errno, "connect to %s", path);
        }
    }
    *fd = DIAG_TAKE_FD(made);
    return DIAG_OK;
}

static enum diag_status send_failed(int os_errno, struct diag_error *err) {
    switch (os_errno) {
    case EAGAIN:
    case ENOBUFS:
    case ETOOMANYREFS: /* as many descriptors in flight as we may have open */
        return diag_error_set(err, DIAG_ERR_FULL, os_errno, "the peer does not read");
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return diag_error_set(err, DIAG_ERR_CLOSED, 0, "the peer has closed the socket");
    default:
        return diag_error_set(err, DIAG_ERR_IO, os_errno, "sendmsg");
    }
}

enum diag_status diag_local_socket_send(int fd, enum diag_shm_message_type type,
                                        struct diag_bytes payload, const int *fds, size_t fd_count,
                                        struct diag_error *err) {
    struct diag_shm_message header = {
        .magic = DIAG_SHM_SOCKET_MAGIC,
        .version_major = DIAG_SHM_VERSION_MAJOR,
        .version_minor = DIAG_SHM_VERSION_MINOR,
        .type = (uint32_t)type,
        .payload_size = (uint32_t)payload.size,
    };
    struct iovec parts[2] = {
        {&header, sizeof header},
        {(void *)(uintptr_t)payload.data, payload.size},
    };
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * DIAG_LOCAL_SOCKET_FDS_MAX)];
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = payload.size > 0 ? 2 : 1};
    ssize_t sent;

    if (payload.size > DIAG_SHM_SOCKET_PAYLOAD_MAX)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0,
                              "message payload has %zu bytes, at most %d are allowed", payload.size,
                              DIAG_SHM_SOCKET_PAYLOAD_MAX);
    if (fd_count > DIAG_LOCAL_SOCKET_FDS_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%zu descriptors, at most %d are allowed",
                              fd_count, DIAG_LOCAL_SOCKET_FDS_MAX);
    if (fd_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * fd_count);
    }
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return send_failed(errno, err);
    return DIAG_OK;
}

/* Moves the descriptors of all SCM_RIGHTS parts to `out`, and closes those beyond the limit.
 * Returns how many there were. */
static size_t take_fds(struct msghdr *message, struct diag_local_message *out) {
    size_t count = 0;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        size_t in_part;

        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        in_part = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < in_part; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            if (count < DIAG_LOCAL_SOCKET_FDS_MAX)
                out->fds[count] = fd;
            else
                close(fd);
            count++;
        }
    }
    out->fd_count = count < DIAG_LOCAL_SOCKET_FDS_MAX ? count : DIAG_LOCAL_SOCKET_FDS_MAX;
    return count;
}

static enum diag_status check_message(const uint8_t *buffer, size_t size, int flags,
                                      size_t fd_count, struct diag_local_message *out,
                                      struct diag_error *err) {
    struct diag_shm_message header;

    if (size < sizeof header)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "message of %zu bytes has no header",
                              size);
    memcpy(&header, buffer, sizeof header);
    if (header.magic != DIAG_SHM_SOCKET_MAGIC)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "message.magic is 0x%x", header.magic);
    if (header.version_major != DIAG_SHM_VERSION_MAJOR)
        return diag_error_set(err, DIAG_ERR_VERSION, 0, "message.version_major is %u, ours is %u",
                              header.version_major, DIAG_SHM_VERSION_MAJOR);
    if ((flags & MSG_TRUNC) != 0)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "message is longer than %zu bytes", size);
    if ((flags & MSG_CTRUNC) != 0 || fd_count > DIAG_LOCAL_SOCKET_FDS_MAX)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "message has more descriptors than can be received");
    if (header.payload_size != size - sizeof header)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "message.payload_size is %u, but %zu bytes follow",
                              header.payload_size, size - sizeof header);
    if (header.type < DIAG_SHM_MESSAGE_HELLO || header.type > DIAG_SHM_MESSAGE_REPORT)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "message.type %u is not known",
                              header.type);
    out->type = (enum diag_shm_message_type)header.type;
    out->payload = diag_bytes_make(buffer + sizeof header, header.payload_size);
    return DIAG_OK;
}

enum diag_status diag_local_socket_receive(int fd, uint8_t buffer[DIAG_LOCAL_SOCKET_BUFFER_SIZE],
                                           struct diag_local_message *out, struct diag_error *err) {
    struct diag_local_message received = {.fds = {-1, -1}};
    struct iovec part = {buffer, DIAG_LOCAL_SOCKET_BUFFER_SIZE};
    union {
        struct cmsghdr header; /* for its alignment */
        char bytes[CMSG_SPACE(sizeof(int) * DIAG_LOCAL_SOCKET_FDS_MAX)];
    } control;
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control,
    };
    enum diag_status status;
    bool was_reset = false;
    ssize_t size;
    size_t fd_count;

    /* A peer that closed before it had read everything resets the connection, which is told once
     * and ahead of what it had sent: its last word comes with the next try. */
    do
        size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (size < 0 &&
           (errno == EINTR || (errno == ECONNRESET && !was_reset && (was_reset = true))));
    if (size < 0 && errno == EAGAIN)
        return diag_error_set(err, DIAG_ERR_UNAVAILABLE, 0, "no message there");
    if (size < 0 && errno == ECONNRESET)
        return diag_error_set(err, DIAG_ERR_CLOSED, 0, "the peer has closed the socket");
    if (size < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "recvmsg");
    fd_count = take_fds(&message, &received);
    if (size == 0)
        /* A message of no bytes looks the same, and is none of ours either. */
        status = diag_error_set(err, DIAG_ERR_CLOSED, 0, "the peer has closed the socket");
    else
        status = check_message(buffer, (size_t)size, message.msg_flags, fd_count, &received, err);
    if (status != DIAG_OK) {
        diag_local_message_done(&received);
        return status;
    }
    *out = received;
    return DIAG_OK;
}

void diag_local_message_done(struct diag_local_message *message) {
    for (size_t i = 0; i < DIAG_LOCAL_SOCKET_FDS_MAX; i++)
        diag_closep(&message->fds[i]);
    message->fd_count = 0;
}
