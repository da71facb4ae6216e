/* SPDX-License-Identifier: MIT */
/* What tests/bench/transport and tests/soak have at the far end: counts what arrives, and prints
 * one line of JSON in the end.
 *
 *     transport_receiver subscribe HOST:PORT SPEC COUNT   events of SPEC by Events.Subscribe
 *     transport_receiver serve COUNT                      gRPC messages, one Event each, to
 *                                                         /bench.Sink/Unary and /bench.Sink/Stream
 *     transport_receiver udp COUNT                        datagrams
 *
 * It says "ready" (with the port) on standard output once it listens, and ends after COUNT or on
 * SIGTERM. COUNT 0: only then. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/wire.h"
#include "lib/event/event_encoder.h"
#include "lib/rpc/client.h"
#include "lib/rpc/server.h"

#define SAMPLES_MAX (1u << 20)
#define SIGNAL_POLL_MS 20
#define SAMPLE_EVERY_ABOVE 200000 /* counts above this sample the latency of a few events only */

/* Field numbers of diagnose.v1.SubscribeRequest, SubscribeResponse and EventBatch. */
enum {
    REQUEST_SPEC_IDS = 1,
    RESPONSE_BATCHES = 1,
    RESPONSE_LOST = 2,
    RESPONSE_STARTED = 3,
    BATCH_EVENTS = 3,
    BATCH_LOST = 4,
};

struct receiver {
    struct diag_loop *loop;
    struct diag_rpc_stream *stream;
    struct diag_loop_timer signal_timer;
    int signal_fd;
    uint64_t wanted, events;
    uint64_t lost_in_processes; /* told in the batches */
    uint64_t lost_in_controller;
    uint64_t first_ns, last_ns;
    uint64_t *latencies_ns;
    size_t latency_count;
    bool is_done;
};

static void finish(struct receiver *receiver) {
    receiver->is_done = true;
    if (receiver->stream != NULL)
        diag_rpc_stream_cancel(receiver->stream);
}

static void count_event(struct receiver *receiver, struct diag_bytes event, uint64_t now_unix_ns) {
    struct diag_wire_reader reader = diag_wire_reader_make(event);
    struct diag_wire_field field;

    receiver->events++;
    if (receiver->latency_count >= SAMPLES_MAX ||
        (receiver->wanted > SAMPLE_EVERY_ABOVE && receiver->events % 64 != 0))
        return;
    while (diag_wire_next(&reader, &field) == DIAG_OK)
        if (field.number == DIAG_EVENT_FIELD_TIME_UNIX_NANOS) {
            receiver->latencies_ns[receiver->latency_count++] =
                now_unix_ns > field.integer ? now_unix_ns - field.integer : 0;
            return;
        }
}

static void count_batch(struct receiver *receiver, struct diag_bytes batch, uint64_t now_unix_ns) {
    struct diag_wire_reader reader = diag_wire_reader_make(batch);
    struct diag_wire_field field;

    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        if (field.number == BATCH_EVENTS)
            count_event(receiver, field.bytes, now_unix_ns);
        else if (field.number == BATCH_LOST)
            receiver->lost_in_processes += field.integer;
    }
}

static void note_time(struct receiver *receiver) {
    receiver->last_ns = diag_clock_monotonic_ns();
    if (receiver->first_ns == 0)
        receiver->first_ns = receiver->last_ns;
    if (receiver->wanted != 0 && receiver->events >= receiver->wanted)
        finish(receiver);
}

static void on_response(void *context, struct diag_rpc_stream *stream, struct diag_bytes message) {
    struct receiver *receiver = context;
    struct diag_wire_reader reader = diag_wire_reader_make(message);
    uint64_t now_unix_ns = diag_clock_unix_ns();
    struct diag_wire_field field;

    (void)stream;
    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        if (field.number == RESPONSE_BATCHES)
            count_batch(receiver, field.bytes, now_unix_ns);
        else if (field.number == RESPONSE_LOST)
            receiver->lost_in_controller += field.integer;
        else if (field.number == RESPONSE_STARTED) {
            puts("ready");
            fflush(stdout);
        }
    }
    if (receiver->events > 0)
        note_time(receiver);
}

