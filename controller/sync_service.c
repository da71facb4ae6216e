/* SPDX-License-Identifier: MIT */
/* How it works: a session remembers what its sidecar was sent (rollout) and what it still owes:
 * `is_dirty` (a difference to work out) and `owes_message` (a fresh ttl or events_wanted). flush()
 * sends as long as the stream's queue has room; what is left goes when the queue is empty. So a
 * slow sidecar is sent the latest difference once, and nothing is lost. */
#include "controller/sync_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/rollout.h"
#include "controller/stream_sessions.h"
#include "controller/sync_request.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define QUEUE_MAX 16 /* messages of one stream, each below 1 MiB */
#define HEARTBEATS_PER_TTL 3

/* Field numbers of diagnose.v1.SyncResponse. */
enum {
    RESPONSE_NONCE = 1,
    RESPONSE_REVISION = 2,
    RESPONSE_TTL_MS = 5,
    RESPONSE_EVENTS_WANTED = 6,
};

struct session {
    struct diag_stream_session base;
    struct diag_sync_service *service;
    struct diag_fleet_sidecar *sidecar; /* NULL before hello, and after the end */
    struct diag_rollout rollout;
    uint64_t nonce;        /* sent last */
    uint64_t acknowledged; /* nonce */
    bool is_dirty;
    bool owes_message;
};

struct diag_sync_service {
    struct diag_sync_service_options options;
    struct diag_stream_sessions sessions;
    struct diag_loop_timer heartbeat;
};

static struct session *first_session(const struct diag_sync_service *service) {
    return (struct session *)service->sessions.first;
}

static struct session *next_session(const struct session *session) {
    return (struct session *)session->base.next;
}

/* ---- sending ---- */

/* Nothing that was promised could be sent: the sidecar comes back and says what it holds. */
static void give_up(struct session *session, const struct diag_error *err) {
    diag_log_error("sidecar %s: %s", session->sidecar->uid, err->message);
    diag_stream_session_cancel(&session->base);
}

static enum diag_status send_response(struct session *session, struct diag_message_builder *builder,
                                      struct diag_error *err) {
    struct diag_sync_service *service = session->service;
    struct diag_rpc_message *message = NULL;
    enum diag_status status;

    diag_message_builder_put_uint(builder, RESPONSE_NONCE, session->nonce + 1);
    diag_message_builder_put_uint(builder, RESPONSE_REVISION,
                                  diag_store_revision(service->options.store));
    diag_message_builder_put_uint(builder, RESPONSE_TTL_MS, service->options.ttl_ms);
    diag_message_builder_put_uint(builder, RESPONSE_EVENTS_WANTED,
                                  diag_hub_is_wanted(service->options.hub));
    status = diag_message_builder_take(builder, &message, err);
    if (status != DIAG_OK)
        return status;
    status = diag_rpc_stream_write(session->base.stream, message);
    diag_rpc_message_unref(message);
    if (status != DIAG_OK)
        return diag_error_set(err, status, 0, "stream: %s", diag_status_name(status));
    session->nonce++;
    session->owes_message = false;
    return DIAG_OK;
}

static bool can_send(const struct session *session) {
    return session->sidecar != NULL && !session->base.is_ending &&
           diag_rpc_stream_queued(session->base.stream) < QUEUE_MAX;
}

static enum diag_status flush_one(struct session *session, struct diag_error *err) {
    const struct diag_fleet_sidecar *sidecar = session->sidecar;
    struct diag_message_builder builder = {0};
    bool is_complete = true;
    enum diag_status status = DIAG_OK;

    if (session->is_dirty)
        status = diag_rollout_next(&session->rollout, session->service->options.store,
                                   sidecar->labels, sidecar->label_count, diag_clock_unix_ns(),
                                   &builder, &is_complete, err);
    if (status == DIAG_OK && (builder.buffer.size > 0 || session->owes_message))
        status = send_response(session, &builder, err);
    session->is_dirty = !is_complete;
    diag_message_builder_done(&builder);
    return status;
}

static void flush(struct session *session) {
    struct diag_error err;

    while ((session->is_dirty || session->owes_message) && can_send(session))
        if (flush_one(session, &err) != DIAG_OK)
            give_up(session, &err);
}

