/* SPDX-License-Identifier: MIT */
/* diagnose-webhook: see README.md beside this file and `diagnose-webhook --help`. */
#include <stdio.h>

#include "deploy/webhook/webhook.h"
#include "lib/base/stop_signals.h"
#include "lib/base/version.h"

int main(int argc, char **argv) {
    struct diag_webhook_options options;
    struct diag_error err;

    if (diag_webhook_options_parse(&options, argc, argv, &err) != DIAG_OK) {
        fprintf(stderr, "diagnose-webhook: %s\nTry diagnose-webhook --help.\n", err.message);
        return 2;
    }
    if (options.has_help) {
        diag_webhook_options_print_help(stdout);
        return 0;
    }
    if (options.has_version) {
        puts("diagnose-webhook " DIAG_VERSION);
        return 0;
    }
    diag_log_init("webhook", options.log_level);
    diag_stop_signals_block();
    signal(SIGPIPE, SIG_IGN);
    if (diag_webhook_run(&options, &err) != DIAG_OK) {
        diag_log_error("%s", err.message);
        return 1;
    }
    return 0;
}
