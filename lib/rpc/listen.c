/* SPDX-License-Identifier: MIT */
#include "lib/rpc/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

static struct sockaddr_un unix_address(const struct diag_rpc_address *address) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    _Static_assert(sizeof address->path <= sizeof name.sun_path, "a parsed path fits");
    strcpy(name.sun_path, address->path);
    return name;
}

enum diag_status diag_rpc_listen_check(const struct diag_rpc_address *address,
                                       struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int fd = -1;
    struct sockaddr_un name;
    struct stat file;

    if (!address->is_unix || lstat(address->path, &file) != 0)
        return DIAG_OK; /* what else may be wrong with the path, binding will say */
    if (!S_ISSOCK(file.st_mode))
        return diag_error_set(err, DIAG_ERR_EXISTS, 0, "cannot listen on unix:%s: not a socket",
                              address->path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "cannot listen on unix:%s", address->path);
    name = unix_address(address);
    /* EAGAIN: there is a listener, with a full backlog. */
    if (connect(fd, (struct sockaddr *)&name, sizeof name) == 0 || errno == EAGAIN)
        return diag_error_set(err, DIAG_ERR_BUSY, 0,
                              "cannot listen on unix:%s: another process serves it", address->path);
    /* Only a socket that nobody listens to may be replaced. */
    if (errno != ECONNREFUSED && errno != ENOENT)
        return diag_error_set(err, DIAG_ERR_IO, errno, "cannot listen on unix:%s", address->path);
    return DIAG_OK;
}

static enum diag_status explain_unix(const struct diag_rpc_address *address,
                                     struct diag_error *err) {
    struct sockaddr_un name = unix_address(address);
    DIAG_CLEANUP(diag_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0) {
        unlink(address->path);
        return DIAG_OK;
    }
    return diag_error_set(err, DIAG_ERR_IO, errno, "cannot listen on unix:%s", address->path);
}

static enum diag_status try_tcp(const struct diag_rpc_address *address,
                                const struct addrinfo *candidate, struct diag_error *err) {
    DIAG_CLEANUP(diag_closep)
    int fd = socket(candidate->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    /* as gRPC does: connections that are still winding down are no obstacle */
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, candidate->ai_addr, candidate->ai_addrlen) == 0 && listen(fd, 1) == 0)
        return DIAG_OK;
    return diag_error_set(err, errno == EADDRINUSE ? DIAG_ERR_BUSY : DIAG_ERR_IO, errno,
                          "cannot listen on %s:%d", address->host, address->port);
}

static void free_candidates(struct addrinfo **candidates) {
    if (*candidates != NULL)
        freeaddrinfo(*candidates);
}

enum diag_status diag_rpc_listen_explain(const struct diag_rpc_address *address,
                                         struct diag_error *err) {
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    DIAG_CLEANUP(free_candidates) struct addrinfo *candidates = NULL;
    enum diag_status status = DIAG_OK;
    char port[12];
    int result;

    if (address->is_unix)
        return explain_unix(address, err);
    snprintf(port, sizeof port, "%d", address->port);
    result = getaddrinfo(address->host, port, &hints, &candidates);
    if (result != 0)
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0, "cannot listen on %s:%d: %s",
                              address->host, address->port, gai_strerror(result));
    for (struct addrinfo *each = candidates; each != NULL && status == DIAG_OK;
         each = each->ai_next)
        status = try_tcp(address, each, err);
    return status;
}

void diag_rpc_socket_file_note(const struct diag_rpc_address *address,
                               struct diag_rpc_socket_file *file) {
    struct stat found;

    if (address->is_unix && lstat(address->path, &found) == 0)
        *file = (struct diag_rpc_socket_file){found.st_dev, found.st_ino};
}

void diag_rpc_socket_file_remove(const struct diag_rpc_address *address,
                                 const struct diag_rpc_socket_file *file) {
    struct stat found;

    if (file->inode != 0 && lstat(address->path, &found) == 0 && found.st_ino == file->inode &&
        found.st_dev == file->device)
        unlink(address->path);
}
