/* SPDX-License-Identifier: MIT */
/* credentials - from file names to TLS, mutual TLS or, where allowed, plaintext.
 *
 * A server with a certificate and key speaks TLS; with a CA file too, it requires client
 * certificates that this CA has signed. A client with a CA file speaks TLS; with a certificate and
 * key too, it presents them. Without any of them the connection is plaintext, which is refused
 * unless the address is a unix socket or loopback, or plaintext is explicitly allowed.
 *
 * With a reload interval the files are read again when they have changed, for the connections that
 * are made from then on; and a client waits for those that are missing or no good, as if the server
 * were not there.
 *
 * Threading: any thread. */
#ifndef DIAG_LIB_RPC_CREDENTIALS_H
#define DIAG_LIB_RPC_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/flags.h"

DIAG_DECLS_BEGIN

/* All strings borrowed; NULL: not given. */
struct diag_rpc_tls {
    const char *cert_file;   /* PEM, leaf first */
    const char *key_file;    /* PEM */
    const char *ca_file;     /* PEM */
    const char *server_name; /* client: the name to verify instead of the address's */
    bool allow_plaintext;
    uint64_t reload_s; /* look for changed files so often, seconds; 0: never */
};

#define DIAG_RPC_TLS_FLAG_COUNT 5
#define DIAG_RPC_TLS_RELOAD_MAX_S 86400

/* Fills the flags --tls-cert, --tls-key, --tls-ca, --tls-server-name and --insecure, which write
 * to `tls`. */
void diag_rpc_tls_flags(struct diag_rpc_tls *tls, struct diag_flag flags[DIAG_RPC_TLS_FLAG_COUNT]);

/* Checks the combination for a server or client at `address` ("HOST:PORT", "[v6]:PORT",
 * "unix:PATH"), without touching the network. The message names the flag. */
DIAG_MUST_CHECK enum diag_status diag_rpc_tls_check(const struct diag_rpc_tls *tls,
                                                    const char *address, bool is_server,
                                                    struct diag_error *err);

/* The same for the flag --health, where only grpc.health.v1 is served: in plaintext, anywhere,
 * since it tells nothing but whether we serve. NULL is fine: the flag was not given. */
DIAG_MUST_CHECK enum diag_status diag_rpc_tls_check_health(const char *address,
                                                           struct diag_error *err);

/* Whether the files that are named can be read and look like what they should be. The message names
 * flag and file. DIAG_ERR_NOT_FOUND: one is not there. */
DIAG_MUST_CHECK enum diag_status diag_rpc_tls_check_files(const struct diag_rpc_tls *tls,
                                                          struct diag_error *err);

/* True for unix sockets, localhost, 127.0.0.0/8 and [::1]. */
bool diag_rpc_address_is_local(const char *address);

DIAG_DECLS_END

#endif
