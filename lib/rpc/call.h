/* SPDX-License-Identifier: MIT */
/* call - how the server and the client make streams; both ends share stream.c.
 *
 * Threading: the loop's thread. Internal to lib/rpc. */
#ifndef DIAG_LIB_RPC_CALL_H
#define DIAG_LIB_RPC_CALL_H

#include <grpc/grpc.h>

#include "lib/rpc/loop.h"
#include "lib/rpc/stream.h"

DIAG_DECLS_BEGIN

/* The open streams of one server or client. */
struct diag_rpc_call_list {
    struct diag_rpc_stream *first;
    bool is_empty; /* for diag_loop_run_until; true at first */
};

void diag_rpc_call_list_cancel(struct diag_rpc_call_list *list);

/* `call` becomes the stream's; NULL when out of memory, with the call cancelled and dropped.
 * The stream is in `list` until its end. */
struct diag_rpc_stream *diag_rpc_call_accept(struct diag_loop *loop,
                                             struct diag_rpc_call_list *list, grpc_call *call);

/* As above; `metadata_flags` are gRPC's, of the initial metadata. Nothing is sent yet. */
struct diag_rpc_stream *diag_rpc_call_start(struct diag_rpc_call_list *list, grpc_call *call,
                                            uint32_t metadata_flags);

/* Begins to report events, which may be NULL for a server's call that is about to be finished. */
void diag_rpc_call_attach(struct diag_rpc_stream *stream,
                          const struct diag_rpc_stream_events *events, void *context,
                          size_t max_queued);

/* Sends the initial metadata now rather than with the first message. */
void diag_rpc_call_send_metadata(struct diag_rpc_stream *stream);

/* Starts the first read; once, after attach. Nothing if the stream is ending already. */
void diag_rpc_call_read(struct diag_rpc_stream *stream);

/* Writes the last message and finishes with OK, in one operation. Takes its own reference.
 * DIAG_ERR_CLOSED: the stream is ending already. */
DIAG_MUST_CHECK enum diag_status diag_rpc_call_write_last(struct diag_rpc_stream *stream,
                                                          struct diag_rpc_message *message);

DIAG_DECLS_END

#endif
