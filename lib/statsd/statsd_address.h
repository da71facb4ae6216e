/* SPDX-License-Identifier: MIT */
/* statsd_address - where a server of metrics is: told by the application, or by the environment.
 *
 * Threading: any thread; diag_statsd_peer_from_environment reads the environment, which nobody may
 *            change meanwhile.
 * Errors:    DIAG_ERR_INVALID, the message names the argument or variable. */
#ifndef DIAG_LIB_STATSD_STATSD_ADDRESS_H
#define DIAG_LIB_STATSD_STATSD_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

#define DIAG_STATSD_PORT_DEFAULT 8125
#define DIAG_STATSD_HOST_MAX 255 /* of a name, or of a unix socket's path; without the NUL */

/* By name. */
struct diag_statsd_peer {
    bool is_unix;
    uint16_t port;                       /* 0 of a unix socket */
    char host[DIAG_STATSD_HOST_MAX + 1]; /* or the path */
};

/* For connect(). */
struct diag_statsd_address {
    socklen_t size; /* 0: not known */
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un local;
    } socket;
};

/* `host`: a name, an IPv4 or IPv6 address (with or without brackets), or "unix:///path". `port`:
 * 1 to 65535; not looked at for a unix socket. */
DIAG_MUST_CHECK enum diag_status diag_statsd_peer_make(const char *host, long port,
                                                       struct diag_statsd_peer *out,
                                                       struct diag_error *err);

/* What is not given comes from the environment: `host` may be NULL, `port` 0.
 *
 * $DD_DOGSTATSD_URL ("udp://host:port", "udp://host", "unix:///path"), unless a host is given;
 * else $DD_AGENT_HOST and $DD_DOGSTATSD_PORT; else localhost and 8125. Empty ones do not count. */
DIAG_MUST_CHECK enum diag_status diag_statsd_peer_from_environment(const char *host, long port,
                                                                   struct diag_statsd_peer *out,
                                                                   struct diag_error *err);

/* The address, where it can be told without asking anybody: of numbers, of unix sockets, and of
 * "localhost", which is 127.0.0.1. Otherwise DIAG_ERR_NOT_FOUND. */
DIAG_MUST_CHECK enum diag_status diag_statsd_address_known(const struct diag_statsd_peer *peer,
                                                           struct diag_statsd_address *out,
                                                           struct diag_error *err);

/* Asks the system's resolver, and may block for as long as that does. DIAG_ERR_UNAVAILABLE. */
DIAG_MUST_CHECK enum diag_status diag_statsd_address_resolve(const struct diag_statsd_peer *peer,
                                                             struct diag_statsd_address *out,
                                                             struct diag_error *err);

bool diag_statsd_address_equal(const struct diag_statsd_address *a,
                               const struct diag_statsd_address *b);

/* "host:port", "[::1]:port", "unix:///path" */
#define DIAG_STATSD_PEER_TEXT_MAX (DIAG_STATSD_HOST_MAX + 16)
void diag_statsd_peer_describe(const struct diag_statsd_peer *peer,
                               char out[DIAG_STATSD_PEER_TEXT_MAX]);

DIAG_DECLS_END

#endif
