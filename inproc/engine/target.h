/* SPDX-License-Identifier: MIT */
/* target - finds the function that a dotted path names. Imports nothing and runs no code of the
 * program: no descriptors, no __getattr__.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_TARGET_H
#define DIAG_INPROC_ENGINE_TARGET_H

#include "inproc/engine/pycompat.h"
#include "lib/base/error.h"

enum diag_target_outcome {
    DIAG_TARGET_FOUND,
    DIAG_TARGET_PENDING, /* not there, but may come */
    DIAG_TARGET_REFUSED, /* there, and nothing that can be probed */
};

struct diag_target {
    enum diag_target_outcome outcome;
    PyObject *function;      /* FOUND: owned by whoever asked */
    struct diag_error error; /* PENDING, REFUSED: its message says why */
};

/* `is_return`: the instrument fires on return. `is_importing`: modules whose code still runs
 * count as not imported. */
void diag_target_resolve(const char *path, bool is_return, bool is_importing,
                         struct diag_target *out);

#endif