static void on_subscription_closed(void *context, struct diag_rpc_stream *stream,
                                   const struct diag_rpc_result *result) {
    struct receiver *receiver = context;

    (void)stream;
    receiver->stream = NULL;
    if (!receiver->is_done)
        fprintf(stderr, "subscription ended: %s\n", result->message);
    receiver->is_done = true;
}

static void look_for_signal(void *context) {
    struct receiver *receiver = context;
    struct signalfd_siginfo info;

    if (read(receiver->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        finish(receiver);
    diag_loop_timer_start(receiver->loop, &receiver->signal_timer, SIGNAL_POLL_MS, look_for_signal,
                          receiver);
}

static void run(struct receiver *receiver) {
    look_for_signal(receiver);
    while (!diag_loop_run_until(receiver->loop, &receiver->is_done, UINT32_MAX))
        continue;
    diag_loop_timer_stop(receiver->loop, &receiver->signal_timer);
}

static enum diag_status subscribe(struct receiver *receiver, const char *address,
                                  const char *spec_id, struct diag_error *err) {
    static const struct diag_rpc_stream_events events = {.on_message = on_response,
                                                         .on_closed = on_subscription_closed};
    struct diag_rpc_client_options options = {.address = address,
                                              .max_message_size = 8u << 20,
                                              .min_backoff_ms = 100,
                                              .max_backoff_ms = 1000};
    uint8_t data[256];
    struct diag_wire_writer writer = diag_wire_writer_make(data, sizeof data);
    struct diag_rpc_client *client = NULL;
    struct diag_rpc_message *request;
    enum diag_status status = diag_rpc_client_new(receiver->loop, &options, &client, err);

    if (status != DIAG_OK)
        return status;
    diag_wire_put_bytes(&writer, REQUEST_SPEC_IDS, diag_bytes_from_text(spec_id));
    request = diag_rpc_message_copy(diag_bytes_make(data, diag_wire_size(&writer)));
    status = diag_rpc_client_open(client, "/diagnose.v1.Events/Subscribe", &events, receiver, 1,
                                  &receiver->stream, err);
    if (status == DIAG_OK)
        status = diag_rpc_stream_write(receiver->stream, request);
    diag_rpc_message_unref(request);
    if (status == DIAG_OK)
        run(receiver);
    diag_rpc_client_free(client);
    return status;
}

static void take(struct receiver *receiver, struct diag_bytes event) {
    count_event(receiver, event, diag_clock_unix_ns());
    note_time(receiver);
}

static enum diag_status answer(void *service, struct diag_bytes request,
                               struct diag_rpc_message **response, struct diag_error *err) {
    take(service, request);
    *response = diag_rpc_message_copy(diag_bytes_make(NULL, 0));
    return *response != NULL ? DIAG_OK : diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "response");
}

static void *on_open(void *service, struct diag_rpc_stream *stream, struct diag_error *err) {
    (void)stream;
    (void)err;
    return service;
}

static void on_event(void *context, struct diag_rpc_stream *stream, struct diag_bytes message) {
    (void)stream;
    take(context, message);
}

static void on_sender_closed(void *context, struct diag_rpc_stream *stream,
                             const struct diag_rpc_result *result) {
    (void)context;
    (void)stream;
    (void)result;
}

static enum diag_status serve(struct receiver *receiver, struct diag_error *err) {
    static const struct diag_rpc_stream_events events = {.on_message = on_event,
                                                         .on_closed = on_sender_closed};
    const struct diag_rpc_method methods[] = {
        {.path = "/bench.Sink/Unary", .service = receiver, .unary = answer},
        {.path = "/bench.Sink/Stream",
         .service = receiver,
         .open = on_open,
         .events = &events,
         .max_queued = 1},
    };
    struct diag_rpc_server_options options = {.address = "127.0.0.1:0",
                                              .methods = methods,
                                              .method_count = DIAG_ARRAY_SIZE(methods),
                                              .max_message_size = 1u << 20};
    struct diag_rpc_server *server = NULL;
    enum diag_status status = diag_rpc_server_new(receiver->loop, &options, &server, err);

    if (status != DIAG_OK)
        return status;
    printf("ready %d\n", diag_rpc_server_port(server));
    fflush(stdout);
    run(receiver);
    diag_rpc_server_stop_and_free(server, 1000);
    return DIAG_OK;
}

/* A second without a datagram after the first one ends it too: UDP may lose the last one. */
static enum diag_status receive_udp(struct receiver *receiver, struct diag_error *err) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 1};
    socklen_t size = sizeof address;
    DIAG_CLEANUP(diag_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "udp");
    printf("ready %d\n", ntohs(address.sin_port));
    fflush(stdout);
    while (!receiver->is_done) {
        char data[2048];
        ssize_t got = recv(fd, data, sizeof data, 0);

        if (got < 0 && receiver->events > 0)
            break;
        if (got < 0)
            continue;
        receiver->events++;
        note_time(receiver);
    }
    return DIAG_OK;
}

