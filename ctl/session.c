/* SPDX-License-Identifier: MIT */
#include "ctl/session.h"

#include "lib/base/cleanup.h"

#define MIN_BACKOFF_MS 100
#define MAX_BACKOFF_MS 1000
/* For gRPC to report the deadline itself. */
#define GRACE_MS 1000

enum diag_status diag_session_init(struct diag_session *session, const char *address,
                                   const struct diag_rpc_tls *tls, uint64_t timeout_ms,
                                   struct diag_error *err) {
    struct diag_rpc_client_options options = {
        .address = address,
        .tls = *tls,
        .max_message_size = DIAG_SESSION_MESSAGE_MAX,
        .min_backoff_ms = MIN_BACKOFF_MS,
        .max_backoff_ms = MAX_BACKOFF_MS,
    };
    struct diag_session fresh = {.timeout_ms = timeout_ms};
    enum diag_status status = diag_rpc_tls_check(tls, address, false, err);

    if (status == DIAG_OK)
        status = diag_loop_new(&fresh.loop, err);
    if (status == DIAG_OK)
        status = diag_rpc_client_new(fresh.loop, &options, &fresh.client, err);
    if (status != DIAG_OK) {
        diag_session_done(&fresh);
        return status;
    }
    *session = fresh;
    return DIAG_OK;
}

void diag_session_done(struct diag_session *session) {
    struct diag_session empty = {0};

    diag_rpc_client_free(session->client);
    diag_loop_free(session->loop);
    *session = empty;
}

struct call {
    const ProtobufCMessageDescriptor *descriptor;
    ProtobufCMessage *response;
    enum diag_status status;
    struct diag_error *err;
    bool is_done;
};

static void on_reply(void *context, const struct diag_rpc_result *result,
                     struct diag_bytes response) {
    struct call *call = context;

    call->is_done = true;
    if (result->code != 0) {
        call->status =
            diag_error_set(call->err, diag_rpc_status(result->code), 0, "%s", result->message);
        return;
    }
    call->response = diag_rpc_unpack(call->descriptor, response);
    call->status = call->response != NULL ? DIAG_OK
                                          : diag_error_set(call->err, DIAG_ERR_PROTOCOL, 0,
                                                           "the server's answer is not a valid %s",
                                                           call->descriptor->name);
}

enum diag_status diag_session_call(struct diag_session *session, const char *method,
                                   const ProtobufCMessage *request,
                                   const ProtobufCMessageDescriptor *descriptor,
                                   ProtobufCMessage **response, struct diag_error *err) {
    struct call call = {.descriptor = descriptor, .err = err};
    struct diag_rpc_message *message = diag_rpc_message_pack(request);
    enum diag_status status;

    if (message == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "%s", method);
    status = diag_rpc_client_call(session->client, method, message, session->timeout_ms, false,
                                  on_reply, &call, err);
    diag_rpc_message_unref(message);
    if (status != DIAG_OK)
        return status;
    if (!diag_loop_run_until(session->loop, &call.is_done, session->timeout_ms + GRACE_MS)) {
        /* ends the call, and with it the use of `call` */
        diag_rpc_client_free(DIAG_TAKE_PTR(session->client));
        protobuf_c_message_free_unpacked(call.response, NULL);
        return diag_error_set(err, DIAG_ERR_TIMEOUT, 0, "no answer");
    }
    if (call.status == DIAG_OK)
        *response = call.response;
    return call.status;
}