static void send_spec(struct session *session, const char *id) {
    const struct diag_fleet_sidecar *sidecar = session->sidecar;
    struct diag_message_builder builder = {0};
    struct diag_error err;
    bool has_changed;
    enum diag_status status = diag_rollout_next_of(
        &session->rollout, session->service->options.store, id, sidecar->labels,
        sidecar->label_count, diag_clock_unix_ns(), &builder, &has_changed, &err);

    if (status == DIAG_OK && has_changed)
        status = send_response(session, &builder, &err);
    diag_message_builder_done(&builder);
    if (status != DIAG_OK)
        give_up(session, &err);
}

void diag_sync_service_spec_changed(struct diag_sync_service *service, const char *id) {
    for (struct session *session = first_session(service); session != NULL;
         session = next_session(session)) {
        if (!session->is_dirty && can_send(session))
            send_spec(session, id);
        else
            session->is_dirty = true;
    }
}

static void send_to_all(struct diag_sync_service *service) {
    for (struct session *session = first_session(service); session != NULL;
         session = next_session(session)) {
        session->owes_message = true;
        flush(session);
    }
}

void diag_sync_service_events_wanted_changed(struct diag_sync_service *service) {
    send_to_all(service);
}

static void start_heartbeat(struct diag_sync_service *service);

static void on_heartbeat(void *context) {
    struct diag_sync_service *service = context;

    send_to_all(service);
    start_heartbeat(service);
}

static void start_heartbeat(struct diag_sync_service *service) {
    diag_loop_timer_start(service->options.loop, &service->heartbeat,
                          service->options.ttl_ms / HEARTBEATS_PER_TTL, on_heartbeat, service);
}

/* ---- receiving ---- */

static void detach(struct session *session, const char *why) {
    struct diag_fleet_sidecar *sidecar = session->sidecar;

    if (sidecar == NULL)
        return;
    diag_log_info("sidecar %s (%s) disconnected: %s; acknowledged %llu of %llu deltas",
                  sidecar->uid, sidecar->host, why, (unsigned long long)session->acknowledged,
                  (unsigned long long)session->nonce);
    diag_fleet_remove(session->service->options.fleet, sidecar);
    session->sidecar = NULL;
}

/* A sidecar that comes back may be here before its old connection is known to be dead. */
static void replace_old_session(struct diag_sync_service *service, const char *uid) {
    struct diag_fleet_sidecar *sidecar = diag_fleet_get(service->options.fleet, uid);
    struct session *old;

    if (sidecar == NULL)
        return;
    old = sidecar->session;
    detach(old, "replaced by a new stream of the same sidecar");
    diag_stream_session_cancel(&old->base);
}

static enum diag_status take_hello(struct session *session, const struct diag_sync_hello *hello,
                                   struct diag_error *err) {
    struct diag_sync_service *service = session->service;
    enum diag_status status;

    if (session->sidecar != NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "hello: came twice");
    for (size_t i = 0; i < hello->held_count; i++) {
        status =
            diag_rollout_hold(&session->rollout, hello->held[i].id, hello->held[i].revision, err);
        if (status != DIAG_OK)
            return status;
    }
    replace_old_session(service, hello->sidecar_uid);
    status = diag_fleet_add(service->options.fleet, hello->sidecar_uid, hello->host, hello->labels,
                            hello->label_count, session, &session->sidecar, err);
    if (status != DIAG_OK) {
        diag_error_prefix(err, "hello");
        return status;
    }
    diag_log_info("sidecar %s (%s) connected from %s, version %.32s, holds %zu specs",
                  hello->sidecar_uid, hello->host, diag_rpc_stream_peer(session->base.stream),
                  hello->version, hello->held_count);
    session->is_dirty = true;
    session->owes_message = true;
    return DIAG_OK;
}

static enum diag_status take_ack(struct session *session, uint64_t nonce, struct diag_error *err) {
    if (nonce > session->nonce)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "ack.nonce: %llu, but only %llu has been sent",
                              (unsigned long long)nonce, (unsigned long long)session->nonce);
    if (nonce > session->acknowledged)
        session->acknowledged = nonce;
    return DIAG_OK;
}

