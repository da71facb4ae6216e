/* SPDX-License-Identifier: MIT */
/* server - the webhook's HTTPS server, by libmicrohttpd.
 *
 *   POST /mutate              an AdmissionReview, answered with one
 *   GET, HEAD /healthz        200 while the program runs
 *   GET, HEAD /readyz         200; 503 once it is stopping
 *
 * Whatever cannot be answered with an AdmissionReview gets an HTTP status and a line of text: 400
 * (not a review), 404, 405, 413 (over DIAG_SERVER_BODY_MAX bytes, or too much memory as JSON), 415,
 * 503.
 *
 * Threading: made, drained and freed by one thread; requests are answered by threads of its own,
 * which call `reviewed`. */
#ifndef DIAG_DEPLOY_WEBHOOK_SERVER_H
#define DIAG_DEPLOY_WEBHOOK_SERVER_H

#include "deploy/webhook/certificates.h"
#include "deploy/webhook/review.h"

DIAG_DECLS_BEGIN

/* An API server takes objects of up to 3 MiB; what the review has besides is small. */
#define DIAG_SERVER_BODY_MAX ((size_t)4 << 20)

struct diag_server; /* opaque */

typedef void diag_server_reviewed_fn(void *context, const struct diag_review_answer *answer);
typedef void diag_server_said_fn(void *context, const char *line);

struct diag_server_options {
    int listen_fd; /* bound and listening; taken over, also on failure */
    const struct diag_pod_template *pod_template; /* borrowed */
    uint64_t request_timeout_ns;                  /* from a request's first byte to its end */
    unsigned idle_timeout_s;                      /* without any byte */
    unsigned max_connections;                     /* more wait in the kernel's queue */
    size_t max_json_memory;            /* of a review, by diag_json_cost; more is refused */
    diag_server_reviewed_fn *reviewed; /* of each review that was answered */
    diag_server_said_fn *said;         /* what has gone wrong with a connection */
    void *context;
};

/* Serves at once, with the certificates of diag_certificates_new, which must outlive it. *out is
 * the caller's. */
DIAG_MUST_CHECK enum diag_status diag_server_new(const struct diag_server_options *options,
                                                 struct diag_server **out, struct diag_error *err);

/* To be called every second or so: ends connections whose request takes too long. */
void diag_server_tick(struct diag_server *server);

/* From now on not ready, and every answer closes its connection; new ones are still accepted. */
void diag_server_begin_stop(struct diag_server *server);

/* Accepts no more connections; true once no request is being answered. To be called until then. */
bool diag_server_drain(struct diag_server *server);

/* Closes every connection. NULL is fine. */
void diag_server_free(struct diag_server *server);

DIAG_DECLS_END

#endif
