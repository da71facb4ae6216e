/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/webhook.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/webhook/event_poster.h"
#include "deploy/webhook/listener.h"
#include "deploy/webhook/server.h"
#include "lib/base/clock.h"
#include "lib/base/stop_signals.h"

#define TICK_NS DIAG_NS_PER_S
#define DRAIN_TICK_NS (20 * DIAG_NS_PER_MS)
#define EVENTS_GRACE_MS 2000

struct webhook {
    const struct diag_webhook_options *options;
    struct diag_pod_template pod_template;
    struct diag_certificates *certificates;
    struct diag_event_poster *poster; /* NULL: not in a cluster */
    struct diag_server *server;
    char certificate_error[DIAG_ERROR_MESSAGE_MAX]; /* logged already */
};

/* ---- what the parts tell ---- */

static void on_posted(void *context, enum diag_status status, const char *what) {
    (void)context;
    if (status == DIAG_OK)
        diag_log_debug("posted: %s", what);
    else
        diag_log_warning("not posted: %s", what);
}

static void on_reviewed(void *context, const struct diag_review_answer *answer) {
    static const char *const outcomes[] = {
        [DIAG_REVIEW_NOT_ASKED] = "not asked for",
        [DIAG_REVIEW_PATCHED] = "injected",
        [DIAG_REVIEW_COMPLETE] = "injected before",
        [DIAG_REVIEW_STAYED_OUT] = "not instrumented: ",
    };
    const struct diag_review_notice *notice = &answer->notice;
    struct webhook *webhook = context;

    diag_log(answer->outcome == DIAG_REVIEW_NOT_ASKED    ? DIAG_LOG_DEBUG
             : answer->outcome == DIAG_REVIEW_STAYED_OUT ? DIAG_LOG_WARNING
                                                         : DIAG_LOG_INFO,
             "%s %s/%s: %s%s%s", notice->kind, notice->namespace_name, notice->name,
             outcomes[answer->outcome], notice->reason, answer->is_dry_run ? " (dry run)" : "");
    if (answer->outcome == DIAG_REVIEW_STAYED_OUT && !answer->is_dry_run &&
        webhook->poster != NULL && notice->namespace_name[0] != '\0')
        diag_event_poster_put(webhook->poster, notice);
}

static void on_said(void *context, const char *line) {
    (void)context;
    diag_log_debug("%s", line);
}

/* ---- starting ---- */

static enum diag_status read_templates(struct webhook *webhook, struct diag_error *err) {
    const struct diag_flag_list *templates = &webhook->options->templates;
    const struct diag_flag_list *images = &webhook->options->images;
    enum diag_status status = diag_pod_template_init(&webhook->pod_template, err);

    for (size_t i = 0; status == DIAG_OK && i < templates->count; i++) {
        status = diag_pod_template_add_file(&webhook->pod_template, templates->items[i], err);
        if (status != DIAG_OK)
            diag_error_prefix(err, "--template");
    }
    for (size_t i = 0; status == DIAG_OK && i < images->count; i++) {
        const char *image = images->items[i], *equals = strchr(image, '=');

        status = diag_pod_template_set_image(&webhook->pod_template,
                                             diag_bytes_make(image, (size_t)(equals - image)),
                                             equals + 1, err);
        if (status != DIAG_OK)
            diag_error_prefix(err, "--image");
    }
    return status;
}

static enum diag_status start_events(struct webhook *webhook, struct diag_error *err) {
    struct diag_event_poster_options options = {
        .instance = webhook->options->instance,
        .posted = on_posted,
        .context = webhook,
    };
    struct diag_error why;

    if (webhook->options->without_events)
        return DIAG_OK;
    if (diag_cluster_find(getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT"),
                          webhook->options->service_account, &options.cluster, &why) != DIAG_OK) {
        diag_log_warning("no events: %s", why.message);
        return DIAG_OK;
    }
    return diag_event_poster_new(&options, &webhook->poster, err);
}

