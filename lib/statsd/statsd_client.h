/* SPDX-License-Identifier: MIT */
/* statsd_client - datagrams to a server of metrics, from within somebody else's process.
 *
 * Sending never blocks, raises no signal and reports no error: what comes of it is counted. Nothing
 * is opened before the first send. A peer that must be looked up is looked up on a thread
 * meanwhile; until there is an answer, metrics are dropped.
 *
 * Threading: one thread at a time.
 * Fork:      parent and child may both go on; the child's counts begin with its parent's.
 * Descriptors: if the application closes ours, a new one is opened; whatever has taken its number
 * is neither written to nor closed. */
#ifndef DIAG_LIB_STATSD_STATSD_CLIENT_H
#define DIAG_LIB_STATSD_STATSD_CLIENT_H

#include "lib/base/bytes.h"
#include "lib/statsd/statsd_address.h"

DIAG_DECLS_BEGIN

struct diag_statsd_client; /* opaque */

/* Of metrics; each that was given to diag_statsd_client_send is in one of them. */
struct diag_statsd_counts {
    uint64_t sent;    /* handed to the system, which has told of no error since */
    uint64_t dropped; /* no room in the socket's buffer, or no address yet */
    uint64_t failed;  /* refused by the system or by the peer's, or nothing to send them to */
};

/* The caller owns *out. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_statsd_client_new(const struct diag_statsd_peer *peer,
                                                        struct diag_statsd_client **out,
                                                        struct diag_error *err);

void diag_statsd_client_free(struct diag_statsd_client *client); /* NULL is fine */

/* Opens a socket to `address` now, in place of the one before. DIAG_ERR_IO, and then the one before
 * is still there. */
DIAG_MUST_CHECK enum diag_status diag_statsd_client_open(struct diag_statsd_client *client,
                                                         const struct diag_statsd_address *address,
                                                         struct diag_error *err);

/* Closes the socket; the next send opens one. */
void diag_statsd_client_close(struct diag_statsd_client *client);

/* Sends a datagram that holds `metric_count` metrics. errno is left as it was. */
void diag_statsd_client_send(struct diag_statsd_client *client, struct diag_bytes datagram,
                             size_t metric_count);

const struct diag_statsd_peer *diag_statsd_client_peer(const struct diag_statsd_client *client);

struct diag_statsd_counts diag_statsd_client_counts(const struct diag_statsd_client *client);

DIAG_DECLS_END

#endif