static enum diag_status take_report(struct session *session, const struct diag_sync_report *report,
                                    struct diag_error *err) {
    for (size_t i = 0; i < report->ended_count; i++)
        diag_fleet_end_process(session->sidecar, report->ended[i]);
    for (size_t i = 0; i < report->changed_count; i++) {
        enum diag_status status = diag_fleet_put_process(session->sidecar, report->changed[i], err);
        if (status != DIAG_OK) {
            diag_error_prefix(err, "report.changed[%zu]", i);
            return status;
        }
    }
    return DIAG_OK;
}

static enum diag_status take_request(struct session *session,
                                     const struct diag_sync_request *request,
                                     struct diag_error *err) {
    if (session->sidecar == NULL && request->kind != DIAG_SYNC_REQUEST_HELLO)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "hello: must be the first request");
    switch (request->kind) {
    case DIAG_SYNC_REQUEST_HELLO:
        return take_hello(session, &request->hello, err);
    case DIAG_SYNC_REQUEST_ACK:
        return take_ack(session, request->ack_nonce, err);
    case DIAG_SYNC_REQUEST_REPORT:
        return take_report(session, &request->report, err);
    case DIAG_SYNC_REQUEST_UNKNOWN:
        break;
    }
    return DIAG_OK;
}

static void on_message(void *context, struct diag_rpc_stream *stream, struct diag_bytes message) {
    struct session *session = context;
    struct diag_sync_request request = {0};
    struct diag_error err;
    enum diag_status status;

    if (session->base.is_ending)
        return;
    status = diag_sync_request_read(message, &request, &err);
    if (status == DIAG_OK)
        status = take_request(session, &request, &err);
    diag_sync_request_done(&request);
    if (status == DIAG_OK) {
        flush(session);
        return;
    }
    diag_log_warning("sidecar %s: %s",
                     session->sidecar != NULL ? session->sidecar->uid
                                              : diag_rpc_stream_peer(stream),
                     err.message);
    diag_stream_session_finish(&session->base, status, err.message);
}

/* ---- the stream's life ---- */

static void on_writable(void *context, struct diag_rpc_stream *stream) {
    (void)stream;
    flush(context);
}

static void on_closed(void *context, struct diag_rpc_stream *stream,
                      const struct diag_rpc_result *result) {
    struct session *session = context;

    (void)stream;
    detach(session, result->message != NULL && result->message[0] != '\0' ? result->message
                                                                          : "the stream ended");
    diag_rollout_done(&session->rollout);
    diag_stream_sessions_close(&session->service->sessions, &session->base);
}

static void *on_open(void *context, struct diag_rpc_stream *stream, struct diag_error *err) {
    struct diag_sync_service *service = context;
    struct session *session =
        diag_stream_sessions_open(&service->sessions, sizeof *session, stream, err);

    if (session != NULL)
        session->service = service;
    return session;
}

/* ---- the service ---- */

enum diag_status diag_sync_service_new(const struct diag_sync_service_options *options,
                                       struct diag_sync_service **out, struct diag_error *err) {
    struct diag_sync_service *service = calloc(1, sizeof *service);

    if (service == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "sync service");
    service->options = *options;
    start_heartbeat(service);
    *out = service;
    return DIAG_OK;
}

void diag_sync_service_free(struct diag_sync_service *service) {
    if (service == NULL)
        return;
    diag_loop_timer_stop(service->options.loop, &service->heartbeat);
    free(service);
}

void diag_sync_service_methods(struct diag_sync_service *service,
                               struct diag_rpc_method methods[DIAG_SYNC_SERVICE_METHOD_COUNT]) {
    static const struct diag_rpc_stream_events events = {
        .on_message = on_message,
        .on_writable = on_writable,
        .on_closed = on_closed,
    };

    methods[0] = (struct diag_rpc_method){
        .path = "/diagnose.v1.Sync/Sync",
        .service = service,
        .open = on_open,
        .events = &events,
        .max_queued = QUEUE_MAX,
    };
}

void diag_sync_service_stop(struct diag_sync_service *service) {
    diag_stream_sessions_stop(&service->sessions);
}
