/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "ctl/aggregate_view.h"
#include "ctl/command.h"
#include "ctl/event_view.h"
#include "ctl/print.h"
#include "ctl/signal_watch.h"
#include "diagnose/v1/events_service.pb-c.h"

#define SUBSCRIBE "/diagnose.v1.Events/Subscribe"
#define QUEUED_MAX 1 /* the one request */
#define RETRY_MS 200

struct watch {
    const struct diag_options *options;
    struct diag_session session;
    struct diag_rpc_stream *stream; /* NULL once it is closed */
    struct diag_loop_timer start_timer, retry_timer, end_timer;
    struct diag_signal_watch signals;
    struct diag_aggregate_totals totals;
    uint64_t printed;
    bool is_started;       /* the subscription is in force */
    bool has_been_started; /* ... or was, before the connection broke */
    bool is_ending;        /* on our own account */
    bool is_closed;
    enum diag_exit code;
};

static void end(void *context) {
    struct watch *watch = context;

    watch->is_ending = true;
    if (watch->stream != NULL)
        diag_rpc_stream_cancel(watch->stream);
    else
        watch->is_closed = true; /* between two attempts */
}

static void on_no_start(void *context) {
    struct watch *watch = context;
    struct diag_error err = {.status = DIAG_ERR_TIMEOUT};

    watch->code = diag_command_fail(watch->options, "", &err);
    end(watch);
}

static void on_started(struct watch *watch) {
    watch->is_started = true;
    diag_loop_timer_stop(watch->session.loop, &watch->start_timer);
    if (watch->has_been_started) {
        diag_command_complain("subscribed again; events in between are lost");
        return;
    }
    watch->has_been_started = true;
    if (watch->options->seconds != 0)
        diag_loop_timer_start(watch->session.loop, &watch->end_timer,
                              watch->options->seconds * 1000, end, watch);
    fputs("Watching events; Ctrl-C ends it.\n", stderr);
}

static void print_event(struct watch *watch, const struct diag_document *event) {
    DIAG_CLEANUP(diag_buffer_done) struct diag_buffer line = {0};

    switch (watch->options->output) {
    case DIAG_OUTPUT_JSON:
        diag_print_json_line(stdout, event);
        fputc('\n', stdout);
        break;
    case DIAG_OUTPUT_YAML:
        diag_print_yaml(stdout, event, watch->printed == 0);
        break;
    case DIAG_OUTPUT_TABLE:
        diag_event_view_append_line(&line, event);
        fwrite(line.data, 1, line.size, stdout);
        break;
    }
    watch->printed++;
}

static void report_losses(const struct diag_event_view *view) {
    if (view->lost > 0)
        diag_command_complain("lost %" PRIu64 " events: they came faster than they were read here",
                              view->lost);
    if (view->malformed > 0)
        diag_command_complain("lost %" PRIu64 " events: malformed", view->malformed);
    for (size_t i = 0; i < view->losses->item_count; i++)
        diag_command_complain("pid %" PRIu64 " lost %" PRIu64
                              " events: they came faster than its sidecar read them",
                              diag_document_get_uint(view->losses->items[i], "pid"),
                              diag_document_get_uint(view->losses->items[i], "lost"));
}

static void on_message(void *context, struct diag_rpc_stream *stream, struct diag_bytes message) {
    struct watch *watch = context;
    const struct diag_options *options = watch->options;
    struct diag_event_view view;

    (void)stream;
    if (watch->is_ending)
        return;
    if (diag_event_view_init(&view, message) != DIAG_OK) {
        diag_command_complain("the server's answer is not a valid SubscribeResponse");
        watch->code = DIAG_EXIT_FAILED;
        end(watch);
        return;
    }
    if (!watch->is_started)
        on_started(watch);
    for (size_t i = 0; i < view.events->item_count; i++) {
        if (diag_aggregate_totals_follow(&watch->totals, view.events->items[i]) &&
            (options->count == 0 || watch->printed < options->count))
            print_event(watch, view.events->items[i]);
    }
    report_losses(&view);
    diag_event_view_done(&view);
    if (fflush(stdout) != 0 || (options->count != 0 && watch->printed >= options->count))
        end(watch); /* main notices that the output is broken */
}

static void retry(void *context);

