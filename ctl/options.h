/* SPDX-License-Identifier: MIT */
/* options - what the command line asks for.
 *
 * Threading: main thread.
 * Ownership: texts are borrowed from argv and the environment. */
#ifndef DIAG_CTL_OPTIONS_H
#define DIAG_CTL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/flags.h"
#include "lib/rpc/credentials.h"

DIAG_DECLS_BEGIN

#define DIAG_OPTIONS_SERVER_VARIABLE "DIAGNOSE_SERVER"
#define DIAG_OPTIONS_SERVER_DEFAULT "127.0.0.1:7400"
#define DIAG_OPTIONS_TIMEOUT_DEFAULT 10 /* seconds */

enum diag_output { DIAG_OUTPUT_TABLE, DIAG_OUTPUT_JSON, DIAG_OUTPUT_YAML };

/* The flags that not every command has. */
enum {
    DIAG_OPTION_FILE = 1 << 0,
    DIAG_OPTION_SPEC = 1 << 1,
    DIAG_OPTION_LIMITS = 1 << 2, /* --count and --seconds */
};

struct diag_options {
    const char *server;
    struct diag_rpc_tls tls;
    uint64_t timeout_s;
    const char *output_name; /* as given */
    enum diag_output output;
    const char *file; /* NULL: not given */
    struct diag_flag_list specs;
    uint64_t count, seconds; /* 0: not given */
    bool is_help;
    char **words; /* everything that is no flag, the command included */
    size_t word_count;
};

/* Parses argv, which is reordered. DIAG_ERR_INVALID names the flag. */
DIAG_MUST_CHECK enum diag_status
diag_options_parse(int argc, char **argv, struct diag_options *options, struct diag_error *err);

/* Refuses flags that a command with these (DIAG_OPTION_*) does not have. */
DIAG_MUST_CHECK enum diag_status diag_options_check(const struct diag_options *options,
                                                    unsigned has, struct diag_error *err);

/* The flags of a command, or the global ones. */
void diag_options_print(FILE *file, unsigned has);
void diag_options_print_global(FILE *file);

DIAG_DECLS_END

#endif
