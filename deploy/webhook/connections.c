/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/connections.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

struct diag_connection {
    struct diag_connection *previous, *next;
    int fd;
    bool is_waiting;         /* between requests */
    bool is_shut;            /* by us */
    uint64_t received_bytes; /* while waiting: as of its begin */
    uint64_t since_ns;       /* while not waiting: when the request began */
};

struct diag_connections {
    pthread_mutex_t lock;
    struct diag_connection head; /* of a ring */
    uint64_t request_timeout_ns;
};

/* Also those of the handshake, and those that nobody has read yet. 0: not a TCP socket. */
static uint64_t received_bytes(int fd) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return 0;
    return info.tcpi_bytes_received;
}

enum diag_status diag_connections_new(uint64_t request_timeout_ns, struct diag_connections **out,
                                      struct diag_error *err) {
    struct diag_connections *connections = calloc(1, sizeof *connections);

    if (connections == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "connections");
    pthread_mutex_init(&connections->lock, NULL);
    connections->head.previous = connections->head.next = &connections->head;
    connections->request_timeout_ns = request_timeout_ns;
    *out = connections;
    return DIAG_OK;
}

void diag_connections_free(struct diag_connections *connections) {
    if (connections == NULL)
        return;
    pthread_mutex_destroy(&connections->lock);
    free(connections);
}

struct diag_connection *diag_connections_add(struct diag_connections *connections, int fd,
                                             uint64_t now_ns) {
    struct diag_connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL)
        return NULL;
    connection->fd = fd;
    connection->since_ns = now_ns;
    pthread_mutex_lock(&connections->lock);
    connection->previous = connections->head.previous;
    connection->next = &connections->head;
    connection->previous->next = connection;
    connections->head.previous = connection;
    pthread_mutex_unlock(&connections->lock);
    return connection;
}

void diag_connections_remove(struct diag_connections *connections,
                             struct diag_connection *connection) {
    if (connection == NULL)
        return;
    pthread_mutex_lock(&connections->lock);
    connection->previous->next = connection->next;
    connection->next->previous = connection->previous;
    pthread_mutex_unlock(&connections->lock);
    free(connection);
}

void diag_connections_wait(struct diag_connections *connections,
                           struct diag_connection *connection) {
    pthread_mutex_lock(&connections->lock);
    connection->is_waiting = true;
    connection->received_bytes = received_bytes(connection->fd);
    pthread_mutex_unlock(&connections->lock);
}

/* True if it had to be shut down. */
static bool reap(struct diag_connection *connection, uint64_t request_timeout_ns, uint64_t now_ns) {
    if (connection->is_waiting) {
        if (received_bytes(connection->fd) == connection->received_bytes)
            return false;
        connection->is_waiting = false;
        connection->since_ns = now_ns;
    }
    if (connection->is_shut || now_ns < connection->since_ns + request_timeout_ns)
        return false;
    shutdown(connection->fd, SHUT_RDWR);
    connection->is_shut = true;
    return true;
}

size_t diag_connections_reap(struct diag_connections *connections, uint64_t now_ns) {
    size_t count = 0;

    pthread_mutex_lock(&connections->lock);
    for (struct diag_connection *connection = connections->head.next;
         connection != &connections->head; connection = connection->next)
        count += reap(connection, connections->request_timeout_ns, now_ns);
    pthread_mutex_unlock(&connections->lock);
    return count;
}
