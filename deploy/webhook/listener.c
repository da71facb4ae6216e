/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/cleanup.h"

#define HOST_MAX 64
#define PORT_MAX 8

static enum diag_status split(const char *address, char host[HOST_MAX], char port[PORT_MAX],
                              struct diag_error *err) {
    const char *colon = strrchr(address, ':');
    bool is_bracketed = address[0] == '[';
    const char *begin = address + is_bracketed;
    size_t host_size = colon != NULL && colon > address ? (size_t)(colon - begin) : 0;
    size_t port_size = colon != NULL ? strlen(colon + 1) : 0;

    if (is_bracketed && host_size > 0)
        host_size = begin[host_size - 1] == ']' ? host_size - 1 : 0;
    if (host_size == 0 || host_size >= HOST_MAX || port_size == 0 || port_size >= PORT_MAX ||
        colon[1 + strspn(colon + 1, "0123456789")] != '\0' ||
        (!is_bracketed && memchr(begin, ':', host_size) != NULL))
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "\"%.64s\" is not HOST:PORT or [v6]:PORT",
                              address);
    memcpy(host, begin, host_size);
    host[host_size] = '\0';
    memcpy(port, colon + 1, port_size + 1);
    return DIAG_OK;
}

static enum diag_status open_one(const struct addrinfo *info, int *fd, struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int made = -1;
    int on = 1, off = 0;

    made = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "socket");
    setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(made, info->ai_addr, info->ai_addrlen) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "bind");
    if (listen(made, SOMAXCONN) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "listen");
    *fd = DIAG_TAKE_FD(made);
    return DIAG_OK;
}

static void name_of(int fd, char bound[DIAG_LISTENER_ADDRESS_MAX]) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[HOST_MAX] = "", port[PORT_MAX] = "";

    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(bound, DIAG_LISTENER_ADDRESS_MAX, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s",
             host, port);
}

static enum diag_status open_host(const char *host, const char *port, int *fd,
                                  struct diag_error *err) {
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    struct addrinfo *found;
    enum diag_status status;
    int code = getaddrinfo(host, port, &hints, &found);

    if (code != 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s", gai_strerror(code));
    status = open_one(found, fd, err);
    freeaddrinfo(found);
    return status;
}

enum diag_status diag_listener_open(const char *address, int *fd,
                                    char bound[DIAG_LISTENER_ADDRESS_MAX], struct diag_error *err) {
    char host[HOST_MAX], port[PORT_MAX];
    struct diag_error reason = {0};
    enum diag_status status = split(address, host, port, err);

    if (status != DIAG_OK)
        return status;
    status = open_host(host, port, fd, &reason);
    if (status != DIAG_OK && strcmp(host, "::") == 0 && reason.os_errno == EAFNOSUPPORT)
        status = open_host("0.0.0.0", port, fd, &reason);
    if (status != DIAG_OK) {
        diag_error_prefix(&reason, "\"%.64s\"", address);
        if (err != NULL)
            *err = reason;
        return status;
    }
    name_of(*fd, bound);
    return DIAG_OK;
}
