/* SPDX-License-Identifier: MIT */
/* How it works: libmicrohttpd calls on_request for the head of a request, for each piece of its
 * body, and once more at its end, where the answer is given. A body that nobody will look at is
 * read to its end and thrown away, so that the client reads the answer instead of a reset
 * connection. */
#include "deploy/webhook/server.h"

#include <errno.h>
#include <malloc.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "deploy/webhook/connections.h"
#include "deploy/webhook/json_cost.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

#define THREADS 2
#define HEAD_MEMORY 32768                   /* bytes of a connection's head and answer buffers */
#define DISCARD_MAX ((uint64_t)64 << 20)    /* of a body that is too large */
#define LARGE_COST ((size_t)8 << 20)        /* of a review, by diag_json_cost */
#define BODY_MEMORY_MAX ((size_t)32 << 20)  /* of all bodies together */
#define THREAD_STACK_SIZE ((size_t)4 << 20) /* JSON nests up to 2048 levels */
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct diag_server {
    struct diag_server_options options;
    struct diag_connections *connections;
    struct MHD_Daemon *daemon;
    int quiesced_fd; /* -1 until it accepts no more */
    _Atomic bool is_stopping;
    _Atomic size_t active_count; /* requests between head and end */
    _Atomic size_t body_memory;  /* of all requests */
    pthread_mutex_t large;       /* held while a large review is answered */
};

struct request {
    unsigned refusal; /* HTTP status, 0: none yet */
    const char *refusal_text;
    bool has_body; /* is a review */
    struct diag_buffer body;
    size_t accounted; /* of the server's body_memory */
    uint64_t received_bytes;
};

/* ---- answers ---- */

static enum MHD_Result respond(struct diag_server *server, struct MHD_Connection *connection,
                               unsigned http_status, const char *type, const char *allow,
                               struct diag_bytes body) {
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.size, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result;

    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (allow != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
    if (http_status == MHD_HTTP_SERVICE_UNAVAILABLE || atomic_load(&server->is_stopping))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    result = MHD_queue_response(connection, http_status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result respond_text(struct diag_server *server, struct MHD_Connection *connection,
                                    unsigned http_status, const char *allow, const char *text) {
    char line[DIAG_ERROR_MESSAGE_MAX + 1];
    int length = snprintf(line, sizeof line, "%s\n", text);

    return respond(server, connection, http_status, "text/plain; charset=utf-8", allow,
                   diag_bytes_make(line, (size_t)length));
}

static unsigned http_status_of(enum diag_status status) {
    switch (status) {
    case DIAG_ERR_INVALID:
        return MHD_HTTP_BAD_REQUEST;
    case DIAG_ERR_TOO_LARGE:
        return MHD_HTTP_CONTENT_TOO_LARGE;
    default:
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
}

/* Large ones are made one at a time, so that their memory is taken once. */
static enum diag_status make_answer(struct diag_server *server, struct diag_bytes review,
                                    struct diag_review_answer *answer, struct diag_error *err) {
    size_t cost = diag_json_cost(review), limit = server->options.max_json_memory;
    enum diag_status status;

    if (cost > limit)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0,
                              "as JSON the review may take %zu bytes of memory, over %zu", cost,
                              limit);
    if (cost <= LARGE_COST)
        return diag_review_answer_make(server->options.pod_template, review, answer, err);
    pthread_mutex_lock(&server->large);
    status = diag_review_answer_make(server->options.pod_template, review, answer, err);
    malloc_trim(0);
    pthread_mutex_unlock(&server->large);
    return status;
}

static enum MHD_Result answer_review(struct diag_server *server, struct MHD_Connection *connection,
                                     const struct request *request) {
    DIAG_CLEANUP(diag_review_answer_done) struct diag_review_answer answer = {0};
    enum diag_status status;
    struct diag_error err;

    status = make_answer(server, diag_buffer_bytes(&request->body), &answer, &err);
    if (status != DIAG_OK) {
        server->options.said(server->options.context, err.message);
        return respond_text(server, connection, http_status_of(status), NULL, err.message);
    }
    server->options.reviewed(server->options.context, &answer);
    return respond(server, connection, MHD_HTTP_OK, "application/json", NULL,
                   diag_buffer_bytes(&answer.body));
}

static enum MHD_Result answer(struct diag_server *server, struct MHD_Connection *connection,
                              const struct request *request, const char *url) {
    if (request->refusal != 0)
        return respond_text(server, connection, request->refusal,
                            request->refusal != MHD_HTTP_METHOD_NOT_ALLOWED ? NULL
                            : request->has_body                             ? "POST"
                                                                            : "GET, HEAD",
                            request->refusal_text);
    if (request->has_body)
        return answer_review(server, connection, request);
    if (strcmp(url, "/readyz") == 0 && atomic_load(&server->is_stopping))
        return respond_text(server, connection, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "stopping");
    return respond_text(server, connection, MHD_HTTP_OK, NULL, "ok");
}

/* ---- requests ---- */

static void refuse(struct request *request, unsigned http_status, const char *text) {
    if (request->refusal != 0)
        return;
    request->refusal = http_status;
    request->refusal_text = text;
}

static bool is_json(const char *type) {
    static const char JSON[] = "application/json";

    return type != NULL && strncasecmp(type, JSON, sizeof JSON - 1) == 0 &&
           (type[sizeof JSON - 1] == '\0' || strchr("; \t", type[sizeof JSON - 1]) != NULL);
}

static uint64_t content_length(struct MHD_Connection *connection) {
    const char *text =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static void check_head(struct MHD_Connection *connection, struct request *request, const char *url,
                       const char *method) {
    const char *type =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);

    request->has_body = strcmp(url, "/mutate") == 0;
    if (request->has_body) {
        if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
            refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "only POST");
        else if (!is_json(type))
            refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                   "Content-Type is not application/json");
    } else if (strcmp(url, "/healthz") == 0 || strcmp(url, "/readyz") == 0) {
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
            refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
    } else {
        refuse(request, MHD_HTTP_NOT_FOUND, "only /mutate, /healthz and /readyz");
    }
    if (content_length(connection) > DIAG_SERVER_BODY_MAX)
        refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "the review is over 4 MiB");
}

