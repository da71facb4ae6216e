/* SPDX-License-Identifier: MIT */
/* stream - one call with messages in both directions, at the server's or the client's end.
 *
 * At most one read and one write are outstanding at gRPC; further writes wait in a bounded queue
 * of ours. The next read begins when on_message has returned.
 *
 * Threading: the loop's thread.
 * Ownership: the stream belongs to lib/rpc and is freed after on_closed has returned, which is
 *            called exactly once for every stream that was opened. */
#ifndef DIAG_LIB_RPC_STREAM_H
#define DIAG_LIB_RPC_STREAM_H

#include "lib/rpc/message.h"

DIAG_DECLS_BEGIN

struct diag_rpc_stream;

/* How a call ended. `code` is a gRPC status code (https://grpc.io/docs/guides/status-codes/), 0
 * for OK; `message` is borrowed. */
struct diag_rpc_result {
    int code;
    const char *message;
};

struct diag_rpc_stream_events {
    /* A message came in; `message` is borrowed until the callback returns. */
    void (*on_message)(void *context, struct diag_rpc_stream *stream, struct diag_bytes message);
    /* The peer sends no more (server end only). NULL: the stream is finished with OK. */
    void (*on_half_closed)(void *context, struct diag_rpc_stream *stream);
    /* The queue has become empty after a write. NULL: not interested. */
    void (*on_writable)(void *context, struct diag_rpc_stream *stream);
    /* The end; `stream` is gone afterwards. */
    void (*on_closed)(void *context, struct diag_rpc_stream *stream,
                      const struct diag_rpc_result *result);
};

/* Queues a message; takes its own reference. DIAG_ERR_FULL: the queue is at its bound, nothing
 * queued. DIAG_ERR_CLOSED: the stream is ending. */
DIAG_MUST_CHECK enum diag_status diag_rpc_stream_write(struct diag_rpc_stream *stream,
                                                       struct diag_rpc_message *message);

/* Messages that are queued, the one being sent included. */
size_t diag_rpc_stream_queued(const struct diag_rpc_stream *stream);

/* Server: ends the call with this status once the queue has been sent. Client: half-closes once
 * the queue has been sent (`status` is ignored). Further writes give DIAG_ERR_CLOSED. */
void diag_rpc_stream_finish(struct diag_rpc_stream *stream, enum diag_status status,
                            const char *message);

/* Ends the call at once; on_closed follows from the loop, never from inside this function. */
void diag_rpc_stream_cancel(struct diag_rpc_stream *stream);

/* "ipv4:127.0.0.1:5555"; borrowed from the stream. Of a unix socket only "unix:". */
const char *diag_rpc_stream_peer(struct diag_rpc_stream *stream);

/* The gRPC status code for one of ours: INVALID gives 3 (INVALID_ARGUMENT), NOT_FOUND 5,
 * EXISTS 6, FULL and TOO_LARGE and NO_MEMORY 8 (RESOURCE_EXHAUSTED), PERMISSION 7, UNSUPPORTED
 * and VERSION 12 (UNIMPLEMENTED), UNAVAILABLE and CLOSED and BUSY 14, TIMEOUT 4, PROTOCOL 3, the
 * rest 13 (INTERNAL). */
int diag_rpc_code(enum diag_status status);

/* The other way, for clients. */
enum diag_status diag_rpc_status(int code);

DIAG_DECLS_END

#endif