static enum diag_status start_server(struct webhook *webhook, struct diag_error *err) {
    const struct diag_webhook_options *options = webhook->options;
    char bound[DIAG_LISTENER_ADDRESS_MAX];
    struct diag_server_options server = {
        .pod_template = &webhook->pod_template,
        .request_timeout_ns = options->request_timeout_s * DIAG_NS_PER_S,
        .idle_timeout_s = (unsigned)options->idle_timeout_s,
        .max_connections = (unsigned)options->max_connections,
        .max_json_memory = options->max_memory,
        .reviewed = on_reviewed,
        .said = on_said,
        .context = webhook,
    };
    enum diag_status status = diag_listener_open(options->listen, &server.listen_fd, bound, err);

    if (status != DIAG_OK) {
        diag_error_prefix(err, "--listen");
        return status;
    }
    status = diag_server_new(&server, &webhook->server, err);
    if (status == DIAG_OK)
        diag_log_info("listening on %s", bound);
    return status;
}

static enum diag_status start(struct webhook *webhook, struct diag_error *err) {
    enum diag_status status = read_templates(webhook, err);

    if (status == DIAG_OK)
        status = diag_certificates_new(webhook->options->cert_file, webhook->options->key_file,
                                       &webhook->certificates, err);
    if (status == DIAG_OK)
        status = start_events(webhook, err);
    if (status == DIAG_OK)
        status = start_server(webhook, err);
    return status;
}

/* ---- running ---- */

static void refresh_certificates(struct webhook *webhook) {
    bool has_changed = false;
    struct diag_error err = {.message = ""};

    if (diag_certificates_refresh(webhook->certificates, &has_changed, &err) != DIAG_OK) {
        if (strcmp(err.message, webhook->certificate_error) != 0)
            diag_log_error("the certificate stays the old one: %s", err.message);
    } else if (has_changed) {
        diag_log_info("new certificate from %s", webhook->options->cert_file);
    } else {
        return;
    }
    memcpy(webhook->certificate_error, err.message, sizeof err.message);
}

/* Ticks until a signal comes, or until `until_ns`. True: a signal. */
static bool tick_until(struct webhook *webhook, const sigset_t *signals, uint64_t until_ns) {
    const struct timespec tick = {.tv_sec = TICK_NS / DIAG_NS_PER_S};

    while (diag_clock_monotonic_ns() < until_ns) {
        if (sigtimedwait(signals, NULL, &tick) > 0)
            return true;
        diag_server_tick(webhook->server);
        refresh_certificates(webhook);
    }
    return false;
}

/* First the API server must learn that this replica is not ready; then what has begun is finished.
 */
static void stop(struct webhook *webhook, const sigset_t *signals) {
    const struct timespec tick = {.tv_nsec = DRAIN_TICK_NS};
    uint64_t limit_ns;

    diag_log_info("stopping in %llu s", (unsigned long long)webhook->options->stop_delay_s);
    diag_server_begin_stop(webhook->server);
    if (tick_until(webhook, signals,
                   diag_clock_monotonic_ns() + webhook->options->stop_delay_s * DIAG_NS_PER_S))
        diag_log_info("stopping now");
    limit_ns = diag_clock_monotonic_ns() + webhook->options->request_timeout_s * DIAG_NS_PER_S;
    while (!diag_server_drain(webhook->server) && diag_clock_monotonic_ns() < limit_ns)
        if (sigtimedwait(signals, NULL, &tick) > 0)
            break;
}

enum diag_status diag_webhook_run(const struct diag_webhook_options *options,
                                  struct diag_error *err) {
    struct webhook webhook = {.options = options};
    enum diag_status status;
    sigset_t signals = diag_stop_signals();

    status = start(&webhook, err);
    if (status == DIAG_OK) {
        tick_until(&webhook, &signals, UINT64_MAX);
        stop(&webhook, &signals);
    }
    diag_server_free(webhook.server);
    diag_event_poster_stop_and_free(webhook.poster, EVENTS_GRACE_MS);
    diag_certificates_free(webhook.certificates);
    diag_pod_template_done(&webhook.pod_template);
    if (status == DIAG_OK)
        diag_log_info("stopped");
    return status;
}
