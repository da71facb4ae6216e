/* SPDX-License-Identifier: MIT */
/* connections - a deadline for each request of each connection, from its first byte (or from the
 * start of the connection) to the end of its answer.
 *
 * libmicrohttpd's own timeout begins anew with every byte: a client that sends one now and then
 * would keep its connection for ever. Connections that wait between requests are left to that
 * timeout.
 *
 * Threading: any thread; a descriptor is not closed before diag_connections_remove returns. */
#ifndef DIAG_DEPLOY_WEBHOOK_CONNECTIONS_H
#define DIAG_DEPLOY_WEBHOOK_CONNECTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

struct diag_connections; /* opaque */
struct diag_connection;  /* opaque */

/* *out is the caller's. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_connections_new(uint64_t request_timeout_ns,
                                                      struct diag_connections **out,
                                                      struct diag_error *err);

/* There are none left. NULL is fine. */
void diag_connections_free(struct diag_connections *connections);

/* A connection has begun, with a handshake and a request to come until the deadline. NULL: out of
 * memory. */
struct diag_connection *diag_connections_add(struct diag_connections *connections, int fd,
                                             uint64_t now_ns);

/* Its descriptor is about to be closed. NULL is fine. */
void diag_connections_remove(struct diag_connections *connections,
                             struct diag_connection *connection);

/* An answer has been sent; the next request's time begins with its first byte. */
void diag_connections_wait(struct diag_connections *connections,
                           struct diag_connection *connection);

/* Shuts down those whose request takes too long, and returns how many; to be called every second or
 * so. */
size_t diag_connections_reap(struct diag_connections *connections, uint64_t now_ns);

DIAG_DECLS_END

#endif
