/* SPDX-License-Identifier: MIT */
/* options - the command line of diagnose-webhook.
 *
 * Threading: main thread, at start.
 * Ownership: strings are borrowed from argv. */
#ifndef DIAG_DEPLOY_WEBHOOK_OPTIONS_H
#define DIAG_DEPLOY_WEBHOOK_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/flags.h"
#include "lib/base/log.h"

DIAG_DECLS_BEGIN

struct diag_webhook_options {
    const char *listen;
    const char *cert_file, *key_file;
    struct diag_flag_list templates;
    struct diag_flag_list images; /* "NAME=IMAGE", checked */
    const char *service_account;  /* folder */
    uint64_t max_connections;
    uint64_t request_timeout_s, idle_timeout_s;
    uint64_t stop_delay_s;
    uint64_t max_memory; /* bytes, of one review as JSON */
    bool without_events;
    enum diag_log_level log_level;
    bool has_help, has_version; /* then nothing else has been checked */
    char instance[HOST_NAME_MAX + 1];
};

/* DIAG_ERR_INVALID names the flag. */
DIAG_MUST_CHECK enum diag_status diag_webhook_options_parse(struct diag_webhook_options *options,
                                                            int argc, char **argv,
                                                            struct diag_error *err);

void diag_webhook_options_print_help(FILE *file);

DIAG_DECLS_END

#endif