/* The head has been read. */
static enum MHD_Result begin(struct diag_server *server, struct MHD_Connection *connection,
                             const char *url, const char *method, void **request_context) {
    struct request *request = calloc(1, sizeof *request);
    bool waits;

    if (request == NULL)
        return MHD_NO;
    *request_context = request;
    atomic_fetch_add(&server->active_count, 1);
    check_head(connection, request, url, method);
    waits =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT) != NULL;
    if (request->refusal != 0 && (waits || content_length(connection) > DISCARD_MAX))
        return answer(server, connection, request, url);
    return MHD_YES;
}

static enum diag_status keep(struct diag_server *server, struct request *request, const char *data,
                             size_t size) {
    size_t needed;
    enum diag_status status;

    if (size > DIAG_SERVER_BODY_MAX - request->body.size)
        return DIAG_ERR_TOO_LARGE;
    if (atomic_load(&server->body_memory) + size > BODY_MEMORY_MAX)
        return DIAG_ERR_FULL;
    status = diag_buffer_append(&request->body, diag_bytes_make(data, size));
    needed = request->body.capacity - request->accounted;
    atomic_fetch_add(&server->body_memory, needed);
    request->accounted += needed;
    return status;
}

static void drop_body(struct diag_server *server, struct request *request) {
    diag_buffer_done(&request->body);
    atomic_fetch_sub(&server->body_memory, request->accounted);
    request->accounted = 0;
}

