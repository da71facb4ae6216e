/* SPDX-License-Identifier: MIT */
/* grpc_credentials - reads the files that a diag_rpc_tls names, and makes gRPC's objects of them.
 *
 * Threading: any thread. Internal to lib/rpc. */
#ifndef DIAG_LIB_RPC_GRPC_CREDENTIALS_H
#define DIAG_LIB_RPC_GRPC_CREDENTIALS_H

#include <grpc/grpc_security.h>
#if __has_include(<grpc/credentials.h>)
#include <grpc/credentials.h>
#endif

#include "lib/rpc/credentials.h"

DIAG_DECLS_BEGIN

/* These check the combination, too. To be released by grpc_..._credentials_release. */
DIAG_MUST_CHECK enum diag_status diag_rpc_server_credentials(const struct diag_rpc_tls *tls,
                                                             const char *address,
                                                             grpc_server_credentials **out,
                                                             struct diag_error *err);
DIAG_MUST_CHECK enum diag_status diag_rpc_client_credentials(const struct diag_rpc_tls *tls,
                                                             const char *address,
                                                             grpc_channel_credentials **out,
                                                             struct diag_error *err);

DIAG_DECLS_END

#endif
