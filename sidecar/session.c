/* SPDX-License-Identifier: MIT */
#include "sidecar/session.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose/v1/sync_service.pb-c.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/shm/segment.h"
#include "sidecar/hello.h"

#define METHOD "/diagnose.v1.Sync/Sync"
#define QUEUE_MAX 64
#define REPORT_INTERVAL_MS 100
#define REPORTS_AT_ONCE 16
#define EXPIRY_CHECK_MAX_MS 60000 /* the clock of the expiries may jump */

static void open_stream(void *context);

enum diag_status diag_session_init(struct diag_session *session,
                                   const struct diag_sidecar_options *options,
                                   const struct diag_sidecar_labels *labels, struct diag_loop *loop,
                                   struct diag_rpc_client *client, struct diag_mailbox *mailbox,
                                   struct diag_reporter *reporter, struct diag_error *err) {
    struct diag_session made = {
        .options = options,
        .labels = labels,
        .loop = loop,
        .client = client,
        .mailbox = mailbox,
        .reporter = reporter,
        .ttl_ms = DIAG_SESSION_DEFAULT_TTL_MS,
    };
    enum diag_status status = diag_uid_make(made.uid, err);

    if (status == DIAG_OK)
        *session = made;
    return status;
}

void diag_session_done(struct diag_session *session) {
    diag_loop_timer_stop(session->loop, &session->retry);
    diag_loop_timer_stop(session->loop, &session->lost);
    diag_loop_timer_stop(session->loop, &session->expiry);
    diag_loop_timer_stop(session->loop, &session->report);
    diag_spec_table_done(&session->specs);
    diag_roster_done(&session->roster);
}

/* ---- specs down ---- */

static enum diag_status make_snapshot(const struct diag_session *session, uint64_t number, int *fd,
                                      struct diag_error *err) {
    struct diag_buffer encoded = {0};
    enum diag_status status =
        diag_spec_table_encode(&session->specs, number, session->ttl_ms, &encoded);

    if (status == DIAG_OK)
        status =
            diag_sealed_memfd_create("diagnose-snapshot", diag_buffer_bytes(&encoded), fd, err);
    else
        diag_error_set(err, status, 0, "snapshot");
    diag_buffer_done(&encoded);
    return status;
}

static void publish(struct diag_session *session) {
    struct diag_error err;
    int fd;

    if (make_snapshot(session, session->snapshot + 1, &fd, &err) != DIAG_OK) {
        diag_log_error("specs were not passed on: %s", err.message);
        return;
    }
    session->snapshot++;
    diag_mailbox_post_snapshot(session->mailbox, fd, session->snapshot);
    diag_log_debug("snapshot %llu: %zu specs", (unsigned long long)session->snapshot,
                   session->specs.by_id.count);
}

static void drop_expired(void *context);

static void plan_expiry(struct diag_session *session) {
    uint64_t next = diag_spec_table_next_expiry(&session->specs);
    uint64_t now = diag_clock_unix_ns();
    uint64_t delay_ms = next > now ? (next - now) / DIAG_NS_PER_MS + 1 : 0;

    diag_loop_timer_stop(session->loop, &session->expiry);
    if (next == 0)
        return;
    if (delay_ms > EXPIRY_CHECK_MAX_MS)
        delay_ms = EXPIRY_CHECK_MAX_MS;
    diag_loop_timer_start(session->loop, &session->expiry, delay_ms, drop_expired, session);
}

static void drop_expired(void *context) {
    struct diag_session *session = context;

    if (diag_spec_table_drop_expired(&session->specs, diag_clock_unix_ns()))
        publish(session);
    plan_expiry(session);
}

static void on_controller_lost(void *context) {
    struct diag_session *session = context;

    diag_log_warning("no controller for %llu ms: %zu specs are taken out",
                     (unsigned long long)session->ttl_ms, session->specs.by_id.count);
    diag_spec_table_done(&session->specs);
    plan_expiry(session);
    publish(session);
}