/* A piece of the body has come. */
static enum MHD_Result receive(struct diag_server *server, struct request *request,
                               const char *data, size_t *size) {
    request->received_bytes += *size;
    if (request->received_bytes > DISCARD_MAX)
        return MHD_NO;
    if (request->refusal == 0 && request->has_body) {
        enum diag_status status = keep(server, request, data, *size);

        if (status == DIAG_ERR_TOO_LARGE)
            refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "the review is over 4 MiB");
        else if (status != DIAG_OK)
            refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many reviews at once");
    }
    if (request->refusal != 0)
        drop_body(server, request);
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **request_context) {
    struct diag_server *server = context;
    struct request *request = *request_context;

    (void)version;
    if (request == NULL)
        return begin(server, connection, url, method, request_context);
    if (*upload_data_size > 0)
        return receive(server, request, upload_data, upload_data_size);
    return answer(server, connection, request, url);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
                         enum MHD_RequestTerminationCode code) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct diag_server *server = context;
    struct request *request = *request_context;

    (void)code;
    if (request == NULL)
        return;
    *request_context = NULL;
    drop_body(server, request);
    free(request);
    if (info != NULL && info->socket_context != NULL)
        diag_connections_wait(server->connections, info->socket_context);
    atomic_fetch_sub(&server->active_count, 1);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct diag_server *server = context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        if (info != NULL)
            *socket_context = diag_connections_add(server->connections, info->connect_fd,
                                                   diag_clock_monotonic_ns());
        return;
    }
    diag_connections_remove(server->connections, *socket_context);
    *socket_context = NULL;
}

/* ---- the whole ---- */

static void on_said(void *context, const char *format, va_list arguments) {
    struct diag_server *server = context;
    char line[DIAG_ERROR_MESSAGE_MAX];

    vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\n")] = '\0';
    server->options.said(server->options.context, line);
}

static struct MHD_Daemon *start(struct diag_server *server) {
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS | MHD_USE_ERROR_LOG | MHD_USE_ITC, 0, NULL,
        NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_said, server,
        MHD_OPTION_LISTEN_SOCKET, server->options.listen_fd, MHD_OPTION_HTTPS_CERT_CALLBACK2,
        diag_certificates_retrieve, MHD_OPTION_HTTPS_PRIORITIES, PRIORITIES,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_CONNECTION_LIMIT, server->options.max_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, server->options.idle_timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MEMORY, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned)THREADS, MHD_OPTION_THREAD_STACK_SIZE, THREAD_STACK_SIZE,
        MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_END);
}

enum diag_status diag_server_new(const struct diag_server_options *options,
                                 struct diag_server **out, struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int listen_fd = options->listen_fd;
    struct diag_server *server = calloc(1, sizeof *server);
    enum diag_status status;

    if (server == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "server");
    server->options = *options;
    server->quiesced_fd = -1;
    pthread_mutex_init(&server->large, NULL);
    status = diag_connections_new(options->request_timeout_ns, &server->connections, err);
    if (status == DIAG_OK) {
        server->daemon = start(server);
        if (server->daemon == NULL)
            status = diag_error_set(err, DIAG_ERR_IO, 0, "the HTTPS server does not start");
    }
    if (status != DIAG_OK) {
        diag_server_free(server);
        return status;
    }
    listen_fd = -1; /* the daemon's */
    *out = server;
    return DIAG_OK;
}

void diag_server_tick(struct diag_server *server) {
    size_t count = diag_connections_reap(server->connections, diag_clock_monotonic_ns());
    char line[80];

    if (count == 0)
        return;
    snprintf(line, sizeof line, "%zu connection(s) ended: the request took too long", count);
    server->options.said(server->options.context, line);
}

void diag_server_begin_stop(struct diag_server *server) {
    atomic_store(&server->is_stopping, true);
}

bool diag_server_drain(struct diag_server *server) {
    if (server->quiesced_fd < 0) {
        server->quiesced_fd = MHD_quiesce_daemon(server->daemon);
        /* Without this, the kernel would go on taking connections that nobody will accept. */
        shutdown(server->quiesced_fd, SHUT_RDWR);
    }
    return atomic_load(&server->active_count) == 0;
}

void diag_server_free(struct diag_server *server) {
    if (server == NULL)
        return;
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    diag_closep(&server->quiesced_fd);
    diag_connections_free(server->connections);
    pthread_mutex_destroy(&server->large);
    free(server);
}
