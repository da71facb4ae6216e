/* SPDX-License-Identifier: MIT */
/* diagnose-sidecar: see docs/ and `diagnose-sidecar --help`. */
#include <stdio.h>

#include "lib/base/stop_signals.h"
#include "lib/base/version.h"
#include "sidecar/sidecar.h"

int main(int argc, char **argv) {
    struct diag_sidecar_options options;
    struct diag_error err;

    if (diag_sidecar_options_parse(&options, argc, argv, &err) != DIAG_OK) {
        fprintf(stderr, "diagnose-sidecar: %s\nTry diagnose-sidecar --help.\n", err.message);
        return 2;
    }
    if (options.has_help) {
        diag_sidecar_options_print_help(stdout);
        return 0;
    }
    if (options.has_version) {
        puts("diagnose-sidecar " DIAG_VERSION);
        return 0;
    }
    diag_log_init("sidecar", options.log_level);
    diag_stop_signals_block();
    signal(SIGPIPE, SIG_IGN);
    if (diag_sidecar_run(&options, &err) != DIAG_OK) {
        diag_log_error("%s", err.message);
        return 1;
    }
    return 0;
}
