/* SPDX-License-Identifier: MIT */
#include "sidecar/options.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/shm/shm_abi.h"

#define OWN_FLAG_COUNT 14
#define FLAG_COUNT (OWN_FLAG_COUNT + DIAG_RPC_TLS_FLAG_COUNT)

#define MAX_PROCESSES_DEFAULT 64
#define MAX_PROCESSES_MAX 4096
#define MAX_MEMORY_MAX (UINT64_C(1) << 40)

static void make_flags(struct diag_sidecar_options *options, const char **log_level,
                       struct diag_flag flags[FLAG_COUNT]) {
    const struct diag_flag own[OWN_FLAG_COUNT] = {
        {"controller", 0, DIAG_FLAG_TEXT, &options->controller, "ADDR",
         "controller to serve: HOST:PORT or unix:PATH (required)", 0, 0},
        {"socket", 0, DIAG_FLAG_TEXT, &options->socket, "PATH",
         "where processes connect (" DIAG_SIDECAR_SOCKET ")", 0, 0},
        {"label", 'l', DIAG_FLAG_LIST, &options->labels, "KEY=VALUE",
         "label that selectors of specs match; may be repeated", 0, 0},
        {"label-default", 0, DIAG_FLAG_LIST, &options->label_defaults, "KEY=VALUE",
         "label of a key without --label; of several, the first that is not empty nor too long", 0,
         0},
        {"labels-file", 0, DIAG_FLAG_TEXT, &options->labels_file, "FILE",
         "further labels: lines KEY=\"VALUE\", as Kubernetes writes a pod's labels", 0, 0},
        {"host", 0, DIAG_FLAG_TEXT, &options->host, "NAME", "name of this host (its hostname)", 0,
         0},
        {"health", 0, DIAG_FLAG_TEXT, &options->health, "ADDR",
         "serve grpc.health.v1 here, and nothing else, in plaintext", 0, 0},
        {"tls-reload", 0, DIAG_FLAG_UINT, &options->tls.reload_s, "SECONDS",
         "look so often whether the TLS files have changed, and wait for missing ones (0: never)",
         0, DIAG_RPC_TLS_RELOAD_MAX_S},
        {"ring-size", 0, DIAG_FLAG_UINT, &options->ring_size, "BYTES",
         "event ring of each process, a power of two (1048576)", DIAG_SHM_RING_SIZE_MIN,
         DIAG_SHM_RING_SIZE_MAX},
        {"max-processes", 0, DIAG_FLAG_UINT, &options->max_processes, "N",
         "processes served at once; more are refused (64)", 1, MAX_PROCESSES_MAX},
        {"max-memory", 0, DIAG_FLAG_UINT, &options->max_memory, "BYTES",
         "shared memory of all processes together (enough for --max-processes)", 0, MAX_MEMORY_MAX},
        {"log-level", 0, DIAG_FLAG_TEXT, log_level, "LEVEL", "error, warning, info or debug (info)",
         0, 0},
        {"help", 'h', DIAG_FLAG_SWITCH, &options->has_help, NULL, "show this text", 0, 0},
        {"version", 0, DIAG_FLAG_SWITCH, &options->has_version, NULL, "show the version", 0, 0},
    };

    memcpy(flags, own, sizeof own);
    diag_rpc_tls_flags(&options->tls, flags + OWN_FLAG_COUNT);
}

/* Of defaults, several may have one key, and labels.c leaves out those with too long a value. */
static enum diag_status check_labels(const char *flag, const struct diag_flag_list *labels,
                                     bool are_defaults, struct diag_error *err) {
    for (size_t i = 0; i < labels->count; i++) {
        const char *label = labels->items[i];
        const char *equals = strchr(label, '=');
        size_t key_length;

        if (equals == NULL || equals == label)
            return diag_error_set(err, DIAG_ERR_INVALID, 0, "--%s: \"%s\" is not KEY=VALUE", flag,
                                  label);
        key_length = (size_t)(equals - label);
        if (key_length > DIAG_SIDECAR_LABEL_MAX ||
            (!are_defaults && strlen(equals + 1) > DIAG_SIDECAR_LABEL_MAX))
            return diag_error_set(err, DIAG_ERR_INVALID, 0,
                                  "--%s: \"%.32s...\" has a key or value of over %d bytes", flag,
                                  label, DIAG_SIDECAR_LABEL_MAX);
        if (!diag_bytes_is_utf8(diag_bytes_from_text(label)))
            return diag_error_set(err, DIAG_ERR_INVALID, 0, "--%s %zu is not UTF-8", flag, i + 1);
        for (size_t j = 0; !are_defaults && j < i; j++)
            if (strncmp(labels->items[j], label, key_length + 1) == 0)
                return diag_error_set(err, DIAG_ERR_INVALID, 0, "--%s: key \"%.*s\" twice", flag,
                                      (int)key_length, label);
    }
    return DIAG_OK;
}

