/* SPDX-License-Identifier: MIT */
/* health - the service grpc.health.v1.Health, Check and Watch
 * (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
 *
 * Threading: the loop's thread. */
#ifndef DIAG_LIB_RPC_HEALTH_H
#define DIAG_LIB_RPC_HEALTH_H

#include "lib/rpc/server.h"

DIAG_DECLS_BEGIN

struct diag_rpc_health;

#define DIAG_RPC_HEALTH_METHOD_COUNT 2

/* `services` are the names that it answers for besides "", borrowed. Starts as SERVING. */
DIAG_MUST_CHECK enum diag_status diag_rpc_health_new(const char *const *services,
                                                     size_t service_count,
                                                     struct diag_rpc_health **out,
                                                     struct diag_error *err);

/* After the server that uses it. NULL is fine. */
void diag_rpc_health_free(struct diag_rpc_health *health);

/* The rows for the server's method table. */
void diag_rpc_health_methods(struct diag_rpc_health *health,
                             struct diag_rpc_method methods[DIAG_RPC_HEALTH_METHOD_COUNT]);

/* Tells all watchers. With false, watch streams are told NOT_SERVING and then finished, so that
 * they do not hold up a graceful stop. */
void diag_rpc_health_set_serving(struct diag_rpc_health *health, bool is_serving);

DIAG_DECLS_END

#endif
