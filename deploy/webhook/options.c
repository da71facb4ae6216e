/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/options.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "deploy/webhook/cluster.h"

#define FLAG_COUNT 15
#define MIB (UINT64_C(1) << 20)

#define LISTEN_DEFAULT "[::]:8443"
#define MAX_CONNECTIONS_DEFAULT 256
#define REQUEST_TIMEOUT_DEFAULT 10
#define IDLE_TIMEOUT_DEFAULT 120 /* more than the 90 s after which API servers close idle ones */
#define STOP_DELAY_DEFAULT 5
#define MAX_MEMORY_DEFAULT 64

static void make_flags(struct diag_webhook_options *options, const char **log_level,
                       uint64_t *max_memory_mib, struct diag_flag flags[FLAG_COUNT]) {
    const struct diag_flag own[FLAG_COUNT] = {
        {"listen", 'l', DIAG_FLAG_TEXT, &options->listen, "ADDR",
         "where to serve HTTPS: HOST:PORT or [v6]:PORT (" LISTEN_DEFAULT ")", 0, 0},
        {"tls-cert", 0, DIAG_FLAG_TEXT, &options->cert_file, "FILE",
         "certificate chain, PEM; read again when it changes (required)", 0, 0},
        {"tls-key", 0, DIAG_FLAG_TEXT, &options->key_file, "FILE",
         "its key, PEM; read again when it changes (required)", 0, 0},
        {"template", 't', DIAG_FLAG_LIST, &options->templates, "FILE",
         "YAML or JSON of what a pod is given; may be repeated (required)", 0, 0},
        {"image", 0, DIAG_FLAG_LIST, &options->images, "NAME=IMAGE",
         "image of the template's init container NAME; may be repeated", 0, 0},
        {"service-account", 0, DIAG_FLAG_TEXT, &options->service_account, "FOLDER",
         "token and ca.crt for writing events (" DIAG_CLUSTER_SERVICE_ACCOUNT ")", 0, 0},
        {"no-events", 0, DIAG_FLAG_SWITCH, &options->without_events, NULL,
         "write no events, in a cluster either", 0, 0},
        {"max-connections", 0, DIAG_FLAG_UINT, &options->max_connections, "N",
         "connections at once; more wait (256)", 2, 10000},
        {"request-timeout", 0, DIAG_FLAG_UINT, &options->request_timeout_s, "SECONDS",
         "for a request from its first byte to its answer (10)", 1, 600},
        {"idle-timeout", 0, DIAG_FLAG_UINT, &options->idle_timeout_s, "SECONDS",
         "for a connection between requests (120)", 1, 3600},
        {"stop-delay", 0, DIAG_FLAG_UINT, &options->stop_delay_s, "SECONDS",
         "after SIGTERM, go on serving for so long, not ready (5)", 0, 600},
        {"max-memory", 0, DIAG_FLAG_UINT, max_memory_mib, "MIB",
         "most that a review may take as JSON; more is refused (64)", 1, 4096},
        {"log-level", 0, DIAG_FLAG_TEXT, log_level, "LEVEL", "error, warning, info or debug (info)",
         0, 0},
        {"help", 'h', DIAG_FLAG_SWITCH, &options->has_help, NULL, "show this text", 0, 0},
        {"version", 0, DIAG_FLAG_SWITCH, &options->has_version, NULL, "show the version", 0, 0},
    };

    memcpy(flags, own, sizeof own);
}

static enum diag_status check(struct diag_webhook_options *options, const char *log_level,
                              struct diag_error *err) {
    if (options->cert_file == NULL || options->key_file == NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "--tls-cert and --tls-key are required: API servers speak only "
                              "HTTPS to webhooks");
    if (options->templates.count == 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "--template is required: the files of what a pod is given");
    for (size_t i = 0; i < options->images.count; i++) {
        const char *image = options->images.items[i];
        const char *equals = strchr(image, '=');

        if (equals == NULL || equals == image || equals[1] == '\0')
            return diag_error_set(err, DIAG_ERR_INVALID, 0, "--image: \"%s\" is not NAME=IMAGE",
                                  image);
    }
    return diag_log_level_parse(log_level, &options->log_level, err);
}

enum diag_status diag_webhook_options_parse(struct diag_webhook_options *options, int argc,
                                            char **argv, struct diag_error *err) {
    struct diag_flag flags[FLAG_COUNT];
    uint64_t max_memory_mib = MAX_MEMORY_DEFAULT;
    const char *log_level = "info";
    enum diag_status status;
    int positional_count;

    *options = (struct diag_webhook_options){
        .listen = LISTEN_DEFAULT,
        .service_account = DIAG_CLUSTER_SERVICE_ACCOUNT,
        .max_connections = MAX_CONNECTIONS_DEFAULT,
        .request_timeout_s = REQUEST_TIMEOUT_DEFAULT,
        .idle_timeout_s = IDLE_TIMEOUT_DEFAULT,
        .stop_delay_s = STOP_DELAY_DEFAULT,
    };
    make_flags(options, &log_level, &max_memory_mib, flags);
    status = diag_flags_parse(flags, FLAG_COUNT, argc, argv, &positional_count, err);
    if (status != DIAG_OK || options->has_help || options->has_version)
        return status;
    if (positional_count > 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "unexpected argument \"%s\"", argv[1]);
    options->max_memory = max_memory_mib * MIB;
    if (gethostname(options->instance, sizeof options->instance) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "gethostname");
    options->instance[sizeof options->instance - 1] = '\0';
    return check(options, log_level, err);
}

void diag_webhook_options_print_help(FILE *file) {
    struct diag_webhook_options options = {0};
    struct diag_flag flags[FLAG_COUNT];
    const char *log_level = NULL;
    uint64_t max_memory_mib = 0;

    make_flags(&options, &log_level, &max_memory_mib, flags);
    fputs(
        "Usage: diagnose-webhook --tls-cert FILE --tls-key FILE --template FILE [flags]\n\n"
        "A mutating admission webhook of Kubernetes: answers AdmissionReviews (v1) at POST\n"
        "/mutate, and gives pods annotated diagnose.dev/inject: \"true\" what the template says.\n"
        "It refuses no pod: one that cannot be instrumented starts as it is, with a warning and\n"
        "an event. Also serves GET /healthz and /readyz.\n\n"
        "Flags:\n",
        file);
    diag_flags_print(file, flags, FLAG_COUNT);
    fputs("\nExamples:\n"
          "  diagnose-webhook --tls-cert tls.crt --tls-key tls.key --template pod.yaml\n"
          "  diagnose-webhook --listen 127.0.0.1:8443 --tls-cert tls.crt --tls-key tls.key \\\n"
          "      --template pod.yaml --template container.yaml \\\n"
          "      --image diagnose-sidecar=registry.example.com/diagnose/sidecar:0.1.0\n\n"
          "Exit status: 0 after SIGTERM or SIGINT, 1 on failure, 2 for a bad command line.\n",
          file);
}
