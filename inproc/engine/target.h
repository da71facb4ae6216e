/* SPDX-License-Identifier: MIT */
/* target - finds what a target's text names. Imports nothing and runs no code of the program: no
 * descriptors, no __getattr__.
 *
 *   package.module.function           package.module.Class.method (static, class, property: .fget)
 *   package.module.function.<locals>.inner               nested functions, all of their closures
 *   package.module.function.<locals>.<lambda>            lambdas; the module's own: module.<lambda>
 *   package/file.py:42       the innermost functions (lambdas) whose code holds line 42; the file
 *                            is an absolute path, or the end of one
 *   module.instance.method, module.instance (with __call__)    for that instance only
 *   builtins.len, time.sleep, builtins.dict.get, ...           callables that are implemented in C
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_TARGET_H
#define DIAG_INPROC_ENGINE_TARGET_H

#include "inproc/engine/call.h"
#include "inproc/engine/pycompat.h"
#include "lib/base/error.h"

enum diag_target_outcome {
    DIAG_TARGET_FOUND,
    DIAG_TARGET_PENDING, /* not there, but may come */
    DIAG_TARGET_REFUSED, /* there, and nothing that can be probed */
};

#define DIAG_TARGET_CODES_MAX 16 /* functions of one name or line */

struct diag_target {
    enum diag_target_outcome outcome;
    struct diag_error error; /* PENDING, REFUSED: its message says why */

    /* FOUND; the references are owned by whoever asked: diag_target_done. One of: */
    PyObject *function; /* a Python function object */
    PyObject *callable; /* a callable that is implemented in C */
    /* code objects: nested functions, lambdas, file.py:LINE */
    PyCodeObject *codes[DIAG_TARGET_CODES_MAX];
    size_t code_count;

    PyObject *globals; /* of a function or of the codes */
    /* of a function: the one at the end of its chain of __wrapped__; may be the same */
    PyObject *written;
    PyObject *self; /* only calls with this first argument; NULL: all */
};

/* `point`: END and LINE look for the function as written. `is_importing`: modules whose code
 * still runs count as not imported. */
void diag_target_resolve(const char *text, enum diag_point point, bool is_importing,
                         struct diag_target *out);
void diag_target_done(struct diag_target *target);

/* DIAG_OK if `line` begins code of one of the code objects; else DIAG_ERR_INVALID, naming the
 * nearest lines that do, and the first and last line of the function if it is outside. */
DIAG_MUST_CHECK enum diag_status diag_target_check_line(PyCodeObject *const *codes,
                                                        size_t code_count, int line,
                                                        struct diag_error *err);

#endif
