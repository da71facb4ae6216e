/* SPDX-License-Identifier: MIT */
#include "controller/events_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/stream_sessions.h"
#include "diagnose/v1/events_service.pb-c.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/base/wire.h"

#define REPORT_QUEUE_MAX 16

/* Field numbers of diagnose.v1.ReportRequest, ReportResponse and EventBatch. */
enum {
    REQUEST_SEQUENCE = 1,
    REQUEST_BATCHES = 2,
    RESPONSE_ACKNOWLEDGED = 1,
    BATCH_PROCESS_UID = 1,
};

/* One stream, of either method. */
struct session {
    struct diag_stream_session base;
    struct diag_events_service *service;
    struct diag_hub_subscriber *subscriber; /* Subscribe, from its request on */
    uint64_t sequence;                      /* Report: of the last request */
    uint64_t acknowledged;                  /* Report: the last sequence that was acknowledged */
};

struct diag_events_service {
    struct diag_hub *hub;
    const struct diag_fleet *fleet;
    struct diag_stream_sessions sessions;
};

/* ---- the streams' life ---- */

static void *on_open(void *context, struct diag_rpc_stream *stream, struct diag_error *err) {
    struct diag_events_service *service = context;
    struct session *session =
        diag_stream_sessions_open(&service->sessions, sizeof *session, stream, err);

    if (session != NULL)
        session->service = service;
    return session;
}

static void on_closed(void *context, struct diag_rpc_stream *stream,
                      const struct diag_rpc_result *result) {
    struct session *session = context;

    (void)stream;
    (void)result;
    diag_hub_unsubscribe(session->subscriber);
    diag_stream_sessions_close(&session->service->sessions, &session->base);
}

/* ---- Report ---- */

struct report {
    uint64_t sequence;
    struct diag_event_batch *batches;
    size_t batch_count;
};

static void report_done(struct report *report) {
    free(report->batches);
}

static enum diag_status add_batch(struct report *report, const struct diag_wire_field *field,
                                  struct diag_error *err) {
    size_t count = report->batch_count;
    struct diag_event_batch *batches = report->batches;
    enum diag_status status;

    if (field->type != DIAG_WIRE_BYTES)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "batches: malformed encoding");
    if ((count & (count - 1)) == 0) { /* full at each power of two */
        batches = realloc(batches, (count > 0 ? 2 * count : 1) * sizeof *batches);
        if (batches == NULL)
            return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "batches");
        report->batches = batches;
    }
    /* counted also if it is bad, so that the sender can be named by it */
    batches[count] = (struct diag_event_batch){.encoded = field->bytes};
    report->batch_count++;
    status = diag_event_batch_read(field->bytes, &batches[count], err);
    if (status != DIAG_OK)
        diag_error_prefix(err, "batches[%zu]", count);
    return status;
}

static enum diag_status read_report(struct diag_bytes message, struct report *report,
                                    struct diag_error *err) {
    struct diag_wire_reader reader = diag_wire_reader_make(message);
    struct diag_wire_field field;
    enum diag_status status;

    if (message.size > DIAG_EVENTS_REPORT_MAX)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0,
                              "request: %zu bytes, at most %u are allowed", message.size,
                              DIAG_EVENTS_REPORT_MAX);
    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        if (field.number == REQUEST_SEQUENCE && field.type == DIAG_WIRE_VARINT)
            report->sequence = field.integer;
        else if (field.number == REQUEST_SEQUENCE)
            return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "sequence: malformed encoding");
        if (field.number != REQUEST_BATCHES)
            continue;
        status = add_batch(report, &field, err);
        if (status != DIAG_OK)
            return status;
    }
    if (status != DIAG_ERR_CLOSED)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "request: malformed encoding");
    return DIAG_OK;
}

/* One acknowledgement covers all before it, so that only the last one has to find room. */
static void acknowledge(struct session *session) {
    struct diag_message_builder builder = {0};
    struct diag_rpc_message *message = NULL;
    struct diag_error err;
    enum diag_status status;

    if (session->base.is_ending || session->acknowledged == session->sequence)
        return;
    diag_message_builder_put_uint(&builder, RESPONSE_ACKNOWLEDGED, session->sequence);
    status = diag_message_builder_take(&builder, &message, &err);
    if (status == DIAG_OK) {
        if (diag_rpc_stream_write(session->base.stream, message) == DIAG_OK)
            session->acknowledged = session->sequence;
    } else {
        diag_stream_session_finish(&session->base, status, err.message);
    }
    diag_rpc_message_unref(message);
    diag_message_builder_done(&builder);
}

/* Who sent a bad report: by the first process in it that is known, else by address. */
static void name_sender(const struct session *session, const struct report *report,
                        struct diag_error *err) {
    for (size_t i = 0; i < report->batch_count; i++) {
        struct diag_wire_reader reader = diag_wire_reader_make(report->batches[i].encoded);
        const struct diag_fleet_sidecar *sidecar;
        struct diag_wire_field field;
        char uid[DIAG_UID_SIZE] = "";

        if (diag_wire_next(&reader, &field) != DIAG_OK || field.number != BATCH_PROCESS_UID ||
            field.bytes.size != sizeof uid - 1)
            continue;
        memcpy(uid, field.bytes.data, field.bytes.size);
        sidecar = diag_fleet_find_process(session->service->fleet, uid);
        if (sidecar != NULL) {
            diag_error_prefix(err, "sidecar %s (%s)", sidecar->uid, sidecar->host);
            return;
        }
    }
    diag_error_prefix(err, "sidecar at %s", diag_rpc_stream_peer(session->base.stream));
}

