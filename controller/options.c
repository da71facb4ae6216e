/* SPDX-License-Identifier: MIT */
#include "controller/options.h"

#include <string.h>

#define OWN_FLAG_COUNT 9
#define FLAG_COUNT (OWN_FLAG_COUNT + DIAG_RPC_TLS_FLAG_COUNT)
#define DAY_S 86400

/* The flags, with `options` and `log_level` as their targets. */
static void fill_flags(struct diag_options *options, const char **log_level,
                       struct diag_flag flags[FLAG_COUNT]) {
    const struct diag_flag own[OWN_FLAG_COUNT] = {
        {"listen", 'l', DIAG_FLAG_TEXT, &options->listen, "ADDR",
         "serve at HOST:PORT or unix:PATH (" DIAG_OPTIONS_LISTEN ")", 0, 0},
        {"database", 'd', DIAG_FLAG_TEXT, &options->database, "FILE",
         "keep specs in this SQLite file (" DIAG_OPTIONS_DATABASE ")", 0, 0},
        {"health", 0, DIAG_FLAG_TEXT, &options->health, "ADDR",
         "serve grpc.health.v1 here too, and nothing else, in plaintext", 0, 0},
        {"ttl", 0, DIAG_FLAG_UINT, &options->ttl_s, "SECONDS",
         "how long sidecars keep specs once the controller is lost (600)", 1, DAY_S},
        {"tls-reload", 0, DIAG_FLAG_UINT, &options->tls.reload_s, "SECONDS",
         "look so often whether the TLS files have changed (0: never)", 0,
         DIAG_RPC_TLS_RELOAD_MAX_S},
        {"port-file", 0, DIAG_FLAG_TEXT, &options->port_file, "FILE",
         "write the port to this file once listening", 0, 0},
        {"log-level", 0, DIAG_FLAG_TEXT, log_level, "LEVEL", "error, warning, info or debug (info)",
         0, 0},
        {"version", 0, DIAG_FLAG_SWITCH, &options->wants_version, NULL, "print the version", 0, 0},
        {"help", 'h', DIAG_FLAG_SWITCH, &options->wants_help, NULL, "print this help", 0, 0},
    };

    memcpy(flags, own, sizeof own);
    diag_rpc_tls_flags(&options->tls, flags + OWN_FLAG_COUNT);
}

static enum diag_status check(const struct diag_options *options, struct diag_error *err) {
    enum diag_status status;

    if (options->listen[0] == '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "--listen: empty");
    if (options->database[0] == '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "--database: empty");
    if (options->port_file != NULL && options->port_file[0] == '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "--port-file: empty");
    if (options->port_file != NULL && strncmp(options->listen, "unix:", 5) == 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "--port-file: --listen %s is a unix socket, which has no port",
                              options->listen);
    status = diag_rpc_tls_check_health(options->health, err);
    if (status == DIAG_OK)
        status = diag_rpc_tls_check(&options->tls, options->listen, true, err);
    return status;
}

enum diag_status diag_options_parse(int argc, char **argv, struct diag_options *out,
                                    struct diag_error *err) {
    struct diag_options options = {
        .listen = DIAG_OPTIONS_LISTEN,
        .database = DIAG_OPTIONS_DATABASE,
        .ttl_s = DIAG_OPTIONS_TTL_S,
        .log_level = DIAG_LOG_INFO,
    };
    struct diag_flag flags[FLAG_COUNT];
    const char *log_level = "info";
    int positional_count;
    enum diag_status status;

    fill_flags(&options, &log_level, flags);
    status = diag_flags_parse(flags, FLAG_COUNT, argc, argv, &positional_count, err);
    if (status != DIAG_OK)
        return status;
    if (options.wants_help || options.wants_version) {
        *out = options;
        return DIAG_OK;
    }
    if (positional_count > 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "unexpected argument \"%s\"", argv[1]);
    status = diag_log_level_parse(log_level, &options.log_level, err);
    if (status == DIAG_OK)
        status = check(&options, err);
    if (status == DIAG_OK)
        *out = options;
    return status;
}

void diag_options_print_help(FILE *file) {
    struct diag_options options = {0};
    struct diag_flag flags[FLAG_COUNT];
    const char *log_level;

    fill_flags(&options, &log_level, flags);
    fputs("Usage: diagnose-controller [FLAGS]\n\n"
          "Keeps the specs of a fleet, hands them to the sidecars, and their events to whoever\n"
          "subscribes.\n\nFlags:\n",
          file);
    diag_flags_print(file, flags, FLAG_COUNT);
    fputs("\nExamples:\n"
          "  # Try it on this machine\n"
          "  diagnose-controller\n\n"
          "  # For a fleet, with mutual TLS\n"
          "  diagnose-controller --listen 0.0.0.0:7400 --database /var/lib/diagnose/specs.db \\\n"
          "      --tls-cert server.pem --tls-key server.key --tls-ca fleet-ca.pem\n\n"
          "  # Any free port, told in a file\n"
          "  diagnose-controller --listen 127.0.0.1:0 --port-file /run/diagnose.port\n\n"
          "Exit status: 0 after SIGTERM or SIGINT, 1 for a failure, 2 for a wrong flag.\n",
          file);
}
