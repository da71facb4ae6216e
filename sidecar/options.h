/* SPDX-License-Identifier: MIT */
/* options - the command line of diagnose-sidecar.
 *
 * Threading: main thread, at start.
 * Ownership: strings are borrowed from argv. */
#ifndef DIAG_SIDECAR_OPTIONS_H
#define DIAG_SIDECAR_OPTIONS_H

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/rpc/credentials.h"

DIAG_DECLS_BEGIN

#define DIAG_SIDECAR_SOCKET "/run/diagnose/diagnose.sock"
#define DIAG_SIDECAR_LABEL_MAX                                                                     \
    320 /* bytes of a key or a value; Kubernetes' keys have up to 317                              \
         */

struct diag_sidecar_options {
    const char *controller;
    const char *socket;
    const char *host;
    const char *health;                   /* NULL: no health server */
    struct diag_flag_list labels;         /* "KEY=VALUE", checked */
    struct diag_flag_list label_defaults; /* the same, but values may be too long */
    const char *labels_file;              /* NULL: none */
    struct diag_rpc_tls tls;
    uint64_t ring_size;
    uint64_t max_processes;
    uint64_t max_memory; /* bytes of all rings together */
    enum diag_log_level log_level;
    bool has_help, has_version; /* then nothing else has been checked */
    char host_buffer[HOST_NAME_MAX + 1];
};

/* DIAG_ERR_INVALID names the flag. `options` points into itself: do not copy it. */
DIAG_MUST_CHECK enum diag_status diag_sidecar_options_parse(struct diag_sidecar_options *options,
                                                            int argc, char **argv,
                                                            struct diag_error *err);

void diag_sidecar_options_print_help(FILE *file);

DIAG_DECLS_END

#endif