static enum diag_status put_spec(struct diag_session *session, const Diagnose__V1__Spec *spec) {
    size_t size = diagnose__v1__spec__get_packed_size(spec);
    DIAG_CLEANUP(diag_freep) uint8_t *packed = malloc(size + 1);

    if (packed == NULL)
        return DIAG_ERR_NO_MEMORY;
    diagnose__v1__spec__pack(spec, packed);
    return diag_spec_table_put(&session->specs, spec->id, spec->revision, spec->expires_unix_nanos,
                               diag_bytes_make(packed, size));
}

/* DIAG_ERR_NO_MEMORY: the rest has not been taken over; the stream must not go on as if it had. */
static enum diag_status apply(struct diag_session *session,
                              const Diagnose__V1__SyncResponse *response) {
    bool has_changed = session->snapshot == 0 || session->ttl_ms != response->ttl_ms;
    enum diag_status status = DIAG_OK;

    for (size_t i = 0; i < response->n_removed_ids; i++)
        has_changed |= diag_spec_table_remove(&session->specs, response->removed_ids[i]);
    for (size_t i = 0; i < response->n_upserts && status == DIAG_OK; i++) {
        status = put_spec(session, response->upserts[i]);
        has_changed = true;
    }
    session->ttl_ms = response->ttl_ms;
    if (has_changed)
        publish(session);
    plan_expiry(session);
    diag_mailbox_post_events_wanted(session->mailbox, response->events_wanted);
    return status;
}

/* ---- statuses up ---- */

static void send_reports(void *context);

static void plan_report(struct diag_session *session) {
    uint64_t since_ms = (diag_clock_monotonic_ns() - session->last_report_ns) / DIAG_NS_PER_MS;

    if (!session->is_connected || session->report.is_running ||
        !diag_roster_has_news(&session->roster))
        return;
    if (since_ms >= REPORT_INTERVAL_MS)
        send_reports(session);
    else
        diag_loop_timer_start(session->loop, &session->report, REPORT_INTERVAL_MS - since_ms,
                              send_reports, session);
}

static void send_reports(void *context) {
    struct diag_session *session = context;

    /* What is queued goes first; on_writable comes back here. */
    if (!session->is_connected || diag_rpc_stream_queued(session->stream) > 0)
        return;
    session->last_report_ns = diag_clock_monotonic_ns();
    for (int i = 0; i < REPORTS_AT_ONCE && diag_roster_has_news(&session->roster); i++) {
        struct diag_rpc_message *message = diag_roster_report(&session->roster);

        /* News that got lost here are told on the next stream, where everything is. */
        if (message == NULL || diag_rpc_stream_write(session->stream, message) != DIAG_OK) {
            diag_rpc_message_unref(message);
            diag_rpc_stream_cancel(session->stream);
            return;
        }
        diag_rpc_message_unref(message);
    }
}

void diag_session_process_changed(struct diag_session *session, const char *uid,
                                  struct diag_buffer *status) {
    if (diag_roster_update(&session->roster, uid, status) != DIAG_OK)
        diag_log_error("out of memory: a status was not reported");
    plan_report(session);
}

void diag_session_process_ended(struct diag_session *session, const char *uid) {
    diag_roster_end(&session->roster, uid);
    plan_report(session);
}

/* ---- the stream ---- */

static void write_or_cancel(struct diag_session *session, struct diag_rpc_message *message) {
    if (message == NULL || diag_rpc_stream_write(session->stream, message) != DIAG_OK)
        diag_rpc_stream_cancel(session->stream);
    diag_rpc_message_unref(message);
}

static void acknowledge(struct diag_session *session, uint64_t nonce) {
    Diagnose__V1__SyncRequest request = DIAGNOSE__V1__SYNC_REQUEST__INIT;
    Diagnose__V1__Ack ack = DIAGNOSE__V1__ACK__INIT;

    ack.nonce = nonce;
    request.body_case = DIAGNOSE__V1__SYNC_REQUEST__BODY_ACK;
    request.ack = &ack;
    write_or_cancel(session, diag_rpc_message_pack(&request.base));
}

