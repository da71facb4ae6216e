/* SPDX-License-Identifier: MIT */
/* client - a channel to one server; unary calls and streams on it.
 *
 * gRPC reconnects by itself; a call that finds no connection fails with UNAVAILABLE.
 *
 * Threading: the loop's thread; new may be called before it runs.
 * Ownership: borrows the loop. */
#ifndef DIAG_LIB_RPC_CLIENT_H
#define DIAG_LIB_RPC_CLIENT_H

#include "lib/rpc/credentials.h"
#include "lib/rpc/loop.h"
#include "lib/rpc/stream.h"

DIAG_DECLS_BEGIN

struct diag_rpc_client;

struct diag_rpc_client_options {
    const char *address; /* "HOST:PORT" or "unix:PATH" */
    struct diag_rpc_tls tls;
    size_t max_message_size; /* bytes, of received messages */
    /* Bounds of gRPC's own reconnect backoff, milliseconds. */
    uint64_t min_backoff_ms, max_backoff_ms;
};

/* Does not connect yet. */
DIAG_MUST_CHECK enum diag_status diag_rpc_client_new(struct diag_loop *loop,
                                                     const struct diag_rpc_client_options *options,
                                                     struct diag_rpc_client **out,
                                                     struct diag_error *err);

/* Cancels what is open, runs the loop until it has ended, frees. Not from inside a callback of this
 * client. NULL is fine. */
void diag_rpc_client_free(struct diag_rpc_client *client);

/* `response` is empty unless result->code is 0; both borrowed. */
typedef void diag_rpc_reply_fn(void *context, const struct diag_rpc_result *result,
                               struct diag_bytes response);

/* A unary call; `reply` is called exactly once, from the loop. Takes its own reference of
 * `request`. With `wait_for_ready` it waits for a connection until the deadline. */
DIAG_MUST_CHECK enum diag_status
diag_rpc_client_call(struct diag_rpc_client *client, const char *method,
                     struct diag_rpc_message *request, uint64_t timeout_ms, bool wait_for_ready,
                     diag_rpc_reply_fn *reply, void *context, struct diag_error *err);

/* Opens a stream without deadline. Failure to connect comes as on_closed. */
DIAG_MUST_CHECK enum diag_status
diag_rpc_client_open(struct diag_rpc_client *client, const char *method,
                     const struct diag_rpc_stream_events *events, void *context, size_t max_queued,
                     struct diag_rpc_stream **out, struct diag_error *err);

/* Forgets gRPC's backoff, so that the next call tries to connect at once and waits for the outcome.
 * While other calls are open, gRPC only tries at once, and the next call may still fail with what
 * happened before. */
void diag_rpc_client_reset_backoff(struct diag_rpc_client *client);

DIAG_DECLS_END

#endif