static void on_report(void *context, struct diag_rpc_stream *stream, struct diag_bytes message) {
    struct session *session = context;
    DIAG_CLEANUP(report_done) struct report report = {0};
    struct diag_error err;
    enum diag_status status;

    (void)stream;
    if (session->base.is_ending)
        return;
    status = read_report(message, &report, &err);
    if (status == DIAG_OK && report.sequence != session->sequence + 1)
        status = diag_error_set(&err, DIAG_ERR_INVALID, 0, "sequence: %llu, expected %llu",
                                (unsigned long long)report.sequence,
                                (unsigned long long)session->sequence + 1);
    if (status != DIAG_OK) {
        name_sender(session, &report, &err);
        diag_log_warning("report: %s", err.message);
        diag_stream_session_finish(&session->base, status, err.message);
        return;
    }
    diag_hub_publish(session->service->hub, report.batches, report.batch_count);
    session->sequence = report.sequence;
    acknowledge(session);
}

static void on_report_writable(void *context, struct diag_rpc_stream *stream) {
    (void)stream;
    acknowledge(context);
}

/* ---- Subscribe ---- */

static enum diag_status write_to_stream(void *stream, struct diag_rpc_message *message) {
    return diag_rpc_stream_write(stream, message);
}

static size_t queued_in_stream(void *stream) {
    return diag_rpc_stream_queued(stream);
}

static enum diag_status subscribe(struct session *session, struct diag_bytes message,
                                  struct diag_error *err) {
    const struct diag_hub_sink sink = {write_to_stream, queued_in_stream, session->base.stream};
    Diagnose__V1__SubscribeRequest *request;
    enum diag_status status;

    if (session->subscriber != NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "request: came twice");
    request = (Diagnose__V1__SubscribeRequest *)diag_rpc_unpack(
        &diagnose__v1__subscribe_request__descriptor, message);
    if (request == NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "request: malformed, or its text is not UTF-8 or has a NUL");
    status = diag_hub_subscribe(session->service->hub, (const char *const *)request->spec_ids,
                                request->n_spec_ids, &sink, &session->subscriber, err);
    diagnose__v1__subscribe_request__free_unpacked(request, NULL);
    return status;
}

static void on_subscribe(void *context, struct diag_rpc_stream *stream, struct diag_bytes message) {
    struct session *session = context;
    struct diag_error err;
    enum diag_status status;

    (void)stream;
    if (session->base.is_ending)
        return;
    status = subscribe(session, message, &err);
    if (status != DIAG_OK)
        diag_stream_session_finish(&session->base, status, err.message);
}

/* A caller has nothing to say after its request; the subscription goes on. */
static void on_subscribe_half_closed(void *context, struct diag_rpc_stream *stream) {
    struct session *session = context;

    (void)stream;
    if (session->subscriber == NULL && !session->base.is_ending)
        diag_stream_session_finish(&session->base, DIAG_ERR_INVALID, "request: missing");
}

static void on_subscribe_writable(void *context, struct diag_rpc_stream *stream) {
    struct session *session = context;

    (void)stream;
    if (session->subscriber != NULL && !session->base.is_ending)
        diag_hub_writable(session->subscriber);
}

/* ---- the service ---- */

enum diag_status diag_events_service_new(struct diag_hub *hub, const struct diag_fleet *fleet,
                                         struct diag_events_service **out, struct diag_error *err) {
    struct diag_events_service *service = calloc(1, sizeof *service);

    if (service == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "events service");
    service->hub = hub;
    service->fleet = fleet;
    *out = service;
    return DIAG_OK;
}

void diag_events_service_free(struct diag_events_service *service) {
    free(service);
}

void diag_events_service_methods(struct diag_events_service *service,
                                 struct diag_rpc_method methods[DIAG_EVENTS_SERVICE_METHOD_COUNT]) {
    static const struct diag_rpc_stream_events report_events = {
        .on_message = on_report,
        .on_writable = on_report_writable,
        .on_closed = on_closed,
    };
    static const struct diag_rpc_stream_events subscribe_events = {
        .on_message = on_subscribe,
        .on_half_closed = on_subscribe_half_closed,
        .on_writable = on_subscribe_writable,
        .on_closed = on_closed,
    };

    methods[0] = (struct diag_rpc_method){
        .path = "/diagnose.v1.Events/Report",
        .service = service,
        .open = on_open,
        .events = &report_events,
        .max_queued = REPORT_QUEUE_MAX,
    };
    methods[1] = (struct diag_rpc_method){
        .path = "/diagnose.v1.Events/Subscribe",
        .service = service,
        .open = on_open,
        .events = &subscribe_events,
        .max_queued = DIAG_HUB_QUEUE_MAX,
    };
}

void diag_events_service_stop(struct diag_events_service *service) {
    diag_stream_sessions_stop(&service->sessions);
}