static void become_connected(struct diag_session *session) {
    session->is_connected = true;
    session->outage = (struct diag_outage){0};
    diag_backoff_reset(&session->backoff);
    diag_loop_timer_stop(session->loop, &session->lost);
    diag_log_info("connected to controller %s", session->options->controller);
    diag_roster_restart(&session->roster);
}

static void on_message(void *context, struct diag_rpc_stream *stream, struct diag_bytes encoded) {
    struct diag_session *session = context;
    ProtobufCMessage *message = diag_rpc_unpack(&diagnose__v1__sync_response__descriptor, encoded);
    const Diagnose__V1__SyncResponse *response = (const Diagnose__V1__SyncResponse *)message;
    enum diag_status status;
    bool is_first;

    if (message == NULL) {
        diag_log_warning("controller: malformed SyncResponse of %zu bytes", encoded.size);
        diag_rpc_stream_cancel(stream);
        return;
    }
    is_first = !session->is_connected;
    if (is_first)
        become_connected(session);
    status = apply(session, response);
    if (status == DIAG_OK) {
        acknowledge(session, response->nonce);
        /* Not before it is known whether events are wanted: rings would be emptied for nobody. */
        if (is_first)
            diag_reporter_enable(session->reporter, true);
    } else {
        diag_log_error("specs of the controller: %s", diag_status_name(status));
        diag_rpc_stream_cancel(stream);
    }
    protobuf_c_message_free_unpacked(message, NULL);
    plan_report(session);
}

static void on_writable(void *context, struct diag_rpc_stream *stream) {
    (void)stream;
    plan_report(context);
}

static void start_lost_timer(struct diag_session *session) {
    if (!session->lost.is_running)
        diag_loop_timer_start(session->loop, &session->lost, session->ttl_ms, on_controller_lost,
                              session);
}

static void retry_later(struct diag_session *session) {
    if (!session->is_stopping)
        diag_loop_timer_start(session->loop, &session->retry,
                              diag_backoff_next_ms(&session->backoff), open_stream, session);
}

static void on_closed(void *context, struct diag_rpc_stream *stream,
                      const struct diag_rpc_result *result) {
    struct diag_session *session = context;
    bool was_connected = session->is_connected;

    (void)stream;
    session->stream = NULL;
    session->is_connected = false;
    diag_loop_timer_stop(session->loop, &session->report);
    if (session->is_stopping)
        return;
    diag_reporter_enable(session->reporter, false);
    if (diag_outage_note(&session->outage, result->code, result->message,
                         diag_clock_monotonic_ns()))
        diag_log_warning("no connection to controller %s: %s (code %d); retrying",
                         session->options->controller, result->message, result->code);
    if (was_connected)
        start_lost_timer(session);
    retry_later(session);
}

static void open_stream(void *context) {
    static const struct diag_rpc_stream_events events = {
        .on_message = on_message,
        .on_writable = on_writable,
        .on_closed = on_closed,
    };
    struct diag_session *session = context;
    struct diag_error err;

    if (session->stream != NULL || session->is_stopping)
        return;
    diag_rpc_client_reset_backoff(session->client);
    if (diag_rpc_client_open(session->client, METHOD, &events, session, QUEUE_MAX, &session->stream,
                             &err) != DIAG_OK) {
        diag_log_error("controller %s: %s", session->options->controller, err.message);
        retry_later(session);
        return;
    }
    write_or_cancel(session, diag_hello_make(session->uid, session->options->host, session->labels,
                                             &session->specs));
}

void diag_session_start(struct diag_session *session) {
    /* Processes that an earlier sidecar served keep its specs until the first snapshot. */
    start_lost_timer(session);
    open_stream(session);
}

void diag_session_stop(struct diag_session *session) {
    if (session->is_connected) {
        diag_loop_timer_stop(session->loop, &session->report);
        send_reports(session);
    }
    session->is_stopping = true;
    diag_loop_timer_stop(session->loop, &session->retry);
    diag_loop_timer_stop(session->loop, &session->lost);
    if (session->stream != NULL)
        diag_rpc_stream_finish(session->stream, DIAG_OK, "");
}
