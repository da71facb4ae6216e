/* SPDX-License-Identifier: MIT */
#include "controller/stream_sessions.h"

#include <errno.h>
#include <stdlib.h>

static const char stopping[] = "the controller is stopping";

void *diag_stream_sessions_open(struct diag_stream_sessions *sessions, size_t size,
                                struct diag_rpc_stream *stream, struct diag_error *err) {
    struct diag_stream_session *session;

    if (sessions->is_stopped) {
        diag_error_set(err, DIAG_ERR_UNAVAILABLE, 0, stopping);
        return NULL;
    }
    session = calloc(1, size);
    if (session == NULL) {
        diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "session");
        return NULL;
    }
    session->stream = stream;
    session->next = sessions->first;
    if (session->next != NULL)
        session->next->previous = session;
    sessions->first = session;
    return session;
}

void diag_stream_sessions_close(struct diag_stream_sessions *sessions,
                                struct diag_stream_session *session) {
    if (session->previous != NULL)
        session->previous->next = session->next;
    else
        sessions->first = session->next;
    if (session->next != NULL)
        session->next->previous = session->previous;
    free(session);
}

void diag_stream_session_finish(struct diag_stream_session *session, enum diag_status status,
                                const char *message) {
    if (session->is_ending)
        return;
    session->is_ending = true;
    diag_rpc_stream_finish(session->stream, status, message);
}

void diag_stream_session_cancel(struct diag_stream_session *session) {
    session->is_ending = true;
    diag_rpc_stream_cancel(session->stream);
}

void diag_stream_sessions_stop(struct diag_stream_sessions *sessions) {
    sessions->is_stopped = true;
    for (struct diag_stream_session *session = sessions->first; session != NULL;
         session = session->next)
        diag_stream_session_finish(session, DIAG_ERR_UNAVAILABLE, stopping);
}
