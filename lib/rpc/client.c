/* SPDX-License-Identifier: MIT */
#include "lib/rpc/client.h"

#include <errno.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <grpc/status.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/rpc/address.h"
#include "lib/rpc/call.h"
#include "lib/rpc/channel_args.h"
#include "lib/rpc/grpc_credentials.h"
#include "lib/rpc/loop_queue.h"

/* gRPC's default of 20 seconds would be all of a sidecar's patience. */
#define CONNECT_TIMEOUT_MS 10000

/* gRPC's default of 30 seconds would send us to a controller's old address for as long. */
#define DNS_INTERVAL_MIN_MS 1000

struct diag_rpc_client {
    struct diag_loop *loop;
    grpc_channel *channel;
    struct diag_rpc_call_list calls;
    bool is_closing;

    /* what the channel is made of */
    grpc_channel_credentials *credentials;
    char *target;
    char *authority; /* --tls-server-name, or the address */
    struct diag_rpc_args args;
};

static void fill_args(struct diag_rpc_client *client,
                      const struct diag_rpc_client_options *options) {
    struct diag_rpc_args *args = &client->args;

    diag_rpc_args_common(args, options->max_message_size);
    diag_rpc_args_int(args, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                      diag_rpc_args_clamp(options->min_backoff_ms));
    diag_rpc_args_int(args, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                      diag_rpc_args_clamp(options->max_backoff_ms));
    /* In spite of its name, this is how long one attempt to connect may take. */
    diag_rpc_args_int(args, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS);
    diag_rpc_args_int(args, GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, DNS_INTERVAL_MIN_MS);
    diag_rpc_args_int(args, GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    /* The environment of a pod must not send its events elsewhere. */
    diag_rpc_args_int(args, GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    /* A retried call might be served twice; our callers know what they may repeat. */
    diag_rpc_args_int(args, GRPC_ARG_ENABLE_RETRIES, 0);
    /* Else two clients of one address would share a connection, and its backoff. */
    diag_rpc_args_int(args, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    diag_rpc_args_text(args, GRPC_ARG_DEFAULT_AUTHORITY, client->authority);
    if (options->tls.server_name != NULL)
        diag_rpc_args_text(args, GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, client->authority);
}

static grpc_channel *create_channel(struct diag_rpc_client *client) {
    grpc_channel_args view = diag_rpc_args_view(&client->args);

    return grpc_channel_create(client->target, client->credentials, &view);
}

static void free_client(struct diag_rpc_client *client) {
    if (client == NULL)
        return;
    if (client->channel != NULL)
        grpc_channel_destroy(client->channel);
    if (client->credentials != NULL)
        grpc_channel_credentials_release(client->credentials);
    free(client->target);
    free(client->authority);
    free(client);
}

static void free_clientp(struct diag_rpc_client **client) {
    free_client(*client);
}

enum diag_status diag_rpc_client_new(struct diag_loop *loop,
                                     const struct diag_rpc_client_options *options,
                                     struct diag_rpc_client **out, struct diag_error *err) {
    DIAG_CLEANUP(free_clientp) struct diag_rpc_client *client = NULL;
    struct diag_rpc_address address;
    enum diag_status status = diag_rpc_address_parse(options->address, &address, err);

    if (status != DIAG_OK)
        return status;
    client = calloc(1, sizeof *client);
    if (client == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "client");
    client->loop = loop;
    client->calls.is_empty = true;
    client->target = diag_rpc_address_target(&address);
    client->authority = options->tls.server_name != NULL ? strdup(options->tls.server_name)
                                                         : diag_rpc_address_authority(&address);
    if (client->target == NULL || client->authority == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "client");
    status =
        diag_rpc_client_credentials(&options->tls, options->address, &client->credentials, err);
    if (status != DIAG_OK)
        return status;
    fill_args(client, options);
    client->channel = create_channel(client);
    *out = DIAG_TAKE_PTR(client);
    return DIAG_OK;
}

void diag_rpc_client_free(struct diag_rpc_client *client) {
    if (client == NULL)
        return;
    client->is_closing = true;
    diag_rpc_call_list_cancel(&client->calls);
    diag_loop_run_until(client->loop, &client->calls.is_empty, UINT64_MAX);
    free_client(client);
}

/* Nothing is sent yet. */
static enum diag_status start_call(struct diag_rpc_client *client, const char *method,
                                   uint64_t timeout_ms, uint32_t metadata_flags,
                                   struct diag_rpc_stream **out, struct diag_error *err) {
    struct diag_rpc_stream *stream;
    grpc_slice path;
    grpc_call *call;

    if (client->is_closing)
        return diag_error_set(err, DIAG_ERR_CLOSED, 0, "%s: the client is closing", method);
    path = grpc_slice_from_copied_string(method);
    call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                    diag_loop_queue(client->loop), path, NULL,
                                    diag_loop_time(diag_loop_deadline_ns(timeout_ms)), NULL);
    grpc_slice_unref(path);
    stream = diag_rpc_call_start(&client->calls, call, metadata_flags);
    if (stream == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "%s", method);
    *out = stream;
    return DIAG_OK;
}

enum diag_status diag_rpc_client_open(struct diag_rpc_client *client, const char *method,
                                      const struct diag_rpc_stream_events *events, void *context,
                                      size_t max_queued, struct diag_rpc_stream **out,
                                      struct diag_error *err) {
    struct diag_rpc_stream *stream;
    enum diag_status status = start_call(client, method, UINT64_MAX, 0, &stream, err);

    if (status != DIAG_OK)
        return status;
    diag_rpc_call_attach(stream, events, context, max_queued);
    diag_rpc_call_send_metadata(stream);
    diag_rpc_call_read(stream);
    *out = stream;
    return DIAG_OK;
}

/* ---- unary calls: a stream of one message each way ---- */

struct unary {
    diag_rpc_reply_fn *reply;
    void *context;
    struct diag_rpc_message *response; /* NULL: none yet */
    const char *failure;               /* static; NULL: what the status says */
    int failure_code;
};

static void unary_on_message(void *context, struct diag_rpc_stream *stream,
                             struct diag_bytes message) {
    struct unary *unary = context;

    if (unary->response != NULL) {
        unary->failure = "the server sent more than one response";
        unary->failure_code = GRPC_STATUS_INTERNAL;
        diag_rpc_stream_cancel(stream);
        return;
    }
    unary->response = diag_rpc_message_copy(message);
    if (unary->response == NULL) {
        unary->failure = "no memory for the response";
        unary->failure_code = GRPC_STATUS_RESOURCE_EXHAUSTED;
        diag_rpc_stream_cancel(stream);
    }
}

static void unary_on_closed(void *context, struct diag_rpc_stream *stream,
                            const struct diag_rpc_result *end) {
    struct unary *unary = context;
    struct diag_rpc_result result = *end;
    struct diag_bytes response = {0};

    (void)stream;
    if (unary->failure == NULL && end->code == GRPC_STATUS_OK && unary->response == NULL) {
        unary->failure = "the server sent no response";
        unary->failure_code = GRPC_STATUS_INTERNAL;
    }
    if (unary->failure != NULL)
        result = (struct diag_rpc_result){unary->failure_code, unary->failure};
    if (result.code == GRPC_STATUS_OK)
        response = diag_rpc_message_bytes(unary->response);
    unary->reply(unary->context, &result, response);
    diag_rpc_message_unref(unary->response);
    free(unary);
}

static const struct diag_rpc_stream_events unary_events = {
    .on_message = unary_on_message,
    .on_closed = unary_on_closed,
};

enum diag_status diag_rpc_client_call(struct diag_rpc_client *client, const char *method,
                                      struct diag_rpc_message *request, uint64_t timeout_ms,
                                      bool wait_for_ready, diag_rpc_reply_fn *reply, void *context,
                                      struct diag_error *err) {
    uint32_t flags = wait_for_ready ? GRPC_INITIAL_METADATA_WAIT_FOR_READY |
                                          GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET
                                    : 0;
    DIAG_CLEANUP(diag_freep) struct unary *unary = calloc(1, sizeof *unary);
    struct diag_rpc_stream *stream;
    enum diag_status status;

    if (unary == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "%s", method);
    unary->reply = reply;
    unary->context = context;
    status = start_call(client, method, timeout_ms, flags, &stream, err);
    if (status != DIAG_OK)
        return status;
    diag_rpc_call_attach(stream, NULL, NULL, 1);
    status = diag_rpc_call_write_last(stream, request);
    if (status != DIAG_OK) {
        diag_rpc_stream_cancel(stream);
        return diag_error_set(err, status, 0, "%s", method);
    }
    diag_rpc_call_attach(stream, &unary_events, DIAG_TAKE_PTR(unary), 1);
    diag_rpc_call_read(stream);
    return DIAG_OK;
}

/* A channel that has failed to connect fails all calls with the old reason until it is connected,
 * even while it tries again; only a new one has the next call wait for the outcome. Calls that wait
 * for ready would not survive the old one. */
void diag_rpc_client_reset_backoff(struct diag_rpc_client *client) {
    bool has_failed =
        grpc_channel_check_connectivity_state(client->channel, 0) == GRPC_CHANNEL_TRANSIENT_FAILURE;

    if (has_failed && client->calls.is_empty) {
        grpc_channel_destroy(client->channel);
        client->channel = create_channel(client);
    } else {
        grpc_channel_reset_connect_backoff(client->channel);
    }
}