/* The controller restarts, or the network broke: goes on trying for --timeout. */
static void reconnect(struct watch *watch, const char *reason) {
    if (watch->is_started) {
        diag_command_complain("%s; subscribing again", reason);
        watch->is_started = false;
        diag_loop_timer_start(watch->session.loop, &watch->start_timer,
                              watch->options->timeout_s * 1000, on_no_start, watch);
    }
    diag_loop_timer_start(watch->session.loop, &watch->retry_timer, RETRY_MS, retry, watch);
}

static void on_closed(void *context, struct diag_rpc_stream *stream,
                      const struct diag_rpc_result *result) {
    struct watch *watch = context;
    struct diag_error err = {0};

    (void)stream;
    watch->stream = NULL;
    if (!watch->is_ending && watch->has_been_started &&
        diag_rpc_status(result->code) == DIAG_ERR_UNAVAILABLE) {
        diag_rpc_client_reset_backoff(watch->session.client);
        reconnect(watch, result->message);
        return;
    }
    watch->is_closed = true;
    if (watch->is_ending)
        return;
    if (result->code == 0) {
        diag_command_complain("the server has ended the subscription");
        watch->code = DIAG_EXIT_UNREACHABLE;
        return;
    }
    diag_error_set(&err, diag_rpc_status(result->code), 0, "%s", result->message);
    watch->code = diag_command_fail(watch->options, "", &err);
}

static enum diag_status subscribe(struct watch *watch, struct diag_error *err) {
    static const struct diag_rpc_stream_events events = {.on_message = on_message,
                                                         .on_closed = on_closed};
    Diagnose__V1__SubscribeRequest request = DIAGNOSE__V1__SUBSCRIBE_REQUEST__INIT;
    char *ids[DIAG_FLAG_LIST_MAX];
    struct diag_rpc_message *message;
    enum diag_status status;

    for (size_t i = 0; i < watch->options->specs.count; i++)
        ids[i] = (char *)(uintptr_t)watch->options->specs.items[i]; /* packed, not changed */
    request.spec_ids = ids;
    request.n_spec_ids = watch->options->specs.count;
    message = diag_rpc_message_pack(&request.base);
    if (message == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "request");
    status = diag_rpc_client_open(watch->session.client, SUBSCRIBE, &events, watch, QUEUED_MAX,
                                  &watch->stream, err);
    if (status == DIAG_OK) {
        status = diag_rpc_stream_write(watch->stream, message);
        diag_rpc_stream_finish(watch->stream, DIAG_OK, "");
    }
    diag_rpc_message_unref(message);
    return status;
}

static void retry(void *context) {
    struct watch *watch = context;
    struct diag_error err = {0};

    if (subscribe(watch, &err) == DIAG_OK)
        return;
    watch->code = diag_command_fail(watch->options, "", &err);
    end(watch);
}

static enum diag_exit run(struct watch *watch) {
    struct diag_error err = {0};
    enum diag_status status =
        diag_signal_watch_start(&watch->signals, watch->session.loop, end, watch, &err);

    if (status == DIAG_OK)
        status = subscribe(watch, &err);
    if (status != DIAG_OK)
        return diag_command_fail(watch->options, "", &err);
    diag_loop_timer_start(watch->session.loop, &watch->start_timer,
                          watch->options->timeout_s * 1000, on_no_start, watch);
    while (!diag_loop_run_until(watch->session.loop, &watch->is_closed, UINT32_MAX))
        continue;
    return watch->code;
}

enum diag_exit diag_command_events(const struct diag_options *options) {
    struct watch watch = {.options = options, .code = DIAG_EXIT_OK};
    enum diag_exit code;

    if (options->word_count > 0)
        return diag_command_misuse("events: takes no arguments; use --spec ID");
    diag_stop_signals_block();
    code = diag_command_connect(options, &watch.session);
    if (code != DIAG_EXIT_OK)
        return code;
    code = run(&watch);
    diag_signal_watch_stop(&watch.signals);
    diag_loop_timer_stop(watch.session.loop, &watch.start_timer);
    diag_loop_timer_stop(watch.session.loop, &watch.retry_timer);
    diag_loop_timer_stop(watch.session.loop, &watch.end_timer);
    diag_session_done(&watch.session);
    diag_aggregate_totals_done(&watch.totals);
    return code;
}