static int compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static double percentile_us(const struct receiver *receiver, double share) {
    size_t index = (size_t)(share * (double)receiver->latency_count);

    if (receiver->latency_count == 0)
        return 0;
    if (index >= receiver->latency_count)
        index = receiver->latency_count - 1;
    return (double)receiver->latencies_ns[index] / 1e3;
}

static void print_result(const struct receiver *receiver) {
    qsort(receiver->latencies_ns, receiver->latency_count, sizeof *receiver->latencies_ns, compare);
    printf("{\"events\": %llu, \"lost_in_processes\": %llu, \"lost_in_controller\": %llu, "
           "\"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
           (unsigned long long)receiver->events, (unsigned long long)receiver->lost_in_processes,
           (unsigned long long)receiver->lost_in_controller,
           (double)(receiver->last_ns - receiver->first_ns) / 1e9, percentile_us(receiver, 0.5),
           percentile_us(receiver, 0.99), percentile_us(receiver, 1));
    fflush(stdout);
}

int main(int argc, char **argv) {
    struct receiver receiver = {0};
    const char *mode = argc > 1 ? argv[1] : "";
    struct diag_error err = {0};
    enum diag_status status;
    sigset_t signals;

    if (!(argc == 5 && strcmp(mode, "subscribe") == 0) &&
        !(argc == 3 && (strcmp(mode, "serve") == 0 || strcmp(mode, "udp") == 0))) {
        fprintf(stderr, "usage: %s subscribe HOST:PORT SPEC COUNT | serve COUNT | udp COUNT\n",
                argv[0]);
        return 2;
    }
    receiver.wanted = strtoull(argv[argc - 1], NULL, 10);
    receiver.latencies_ns = calloc(SAMPLES_MAX, sizeof *receiver.latencies_ns);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    if (strcmp(mode, "udp") != 0)
        sigprocmask(SIG_BLOCK, &signals, NULL);
    receiver.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (receiver.latencies_ns == NULL || diag_loop_new(&receiver.loop, &err) != DIAG_OK)
        return 1;
    if (strcmp(mode, "subscribe") == 0)
        status = subscribe(&receiver, argv[2], argv[3], &err);
    else if (strcmp(mode, "serve") == 0)
        status = serve(&receiver, &err);
    else
        status = receive_udp(&receiver, &err);
    if (status == DIAG_OK)
        print_result(&receiver);
    else
        fprintf(stderr, "%s\n", err.message);
    diag_loop_free(receiver.loop);
    diag_closep(&receiver.signal_fd);
    free(receiver.latencies_ns);
    return status == DIAG_OK ? 0 : 1;
}
