/* SPDX-License-Identifier: MIT */
/* server - serves methods from a table.
 *
 * Threading: the loop's thread; new and start may be called before it runs.
 * Ownership: borrows the loop and the method table, which must outlive it. */
#ifndef DIAG_LIB_RPC_SERVER_H
#define DIAG_LIB_RPC_SERVER_H

#include "lib/rpc/credentials.h"
#include "lib/rpc/loop.h"
#include "lib/rpc/stream.h"

DIAG_DECLS_BEGIN

struct diag_rpc_server;

/* Answers a unary call. On DIAG_OK sets *response (ownership goes to the caller); otherwise fills
 * `err`, whose status and message become the call's. */
typedef enum diag_status diag_rpc_unary_fn(void *service, struct diag_bytes request,
                                           struct diag_rpc_message **response,
                                           struct diag_error *err);

/* A stream (server, client or bidirectional streaming) has come in. Returns the context for
 * `events`. DIAG failure: set `err` and return NULL; the call ends with it and on_closed is not
 * called. */
typedef void *diag_rpc_open_fn(void *service, struct diag_rpc_stream *stream,
                               struct diag_error *err);

struct diag_rpc_method {
    const char *path;         /* "/diagnose.v1.Specs/Apply" */
    void *service;            /* first argument of the callbacks */
    diag_rpc_unary_fn *unary; /* exactly one of unary and open */
    diag_rpc_open_fn *open;
    const struct diag_rpc_stream_events *events; /* with open */
    size_t max_queued;                           /* with open: bound of the write queue, messages */
};

struct diag_rpc_server_options {
    const char *address; /* "HOST:PORT" (port 0: any free one) or "unix:PATH" */
    struct diag_rpc_tls tls;
    const struct diag_rpc_method *methods;
    size_t method_count;
    size_t max_message_size; /* bytes; longer ones end the call with RESOURCE_EXHAUSTED */
};

/* Binds and starts. A unix socket that another live process serves gives DIAG_ERR_BUSY; a stale
 * one is replaced. */
DIAG_MUST_CHECK enum diag_status diag_rpc_server_new(struct diag_loop *loop,
                                                     const struct diag_rpc_server_options *options,
                                                     struct diag_rpc_server **out,
                                                     struct diag_error *err);

/* The port that was bound, 0 for a unix socket. */
int diag_rpc_server_port(const struct diag_rpc_server *server);

/* Graceful: no new calls; open ones have `grace_ms` to end, then they are cancelled. Runs the loop
 * itself until all is over, then frees the server and removes a unix socket's file. NULL is fine.
 */
void diag_rpc_server_stop_and_free(struct diag_rpc_server *server, uint64_t grace_ms);

DIAG_DECLS_END

#endif
