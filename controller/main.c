/* SPDX-License-Identifier: MIT */
/* diagnose-controller: see options.c for its flags. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "controller/controller.h"
#include "controller/options.h"
#include "controller/port_file.h"
#include "lib/base/log.h"
#include "lib/base/stop_signals.h"
#include "lib/base/version.h"

#define PROGRAM "diagnose-controller"
#define STOP_GRACE_MS 1000

enum { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Waits for SIGTERM or SIGINT, which all threads block, and stops the loop. */
static void *wait_for_signal(void *context) {
    struct diag_loop *loop = context;
    sigset_t signals = diag_stop_signals();
    int signal_number;

    if (sigwait(&signals, &signal_number) == 0)
        diag_log_info("%s: stopping", strsignal(signal_number));
    diag_loop_stop(loop);
    return NULL;
}

/* What was asked for, with the port that was bound in the place of port 0. */
static void log_listening(const struct diag_options *options,
                          const struct diag_controller *controller) {
    int port = diag_controller_port(controller);
    const char *colon = strrchr(options->listen, ':');

    if (port == 0 || colon == NULL)
        diag_log_info("listening on %s", options->listen);
    else
        diag_log_info("listening on %.*s:%d", (int)(colon - options->listen), options->listen,
                      port);
}

static enum diag_status serve(struct diag_loop *loop, const struct diag_options *options,
                              struct diag_error *err) {
    const struct diag_controller_options controller_options = {
        .listen = options->listen,
        .database = options->database,
        .health = options->health,
        .ttl_ms = options->ttl_s * 1000,
        .tls = options->tls,
    };
    struct diag_controller *controller;
    pthread_t thread;
    enum diag_status status = diag_controller_new(loop, &controller_options, &controller, err);

    if (status != DIAG_OK)
        return status;
    if (options->port_file != NULL)
        status = diag_port_file_write(options->port_file, diag_controller_port(controller), err);
    if (status == DIAG_OK) {
        int code = pthread_create(&thread, NULL, wait_for_signal, loop);
        if (code != 0)
            status = diag_error_set(err, DIAG_ERR_IO, code, "signal thread");
    }
    if (status == DIAG_OK) {
        log_listening(options, controller);
        diag_loop_run(loop);
        pthread_join(thread, NULL);
    }
    diag_controller_stop_and_free(controller, STOP_GRACE_MS);
    return status;
}

int main(int argc, char **argv) {
    struct diag_options options;
    struct diag_loop *loop;
    struct diag_error err;
    enum diag_status status = diag_options_parse(argc, argv, &options, &err);

    if (status != DIAG_OK) {
        fprintf(stderr, PROGRAM ": %s\nSee " PROGRAM " --help.\n", err.message);
        return EXIT_USAGE;
    }
    if (options.wants_help) {
        diag_options_print_help(stdout);
        return EXIT_STOPPED;
    }
    if (options.wants_version) {
        puts(PROGRAM " " DIAG_VERSION);
        return EXIT_STOPPED;
    }
    diag_log_init("controller", options.log_level);
    diag_stop_signals_block();
    signal(SIGPIPE, SIG_IGN);
    status = diag_loop_new(&loop, &err);
    if (status == DIAG_OK) {
        status = serve(loop, &options, &err);
        diag_loop_free(loop);
    }
    if (status != DIAG_OK) {
        diag_log_error("%s", err.message);
        return EXIT_FAILED;
    }
    return EXIT_STOPPED;
}
