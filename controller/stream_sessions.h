/* SPDX-License-Identifier: MIT */
/* stream_sessions - the streams that a service has open, each with what the service keeps of it.
 *
 * Threading: the loop's thread. Sessions may end or be closed while the list is walked only as far
 *            as diag_stream_session_finish and _cancel do it: on_closed comes later, by the loop.
 * Ownership: the list owns the sessions; a session borrows its stream. */
#ifndef DIAG_CONTROLLER_STREAM_SESSIONS_H
#define DIAG_CONTROLLER_STREAM_SESSIONS_H

#include "lib/rpc/server.h"

DIAG_DECLS_BEGIN

/* A service's own session begins with one of these. */
struct diag_stream_session {
    struct diag_stream_session *previous, *next;
    struct diag_rpc_stream *stream;
    bool is_ending; /* nothing that comes or is to go counts any more */
};

/* All zero is none. */
struct diag_stream_sessions {
    struct diag_stream_session *first;
    bool is_stopped;
};

/* For a stream's `open`: a session of `size` bytes, zero but for its beginning. NULL: `err` says
 * that the controller is stopping, or out of memory. */
void *diag_stream_sessions_open(struct diag_stream_sessions *sessions, size_t size,
                                struct diag_rpc_stream *stream, struct diag_error *err);

/* For a stream's on_closed: takes the session out and frees it. */
void diag_stream_sessions_close(struct diag_stream_sessions *sessions,
                                struct diag_stream_session *session);

/* Ends the stream: with a status unless it is ending already, or abruptly. */
void diag_stream_session_finish(struct diag_stream_session *session, enum diag_status status,
                                const char *message);
void diag_stream_session_cancel(struct diag_stream_session *session);

/* Ends all streams with UNAVAILABLE, and those that come from now on. */
void diag_stream_sessions_stop(struct diag_stream_sessions *sessions);

DIAG_DECLS_END

#endif
