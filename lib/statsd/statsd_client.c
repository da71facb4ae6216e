/* SPDX-License-Identifier: MIT */
/* How it works: the socket is connected, so that the system tells of datagrams that the peer's
 * machine refused. It does so with the next send, which is not carried out: that one is tried once
 * more, and the metrics of the one before move from `sent` to `failed`.
 *
 * A socket that an error says is of no more use is closed, and opened again by a later send, at
 * most once in REOPEN_NS; that is how the restart of a server at a unix socket is survived. A name
 * is looked up again after errors, at most once in RESOLVE_AGAIN_NS. */
#include "lib/statsd/statsd_client.h"

#include <errno.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/owned_fd.h"
#include "lib/statsd/statsd_resolver.h"

#define REOPEN_NS DIAG_NS_PER_S
#define RESOLVE_AGAIN_NS (10 * DIAG_NS_PER_S)

struct diag_statsd_client {
    struct diag_statsd_peer peer;
    struct diag_statsd_address address; /* size 0: not known yet */
    struct diag_owned_fd socket;
    struct diag_statsd_resolver *resolver; /* NULL: nobody is asking */
    struct diag_statsd_counts counts;
    uint64_t unconfirmed;     /* metrics of the last datagram sent */
    uint64_t next_open_ns;    /* no new socket before; 0: at any time */
    uint64_t next_resolve_ns; /* no new question before */
};

enum diag_status diag_statsd_client_new(const struct diag_statsd_peer *peer,
                                        struct diag_statsd_client **out, struct diag_error *err) {
    struct diag_statsd_client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "statsd client");
    client->peer = *peer;
    client->socket.fd = -1;
    /* a name is asked about by the first send */
    if (diag_statsd_address_known(peer, &client->address, NULL) != DIAG_OK)
        client->address.size = 0;
    *out = client;
    return DIAG_OK;
}

void diag_statsd_client_free(struct diag_statsd_client *client) {
    if (client == NULL)
        return;
    diag_statsd_resolver_free(client->resolver);
    diag_owned_fd_close(&client->socket);
    free(client);
}

void diag_statsd_client_close(struct diag_statsd_client *client) {
    diag_owned_fd_close(&client->socket);
    client->next_open_ns = 0;
    client->unconfirmed = 0;
}

const struct diag_statsd_peer *diag_statsd_client_peer(const struct diag_statsd_client *client) {
    return &client->peer;
}

struct diag_statsd_counts diag_statsd_client_counts(const struct diag_statsd_client *client) {
    return client->counts;
}

static enum diag_status open_socket(const struct diag_statsd_peer *peer,
                                    const struct diag_statsd_address *address, int *out,
                                    struct diag_error *err) {
    char text[DIAG_STATSD_PEER_TEXT_MAX];
    DIAG_CLEANUP(diag_closep)
    int fd = socket(address->socket.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "socket");
    if (connect(fd, &address->socket.any, address->size) != 0) {
        int os_errno = errno;

        diag_statsd_peer_describe(peer, text);
        return diag_error_set(err, DIAG_ERR_IO, os_errno, "%s", text);
    }
    *out = DIAG_TAKE_FD(fd);
    return DIAG_OK;
}

enum diag_status diag_statsd_client_open(struct diag_statsd_client *client,
                                         const struct diag_statsd_address *address,
                                         struct diag_error *err) {
    int fd;
    enum diag_status status = open_socket(&client->peer, address, &fd, err);

    if (status != DIAG_OK)
        return status;
    diag_statsd_client_close(client);
    client->socket = diag_owned_fd_take(fd);
    client->address = *address;
    return DIAG_OK;
}

/* ---- looking up ---- */

static void ask(struct diag_statsd_client *client) {
    uint64_t now_ns = diag_clock_monotonic_ns();

    if (client->resolver != NULL || now_ns < client->next_resolve_ns)
        return;
    client->next_resolve_ns = now_ns + RESOLVE_AGAIN_NS;
    /* no memory, no thread: another time */
    if (diag_statsd_resolver_new(&client->peer, &client->resolver, NULL) != DIAG_OK)
        return;
}

/* Takes the answer, if there is one. */
static void take_answer(struct diag_statsd_client *client) {
    struct diag_statsd_address address;
    enum diag_status status = diag_statsd_resolver_poll(client->resolver, &address);

    if (status == DIAG_ERR_BUSY)
        return;
    diag_statsd_resolver_free(client->resolver);
    client->resolver = NULL;
    if (status == DIAG_ERR_CLOSED)
        client->next_resolve_ns = 0;
    if (status != DIAG_OK || diag_statsd_address_equal(&address, &client->address))
        return;
    diag_statsd_client_close(client);
    client->address = address;
}

/* The peer may be elsewhere by now. */
static void doubt_address(struct diag_statsd_client *client) {
    struct diag_statsd_address known;

    if (diag_statsd_address_known(&client->peer, &known, NULL) != DIAG_OK)
        ask(client);
}

/* ---- sending ---- */

/* True if there is a socket. */
static bool prepare(struct diag_statsd_client *client) {
    uint64_t now_ns;

    if (client->resolver != NULL)
        take_answer(client);
    if (diag_owned_fd_is_ours(&client->socket))
        return true;
    client->socket.fd = -1;
    if (client->address.size == 0) {
        ask(client);
        return false;
    }
    now_ns = diag_clock_monotonic_ns();
    if (now_ns < client->next_open_ns)
        return false;
    if (diag_statsd_client_open(client, &client->address, NULL) == DIAG_OK)
        return true;
    client->next_open_ns = now_ns + REOPEN_NS;
    doubt_address(client);
    return false;
}

static int send_once(const struct diag_statsd_client *client, struct diag_bytes datagram) {
    ssize_t sent;

    do
        sent = send(client->socket.fd, datagram.data, datagram.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

/* A datagram before this one was refused, of which the system tells only now. */
static void take_refusal(struct diag_statsd_client *client) {
    client->counts.sent -= client->unconfirmed;
    client->counts.failed += client->unconfirmed;
    client->unconfirmed = 0;
    doubt_address(client);
}

/* True if the datagram should be sent once more. */
static bool recover(struct diag_statsd_client *client, int os_errno) {
    switch (os_errno) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
    case EMSGSIZE:
    case EPERM: /* a firewall's answer */
        return false;
    case ECONNREFUSED:
        if (!client->peer.is_unix) {
            take_refusal(client);
            return true;
        }
    }
    diag_statsd_client_close(client);
    if (!client->peer.is_unix) {
        client->next_open_ns = diag_clock_monotonic_ns() + REOPEN_NS;
        doubt_address(client);
        return false;
    }
    return prepare(client);
}

void diag_statsd_client_send(struct diag_statsd_client *client, struct diag_bytes datagram,
                             size_t metric_count) {
    int saved_errno = errno, os_errno;

    if (!prepare(client)) {
        if (client->address.size == 0)
            client->counts.dropped += metric_count;
        else
            client->counts.failed += metric_count;
        errno = saved_errno;
        return;
    }
    os_errno = send_once(client, datagram);
    if (os_errno != 0 && recover(client, os_errno))
        os_errno = send_once(client, datagram);
    if (os_errno == 0) {
        client->counts.sent += metric_count;
        client->unconfirmed = metric_count;
    } else if (os_errno == EAGAIN || os_errno == ENOBUFS) {
        client->counts.dropped += metric_count;
    } else {
        client->counts.failed += metric_count;
    }
    errno = saved_errno;
}