static enum diag_status check_host(struct diag_sidecar_options *options, struct diag_error *err) {
    if (options->host == NULL) {
        if (gethostname(options->host_buffer, sizeof options->host_buffer) != 0)
            return diag_error_set(err, DIAG_ERR_IO, errno, "gethostname; give --host");
        options->host_buffer[sizeof options->host_buffer - 1] = '\0';
        options->host = options->host_buffer;
    }
    if (!diag_bytes_is_utf8(diag_bytes_from_text(options->host)))
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "--host: not UTF-8");
    return DIAG_OK;
}

/* The sum of all rings is bounded in any case: a process may bring a larger one. */
static enum diag_status check_memory(struct diag_sidecar_options *options, struct diag_error *err) {
    uint64_t each = DIAG_SHM_HEADER_SIZE + options->ring_size + DIAG_SHM_AGGREGATE_REGION_SIZE;

    if (options->max_memory == 0)
        options->max_memory = each * options->max_processes;
    if (options->max_memory < each)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "--max-memory: %llu bytes are not enough for one process, which "
                              "takes %llu",
                              (unsigned long long)options->max_memory, (unsigned long long)each);
    return DIAG_OK;
}

static enum diag_status check(struct diag_sidecar_options *options, const char *log_level,
                              struct diag_error *err) {
    enum diag_status status;

    if (options->controller == NULL || options->controller[0] == '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "--controller is required: HOST:PORT or unix:PATH");
    status = diag_rpc_tls_check(&options->tls, options->controller, false, err);
    if (status != DIAG_OK) {
        diag_error_prefix(err, "--controller %s", options->controller);
        return status;
    }
    status = diag_rpc_tls_check_health(options->health, err);
    if (status != DIAG_OK)
        return status;
    if ((options->ring_size & (options->ring_size - 1)) != 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "--ring-size: %llu is not a power of two",
                              (unsigned long long)options->ring_size);
    status = check_memory(options, err);
    if (status == DIAG_OK)
        status = check_labels("label", &options->labels, false, err);
    if (status == DIAG_OK)
        status = check_labels("label-default", &options->label_defaults, true, err);
    if (status == DIAG_OK)
        status = diag_log_level_parse(log_level, &options->log_level, err);
    if (status == DIAG_OK)
        status = check_host(options, err);
    return status;
}

enum diag_status diag_sidecar_options_parse(struct diag_sidecar_options *options, int argc,
                                            char **argv, struct diag_error *err) {
    struct diag_flag flags[FLAG_COUNT];
    const char *log_level = "info";
    enum diag_status status;
    int positional_count;

    *options = (struct diag_sidecar_options){
        .socket = DIAG_SIDECAR_SOCKET,
        .ring_size = DIAG_SHM_RING_SIZE_DEFAULT,
        .max_processes = MAX_PROCESSES_DEFAULT,
    };
    make_flags(options, &log_level, flags);
    status = diag_flags_parse(flags, FLAG_COUNT, argc, argv, &positional_count, err);
    if (status != DIAG_OK || options->has_help || options->has_version)
        return status;
    if (positional_count > 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "unexpected argument \"%s\"", argv[1]);
    return check(options, log_level, err);
}

void diag_sidecar_options_print_help(FILE *file) {
    struct diag_sidecar_options options = {0};
    struct diag_flag flags[FLAG_COUNT];
    const char *log_level = NULL;

    make_flags(&options, &log_level, flags);
    fputs("Usage: diagnose-sidecar --controller ADDR [flags]\n\n"
          "Serves the Python processes beside it: brings them the controller's specs, and brings\n"
          "their events to the controller. One per pod or host; may be restarted at any moment.\n\n"
          "Flags:\n",
          file);
    diag_flags_print(file, flags, FLAG_COUNT);
    fputs("\nExamples:\n"
          "  diagnose-sidecar --controller 127.0.0.1:7400 --socket /tmp/diagnose.sock\n"
          "  diagnose-sidecar --controller diagnose.internal:7400 --tls-ca ca.pem \\\n"
          "      --tls-cert sidecar.pem --tls-key sidecar.key --label app=shop --label zone=eu\n\n"
          "Exit status: 0 after SIGTERM or SIGINT, 1 on failure, 2 for a bad command line.\n",
          file);
}
