/* SPDX-License-Identifier: MIT */
#include "lib/rpc/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "proto/grpc/health/v1/health.pb-c.h"

/* A watcher that has not read so many changes is not watching. */
#define WATCH_QUEUE_MAX 8

#define SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

struct watcher {
    struct watcher *next, *previous;
    struct diag_rpc_health *health;
    struct diag_rpc_stream *stream;
    bool has_request;
    bool is_known; /* the service that it asked for */
};

struct diag_rpc_health {
    const char *const *services;
    size_t service_count;
    bool is_serving;
    struct watcher *watchers;
};

static bool knows(const struct diag_rpc_health *health, const char *service) {
    if (service[0] == '\0')
        return true;
    for (size_t i = 0; i < health->service_count; i++) {
        if (strcmp(service, health->services[i]) == 0)
            return true;
    }
    return false;
}

static Grpc__Health__V1__HealthCheckResponse__ServingStatus
status_of(const struct diag_rpc_health *health, bool is_known) {
    if (!is_known)
        return SERVICE_UNKNOWN;
    return health->is_serving ? SERVING : NOT_SERVING;
}

static struct diag_rpc_message *
pack_status(Grpc__Health__V1__HealthCheckResponse__ServingStatus status) {
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    response.status = status;
    return diag_rpc_message_pack(&response.base);
}

/* Whether the encoded request is about a service that we know. */
static enum diag_status read_request(const struct diag_rpc_health *health,
                                     struct diag_bytes encoded, bool *is_known,
                                     struct diag_error *err) {
    ProtobufCMessage *message =
        diag_rpc_unpack(&grpc__health__v1__health_check_request__descriptor, encoded);

    if (message == NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "malformed HealthCheckRequest");
    *is_known = knows(health, ((Grpc__Health__V1__HealthCheckRequest *)message)->service);
    protobuf_c_message_free_unpacked(message, NULL);
    return DIAG_OK;
}

static enum diag_status check(void *service, struct diag_bytes request,
                              struct diag_rpc_message **response, struct diag_error *err) {
    struct diag_rpc_health *health = service;
    bool is_known;
    enum diag_status status = read_request(health, request, &is_known, err);

    if (status != DIAG_OK)
        return status;
    if (!is_known)
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0, "unknown service");
    *response = pack_status(status_of(health, true));
    return *response == NULL ? diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "health") : DIAG_OK;
}

/* The first status, or a change. */
static void tell(struct watcher *watcher) {
    struct diag_rpc_health *health = watcher->health;
    struct diag_rpc_message *message = pack_status(status_of(health, watcher->is_known));

    if (message == NULL || diag_rpc_stream_write(watcher->stream, message) != DIAG_OK)
        diag_rpc_stream_cancel(watcher->stream);
    else if (!health->is_serving)
        diag_rpc_stream_finish(watcher->stream, DIAG_OK, NULL);
    diag_rpc_message_unref(message);
}

static void watch_on_message(void *context, struct diag_rpc_stream *stream,
                             struct diag_bytes message) {
    struct watcher *watcher = context;
    struct diag_error error;
    enum diag_status status;

    if (watcher->has_request) {
        diag_rpc_stream_finish(stream, DIAG_ERR_INVALID, "more than one request message");
        return;
    }
    status = read_request(watcher->health, message, &watcher->is_known, &error);
    if (status != DIAG_OK) {
        diag_rpc_stream_finish(stream, status, error.message);
        return;
    }
    watcher->has_request = true;
    tell(watcher);
}

static void watch_on_half_closed(void *context, struct diag_rpc_stream *stream) {
    struct watcher *watcher = context;

    if (!watcher->has_request)
        diag_rpc_stream_finish(stream, DIAG_ERR_INVALID, "the call has no request message");
}

static void watch_on_closed(void *context, struct diag_rpc_stream *stream,
                            const struct diag_rpc_result *result) {
    struct watcher *watcher = context;

    (void)stream;
    (void)result;
    if (watcher->previous != NULL)
        watcher->previous->next = watcher->next;
    else
        watcher->health->watchers = watcher->next;
    if (watcher->next != NULL)
        watcher->next->previous = watcher->previous;
    free(watcher);
}

static const struct diag_rpc_stream_events watch_events = {
    .on_message = watch_on_message,
    .on_half_closed = watch_on_half_closed,
    .on_closed = watch_on_closed,
};

static void *watch_open(void *service, struct diag_rpc_stream *stream, struct diag_error *err) {
    struct diag_rpc_health *health = service;
    struct watcher *watcher = calloc(1, sizeof *watcher);

    if (watcher == NULL) {
        diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "health");
        return NULL;
    }
    watcher->health = health;
    watcher->stream = stream;
    watcher->next = health->watchers;
    if (watcher->next != NULL)
        watcher->next->previous = watcher;
    health->watchers = watcher;
    return watcher;
}

enum diag_status diag_rpc_health_new(const char *const *services, size_t service_count,
                                     struct diag_rpc_health **out, struct diag_error *err) {
    struct diag_rpc_health *health = calloc(1, sizeof *health);

    if (health == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "health");
    health->services = services;
    health->service_count = service_count;
    health->is_serving = true;
    *out = health;
    return DIAG_OK;
}

void diag_rpc_health_free(struct diag_rpc_health *health) {
    free(health);
}

void diag_rpc_health_methods(struct diag_rpc_health *health,
                             struct diag_rpc_method methods[DIAG_RPC_HEALTH_METHOD_COUNT]) {
    methods[0] = (struct diag_rpc_method){
        .path = "/grpc.health.v1.Health/Check",
        .service = health,
        .unary = check,
    };
    methods[1] = (struct diag_rpc_method){
        .path = "/grpc.health.v1.Health/Watch",
        .service = health,
        .open = watch_open,
        .events = &watch_events,
        .max_queued = WATCH_QUEUE_MAX,
    };
}

void diag_rpc_health_set_serving(struct diag_rpc_health *health, bool is_serving) {
    if (health->is_serving == is_serving)
        return;
    health->is_serving = is_serving;
    for (struct watcher *watcher = health->watchers; watcher != NULL; watcher = watcher->next) {
        if (watcher->has_request)
            tell(watcher);
    }
}
