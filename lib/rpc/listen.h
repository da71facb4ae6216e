/* SPDX-License-Identifier: MIT */
/* listen - what binding needs besides gRPC: care for unix sockets' files, and reasons.
 *
 * gRPC silently replaces the socket file of a live server, and says of a failure only that there
 * was one.
 *
 * Threading: any thread. Internal to lib/rpc. */
#ifndef DIAG_LIB_RPC_LISTEN_H
#define DIAG_LIB_RPC_LISTEN_H

#include <sys/types.h>

#include "lib/rpc/address.h"

DIAG_DECLS_BEGIN

/* Before binding: DIAG_ERR_BUSY if a live process serves the path, DIAG_ERR_EXISTS if the path is
 * something else than a socket. Fine for addresses that are no unix sockets. Two servers that
 * start at the very same moment are not told apart. */
DIAG_MUST_CHECK enum diag_status diag_rpc_listen_check(const struct diag_rpc_address *address,
                                                       struct diag_error *err);

/* After gRPC could not bind: binds, too, to learn why, and fills `err`. Returns DIAG_OK if nothing
 * was in the way, with `err` untouched. */
DIAG_MUST_CHECK enum diag_status diag_rpc_listen_explain(const struct diag_rpc_address *address,
                                                         struct diag_error *err);

/* The identity of a socket's file, so that nobody else's is removed. */
struct diag_rpc_socket_file {
    dev_t device;
    ino_t inode; /* 0: none */
};

void diag_rpc_socket_file_note(const struct diag_rpc_address *address,
                               struct diag_rpc_socket_file *file);
void diag_rpc_socket_file_remove(const struct diag_rpc_address *address,
                                 const struct diag_rpc_socket_file *file);

DIAG_DECLS_END

#endif
