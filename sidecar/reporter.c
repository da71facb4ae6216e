/* SPDX-License-Identifier: MIT */
#include "sidecar/reporter.h"

#include <stdlib.h>

#include "diagnose/v1/events_service.pb-c.h"
#include "lib/base/log.h"
#include "lib/base/wire.h"
#include "sidecar/drain.h"

#define METHOD "/diagnose.v1.Events/Report"
#define REPORT_REQUEST_FIELD_SEQUENCE 1

struct diag_report_request {
    struct diag_report_request *next;
    struct diag_buffer body; /* with DIAG_DRAIN_SEQUENCE_ROOM bytes of capacity behind it */
    uint64_t sequence;       /* on the present stream; 0: not sent on it */
};

static void open_stream(void *context);

void diag_reporter_init(struct diag_reporter *reporter, struct diag_loop *loop,
                        struct diag_rpc_client *client, struct diag_mailbox *mailbox) {
    *reporter = (struct diag_reporter){.loop = loop, .client = client, .mailbox = mailbox};
    reporter->last = &reporter->first;
    diag_mailbox_post_credits(mailbox, DIAG_REPORTER_UNACKNOWLEDGED_MAX);
}

static void drop_first(struct diag_reporter *reporter) {
    struct diag_report_request *request = reporter->first;

    reporter->first = request->next;
    if (reporter->first == NULL)
        reporter->last = &reporter->first;
    diag_buffer_done(&request->body);
    free(request);
}

void diag_reporter_done(struct diag_reporter *reporter) {
    diag_loop_timer_stop(reporter->loop, &reporter->retry);
    while (reporter->first != NULL)
        drop_first(reporter);
}

static void send_request(struct diag_reporter *reporter, struct diag_report_request *request) {
    struct diag_wire_writer writer =
        diag_wire_writer_make(request->body.data + request->body.size, DIAG_DRAIN_SEQUENCE_ROOM);
    struct diag_rpc_message *message;

    diag_wire_put_varint(&writer, REPORT_REQUEST_FIELD_SEQUENCE, reporter->next_sequence);
    message = diag_rpc_message_copy(
        diag_bytes_make(request->body.data, request->body.size + diag_wire_size(&writer)));
    /* A stream that cannot take it is of no use: the next one gets it. */
    if (message == NULL || diag_rpc_stream_write(reporter->stream, message) != DIAG_OK)
        diag_rpc_stream_cancel(reporter->stream);
    else
        request->sequence = reporter->next_sequence++;
    diag_rpc_message_unref(message);
}

static void tell_if_drained(struct diag_reporter *reporter) {
    diag_loop_fn *on_drained = reporter->on_drained;

    if (on_drained == NULL || (reporter->first != NULL && reporter->stream != NULL))
        return;
    reporter->on_drained = NULL;
    on_drained(reporter->drained_context);
}

static void on_message(void *context, struct diag_rpc_stream *stream, struct diag_bytes encoded) {
    struct diag_reporter *reporter = context;
    ProtobufCMessage *message =
        diag_rpc_unpack(&diagnose__v1__report_response__descriptor, encoded);
    uint64_t acknowledged;

    if (message == NULL) {
        diag_log_warning("controller: malformed ReportResponse");
        diag_rpc_stream_cancel(stream);
        return;
    }
    acknowledged = ((const Diagnose__V1__ReportResponse *)message)->acknowledged;
    protobuf_c_message_free_unpacked(message, NULL);
    diag_backoff_reset(&reporter->backoff);
    reporter->has_failed = false;
    while (reporter->first != NULL && reporter->first->sequence != 0 &&
           reporter->first->sequence <= acknowledged) {
        drop_first(reporter);
        diag_mailbox_post_credits(reporter->mailbox, 1);
    }
    tell_if_drained(reporter);
}

static void retry_later(struct diag_reporter *reporter) {
    diag_mailbox_post_reporting(reporter->mailbox, false);
    if (reporter->is_enabled)
        diag_loop_timer_start(reporter->loop, &reporter->retry,
                              diag_backoff_next_ms(&reporter->backoff), open_stream, reporter);
}

static void on_closed(void *context, struct diag_rpc_stream *stream,
                      const struct diag_rpc_result *result) {
    struct diag_reporter *reporter = context;

    (void)stream;
    reporter->stream = NULL;
    if (reporter->is_enabled && !reporter->has_failed) {
        reporter->has_failed = true;
        diag_log_warning("report stream ended: %s (code %d)", result->message, result->code);
    }
    retry_later(reporter);
    tell_if_drained(reporter);
}

static void open_stream(void *context) {
    static const struct diag_rpc_stream_events events = {
        .on_message = on_message,
        .on_closed = on_closed,
    };
    struct diag_reporter *reporter = context;
    struct diag_error err;

    if (!reporter->is_enabled || reporter->stream != NULL)
        return;
    if (diag_rpc_client_open(reporter->client, METHOD, &events, reporter,
                             DIAG_REPORTER_UNACKNOWLEDGED_MAX, &reporter->stream,
                             &err) != DIAG_OK) {
        diag_log_error("report stream: %s", err.message);
        retry_later(reporter);
        return;
    }
    reporter->next_sequence = 1;
    for (struct diag_report_request *request = reporter->first; request != NULL;
         request = request->next)
        request->sequence = 0;
    for (struct diag_report_request *request = reporter->first; request != NULL;
         request = request->next)
        send_request(reporter, request);
    diag_mailbox_post_reporting(reporter->mailbox, true);
}

void diag_reporter_enable(struct diag_reporter *reporter, bool is_enabled) {
    reporter->is_enabled = is_enabled;
    if (is_enabled) {
        diag_backoff_reset(&reporter->backoff);
        diag_loop_timer_stop(reporter->loop, &reporter->retry);
        open_stream(reporter);
        return;
    }
    diag_loop_timer_stop(reporter->loop, &reporter->retry);
    diag_mailbox_post_reporting(reporter->mailbox, false);
    if (reporter->stream != NULL)
        diag_rpc_stream_cancel(reporter->stream);
}

void diag_reporter_add(struct diag_reporter *reporter, struct diag_buffer body) {
    struct diag_report_request *request = calloc(1, sizeof *request);

    if (request == NULL) {
        diag_log_error("out of memory: %zu bytes of events are lost", body.size);
        diag_buffer_done(&body);
        diag_mailbox_post_credits(reporter->mailbox, 1);
        return;
    }
    request->body = body;
    *reporter->last = request;
    reporter->last = &request->next;
    if (reporter->stream != NULL)
        send_request(reporter, request);
}

void diag_reporter_when_drained(struct diag_reporter *reporter, diag_loop_fn *on_drained,
                                void *context) {
    reporter->on_drained = on_drained;
    reporter->drained_context = context;
    tell_if_drained(reporter);
}
