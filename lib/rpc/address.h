/* SPDX-License-Identifier: MIT */
/* address - "HOST:PORT", "[v6]:PORT" and "unix:PATH" taken apart, and put together for gRPC.
 *
 * Threading: any thread. Internal to lib/rpc. */
#ifndef DIAG_LIB_RPC_ADDRESS_H
#define DIAG_LIB_RPC_ADDRESS_H

#include <stdbool.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

struct diag_rpc_address {
    bool is_unix;
    char path[108]; /* unix */
    char host[256]; /* without brackets */
    int port;
};

/* DIAG_ERR_INVALID names the address. */
DIAG_MUST_CHECK enum diag_status
diag_rpc_address_parse(const char *text, struct diag_rpc_address *out, struct diag_error *err);

/* The address as a gRPC target: "unix:/run/a%20b", "dns:///localhost:7400", and what a server
 * listens on: "127.0.0.1:7400". NULL when out of memory; to be freed by the caller. */
char *diag_rpc_address_target(const struct diag_rpc_address *address);
char *diag_rpc_address_listen(const struct diag_rpc_address *address);

/* What a client calls the server in the request: "localhost" for a unix socket, else
 * "HOST:PORT". */
char *diag_rpc_address_authority(const struct diag_rpc_address *address);

DIAG_DECLS_END

#endif
