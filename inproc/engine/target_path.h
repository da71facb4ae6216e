/* SPDX-License-Identifier: MIT */
/* target_path - a target's text, taken apart.
 *
 * Threading: any; diag_target_path_is: the GIL. */
#ifndef DIAG_INPROC_ENGINE_TARGET_PATH_H
#define DIAG_INPROC_ENGINE_TARGET_PATH_H

#include "inproc/engine/pycompat.h"
#include "lib/base/error.h"
#include "lib/spec/spec.h"

#define DIAG_TARGET_PARTS_MAX 64

struct diag_target_path {
    char text[DIAG_SPEC_TARGET_MAX + 1];
    int line; /* file.py:LINE, `text` is the file; 0: names */

    /* Names only. */
    size_t ends[DIAG_TARGET_PARTS_MAX]; /* where each part ends in `text` */
    size_t count;
    size_t plain_count; /* parts before the first <locals> or <lambda>: those of attributes */
};

/* `text`: of a spec that diag_spec_validate has accepted. DIAG_ERR_UNSUPPORTED: over a limit. */
DIAG_MUST_CHECK enum diag_status
diag_target_path_parse(const char *text, struct diag_target_path *out, struct diag_error *err);

/* The text of the parts [first, end); returns `out`. */
const char *diag_target_path_text(const struct diag_target_path *path, size_t first, size_t end,
                                  char out[DIAG_SPEC_TARGET_MAX + 1]);

/* Where the part begins in `text`. */
size_t diag_target_path_start(const struct diag_target_path *path, size_t part);

/* True if the part is `name` (a str). Runs no code of the program. */
bool diag_target_path_is(const struct diag_target_path *path, size_t part, PyObject *name);
bool diag_target_path_is_text(const struct diag_target_path *path, size_t part, const char *name);

#endif
