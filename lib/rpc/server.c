/* SPDX-License-Identifier: MIT */
#include "lib/rpc/server.h"

#include <errno.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <grpc/status.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/rpc/call.h"
#include "lib/rpc/channel_args.h"
#include "lib/rpc/grpc_credentials.h"
#include "lib/rpc/listen.h"
#include "lib/rpc/loop_queue.h"

/* Calls that may come in between two turns of the loop without waiting in gRPC. */
#define SLOT_COUNT 16

/* gRPC's default of two minutes is long to keep a connection that says nothing. */
#define HANDSHAKE_TIMEOUT_MS 20000

/* What gRPC fills when the next call comes in. */
struct slot {
    struct diag_rpc_server *server;
    struct diag_loop_tag tag;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
};

struct diag_rpc_server {
    struct diag_loop *loop;
    grpc_server *core;
    const struct diag_rpc_method *methods;
    size_t method_count;
    struct diag_rpc_address address;
    struct diag_rpc_socket_file socket_file;
    int port;
    struct diag_rpc_call_list calls;
    struct slot slots[SLOT_COUNT];
    size_t waiting_count; /* slots that gRPC holds */
    bool has_none_waiting;
    bool is_shut_down;
    struct diag_loop_tag shutdown_tag;
};

/* ---- unary methods: a stream of one message, answered by the last one ---- */

static void unary_on_message(void *context, struct diag_rpc_stream *stream,
                             struct diag_bytes message) {
    const struct diag_rpc_method *method = context;
    struct diag_rpc_message *response = NULL;
    struct diag_error error = {0};
    enum diag_status status = method->unary(method->service, message, &response, &error);

    if (status == DIAG_OK && response == NULL)
        status = diag_error_set(&error, DIAG_ERR_INTERNAL, 0, "%s gave no response", method->path);
    if (status == DIAG_OK)
        status = diag_rpc_call_write_last(stream, response);
    if (status != DIAG_OK)
        diag_rpc_stream_finish(stream, status,
                               error.message[0] == '\0' ? diag_status_name(status) : error.message);
    diag_rpc_message_unref(response);
}

static void unary_on_half_closed(void *context, struct diag_rpc_stream *stream) {
    (void)context;
    diag_rpc_stream_finish(stream, DIAG_ERR_INVALID, "the call has no request message");
}

static void unary_on_closed(void *context, struct diag_rpc_stream *stream,
                            const struct diag_rpc_result *result) {
    (void)context;
    (void)stream;
    (void)result;
}

static const struct diag_rpc_stream_events unary_events = {
    .on_message = unary_on_message,
    .on_half_closed = unary_on_half_closed,
    .on_closed = unary_on_closed,
};

/* ---- incoming calls ---- */

static const struct diag_rpc_method *find_method(const struct diag_rpc_server *server,
                                                 grpc_slice path) {
    for (size_t i = 0; i < server->method_count; i++) {
        if (grpc_slice_str_cmp(path, server->methods[i].path) == 0)
            return &server->methods[i];
    }
    return NULL;
}

static void refuse_unknown(struct diag_rpc_stream *stream, grpc_slice path) {
    struct diag_error error;
    char *text = grpc_slice_to_c_string(path);

    diag_error_set(&error, DIAG_ERR_UNSUPPORTED, 0, "unknown method %s", text);
    gpr_free(text);
    diag_rpc_stream_finish(stream, error.status, error.message);
}

static void open_stream(struct diag_rpc_stream *stream, const struct diag_rpc_method *method) {
    struct diag_error error = {0};
    void *context;

    diag_rpc_call_attach(stream, NULL, NULL, method->max_queued);
    diag_rpc_call_send_metadata(stream);
    context = method->open(method->service, stream, &error);
    if (context == NULL) {
        enum diag_status status = error.status == DIAG_OK ? DIAG_ERR_INTERNAL : error.status;

        diag_rpc_stream_finish(stream, status,
                               error.message[0] == '\0' ? diag_status_name(status) : error.message);
        return;
    }
    diag_rpc_call_attach(stream, method->events, context, method->max_queued);
    diag_rpc_call_read(stream);
}

static void serve_call(struct diag_rpc_server *server, grpc_call *call, grpc_slice path) {
    struct diag_rpc_stream *stream = diag_rpc_call_accept(server->loop, &server->calls, call);
    const struct diag_rpc_method *method = find_method(server, path);

    if (stream == NULL)
        return;
    if (method == NULL) {
        refuse_unknown(stream, path);
    } else if (method->unary != NULL) {
        diag_rpc_call_attach(stream, &unary_events, (void *)method, 1);
        diag_rpc_call_read(stream);
    } else {
        open_stream(stream, method);
    }
}

static void request_call(struct slot *slot) {
    struct diag_rpc_server *server = slot->server;
    grpc_completion_queue *queue = diag_loop_queue(server->loop);

    grpc_call_details_init(&slot->details);
    grpc_metadata_array_init(&slot->metadata);
    slot->call = NULL;
    if (grpc_server_request_call(server->core, &slot->call, &slot->details, &slot->metadata, queue,
                                 queue, diag_loop_tag_give(&slot->tag)) != GRPC_CALL_OK)
        return;
    server->waiting_count++;
    server->has_none_waiting = false;
}

