/* SPDX-License-Identifier: MIT */
/* session - one command's connection to the controller.
 *
 * Threading: main thread. */
#ifndef DIAG_CTL_SESSION_H
#define DIAG_CTL_SESSION_H

#include "lib/rpc/client.h"

DIAG_DECLS_BEGIN

/* Of one response: a list of all specs and processes of a large fleet fits. */
#define DIAG_SESSION_MESSAGE_MAX (64 * 1024 * 1024)

struct diag_session {
    struct diag_loop *loop;
    struct diag_rpc_client *client;
    uint64_t timeout_ms;
};

/* Does not connect yet. DIAG_ERR_INVALID: the TLS flags and the address do not go together. */
DIAG_MUST_CHECK enum diag_status diag_session_init(struct diag_session *session,
                                                   const char *address,
                                                   const struct diag_rpc_tls *tls,
                                                   uint64_t timeout_ms, struct diag_error *err);

/* All zero is fine. */
void diag_session_done(struct diag_session *session);

/* Calls `method` and waits for its answer; *response is unpacked, to be freed by
 * protobuf_c_message_free_unpacked(*response, NULL). On failure `err` has what the server said;
 * DIAG_ERR_UNAVAILABLE and DIAG_ERR_TIMEOUT: there was no answer. */
DIAG_MUST_CHECK enum diag_status diag_session_call(struct diag_session *session, const char *method,
                                                   const ProtobufCMessage *request,
                                                   const ProtobufCMessageDescriptor *descriptor,
                                                   ProtobufCMessage **response,
                                                   struct diag_error *err);

DIAG_DECLS_END

#endif
