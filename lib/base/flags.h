/* SPDX-License-Identifier: MIT */
/* flags - command-line flags from a table: --name VALUE, --name=VALUE, -n VALUE, --switch.
 *
 * Threading: none; main thread, at start. */
#ifndef DIAG_LIB_BASE_FLAGS_H
#define DIAG_LIB_BASE_FLAGS_H

#include <stdio.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

enum diag_flag_kind {
    DIAG_FLAG_TEXT,   /* target: const char *, borrowed from argv */
    DIAG_FLAG_UINT,   /* target: uint64_t, `min` to `max` */
    DIAG_FLAG_SWITCH, /* target: bool, becomes true */
    DIAG_FLAG_LIST,   /* target: struct diag_flag_list; may be given many times */
};

#define DIAG_FLAG_LIST_MAX 64

struct diag_flag_list {
    const char *items[DIAG_FLAG_LIST_MAX]; /* borrowed from argv */
    size_t count;
};

struct diag_flag {
    const char *name; /* without the dashes */
    char letter;      /* short form, 0: none */
    enum diag_flag_kind kind;
    void *target;
    const char *value_name; /* "FILE", for the help; NULL for switches */
    const char *help;
    unsigned long long min, max; /* UINT */
};

/* Parses argv[1...]. Flags may follow positional arguments; "--" ends them. Positional arguments
 * are moved to the front, beginning at argv[1]; their number goes to *positional_count.
 * DIAG_ERR_INVALID names the argument. */
DIAG_MUST_CHECK enum diag_status diag_flags_parse(const struct diag_flag *flags, size_t flag_count,
                                                  int argc, char **argv, int *positional_count,
                                                  struct diag_error *err);

/* One aligned line per flag. */
void diag_flags_print(FILE *file, const struct diag_flag *flags, size_t flag_count);

DIAG_DECLS_END

#endif