static void on_call(void *context, bool is_ok) {
    struct slot *slot = context;
    struct diag_rpc_server *server = slot->server;

    if (is_ok)
        serve_call(server, slot->call, slot->details.method);
    grpc_call_details_destroy(&slot->details);
    grpc_metadata_array_destroy(&slot->metadata);
    server->waiting_count--;
    server->has_none_waiting = server->waiting_count == 0;
    if (is_ok)
        request_call(slot);
}

/* ---- beginning and end ---- */

static void on_shutdown(void *context, bool is_ok) {
    struct diag_rpc_server *server = context;

    (void)is_ok;
    server->is_shut_down = true;
}

static grpc_server *create_core(const struct diag_rpc_server_options *options) {
    struct diag_rpc_args args = {.count = 0};
    grpc_channel_args view;

    diag_rpc_args_common(&args, options->max_message_size);
    diag_rpc_args_int(&args, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                      DIAG_RPC_PING_INTERVAL_MIN_MS);
    diag_rpc_args_int(&args, GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS);
    /* else a second server would share the port, and each get some of the connections */
    diag_rpc_args_int(&args, GRPC_ARG_ALLOW_REUSEPORT, 0);
    view = diag_rpc_args_view(&args);
    return grpc_server_create(&view, NULL);
}

static enum diag_status bind_core(struct diag_rpc_server *server,
                                  const struct diag_rpc_server_options *options,
                                  grpc_server_credentials *credentials, struct diag_error *err) {
    DIAG_CLEANUP(diag_freep) char *name = diag_rpc_address_listen(&server->address);
    enum diag_status status;

    if (name == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "server");
    status = diag_rpc_listen_check(&server->address, err);
    if (status != DIAG_OK)
        return status;
    server->port = grpc_server_add_http2_port(server->core, name, credentials);
    if (server->port != 0) {
        diag_rpc_socket_file_note(&server->address, &server->socket_file);
        return DIAG_OK;
    }
    status = diag_rpc_listen_explain(&server->address, err);
    if (status != DIAG_OK)
        return status;
    if (options->tls.cert_file != NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "cannot serve TLS on %s with --tls-cert %s and --tls-key %s: not a "
                              "certificate and its key",
                              options->address, options->tls.cert_file, options->tls.key_file);
    return diag_error_set(err, DIAG_ERR_IO, 0, "cannot listen on %s", options->address);
}

static void shut_down(struct diag_rpc_server *server, uint64_t grace_ms) {
    grpc_server_shutdown_and_notify(server->core, diag_loop_queue(server->loop),
                                    diag_loop_tag_give(&server->shutdown_tag));
    if (!diag_loop_run_until(server->loop, &server->is_shut_down, grace_ms)) {
        grpc_server_cancel_all_calls(server->core);
        diag_loop_run_until(server->loop, &server->is_shut_down, UINT64_MAX);
    }
    /* What gRPC has ended may still be on its way through the queue. */
    diag_loop_run_until(server->loop, &server->has_none_waiting, UINT64_MAX);
    diag_loop_run_until(server->loop, &server->calls.is_empty, UINT64_MAX);
}

enum diag_status diag_rpc_server_new(struct diag_loop *loop,
                                     const struct diag_rpc_server_options *options,
                                     struct diag_rpc_server **out, struct diag_error *err) {
    DIAG_CLEANUP(diag_freep) struct diag_rpc_server *server = calloc(1, sizeof *server);
    grpc_server_credentials *credentials = NULL;
    enum diag_status status;

    if (server == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "server");
    status = diag_rpc_address_parse(options->address, &server->address, err);
    if (status == DIAG_OK)
        status = diag_rpc_server_credentials(&options->tls, options->address, &credentials, err);
    if (status != DIAG_OK)
        return status;
    server->loop = loop;
    server->methods = options->methods;
    server->method_count = options->method_count;
    server->calls.is_empty = true;
    server->has_none_waiting = true;
    server->shutdown_tag = (struct diag_loop_tag){on_shutdown, server};
    server->core = create_core(options);
    grpc_server_register_completion_queue(server->core, diag_loop_queue(loop), NULL);
    status = bind_core(server, options, credentials, err);
    grpc_server_credentials_release(credentials);
    if (status != DIAG_OK) {
        shut_down(server, UINT64_MAX);
        grpc_server_destroy(server->core);
        return status;
    }
    grpc_server_start(server->core);
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        server->slots[i].server = server;
        server->slots[i].tag = (struct diag_loop_tag){on_call, &server->slots[i]};
        request_call(&server->slots[i]);
    }
    *out = DIAG_TAKE_PTR(server);
    return DIAG_OK;
}

int diag_rpc_server_port(const struct diag_rpc_server *server) {
    return server->address.is_unix ? 0 : server->port;
}

void diag_rpc_server_stop_and_free(struct diag_rpc_server *server, uint64_t grace_ms) {
    if (server == NULL)
        return;
    shut_down(server, grace_ms);
    grpc_server_destroy(server->core);
    diag_rpc_socket_file_remove(&server->address, &server->socket_file);
    free(server);
}
