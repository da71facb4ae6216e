/* SPDX-License-Identifier: MIT */
/* options - what the command line of diagnose-controller says.
 *
 * Threading: none; main thread, at start. */
#ifndef DIAG_CONTROLLER_OPTIONS_H
#define DIAG_CONTROLLER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/rpc/credentials.h"

DIAG_DECLS_BEGIN

#define DIAG_OPTIONS_LISTEN "127.0.0.1:7400"
#define DIAG_OPTIONS_DATABASE "./diagnose.db"
#define DIAG_OPTIONS_TTL_S 600

/* Strings are borrowed from argv. */
struct diag_options {
    const char *listen;
    const char *database;
    const char *health; /* NULL: only beside the services */
    uint64_t ttl_s;
    const char *port_file; /* NULL: none */
    struct diag_rpc_tls tls;
    enum diag_log_level log_level;
    bool wants_version;
    bool wants_help;
};

/* Parses and checks argv, whose order it changes. With --help or --version nothing else is
 * checked. DIAG_ERR_INVALID names the flag. */
DIAG_MUST_CHECK enum diag_status diag_options_parse(int argc, char **argv, struct diag_options *out,
                                                    struct diag_error *err);

void diag_options_print_help(FILE *file);

DIAG_DECLS_END

#endif
