/* SPDX-License-Identifier: MIT */
/* target - finds what a target's text names. Imports nothing and runs no code of the program: no
 * descriptors, no __getattr__.
 *
 *   package.module.function           package.module.Class.method (static, class, property: .fget)
 *   package.module.function.<locals>.inner               nested functions, all of their closures
 *   package.module.function.<locals>.<lambda>            lambdas; the module's own: module.<lambda>
 *   package/file.py:42       the innermost functions (lambdas) whose lines hold line 42; the file
 *                            is an absolute path, or the end of one; functions of modules that
 *                            sys.modules no longer has do not count beside those that it has
 *   module.instance.method, module.instance (with __call__)    for that instance only
 *   builtins.len, time.sleep, builtins.dict.get, ...           callables that are implemented in C
 *
 * Private names are found as written (module.Class.__name).
 *
 * Instances: `self` is set if the last step of the path binds an instance that is no class and no
 * module: a function, property or method in C that was found in the class of module.instance; a
 * bound method (also a built-in one, such as random.random) that an attribute holds; an instance
 * with __call__ itself. Not: class and static methods, functions in an instance's own dict, steps
 * through classes. __wrapped__, __func__, fget, fset and fdel keep it.
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
    /* PENDING, REFUSED: its message says why. PENDING: UNAVAILABLE, the module is not there; or
     * NOT_FOUND, it is, without that name. REFUSED: INVALID, no callable; or UNSUPPORTED. */
    struct diag_error error;

    /* FOUND; the references are owned by whoever asked: diag_target_done. One of: */
    PyObject *function; /* a Python function object: what callers call */
    PyObject *callable; /* a callable that is implemented in C */
    /* code objects: nested functions, lambdas, file.py:LINE; as the compiler made them. At least
     * one; perhaps no function object has been made of them yet */
    PyCodeObject *codes[DIAG_TARGET_CODES_MAX];
    size_t code_count;

    /* dict: of `written` for END and LINE, else of `function` or of the codes; of a callable in C
     * that wraps a Python function (functools.lru_cache): of that; else NULL */
    PyObject *globals;
    /* the last Python function of the chain of __wrapped__; may be `function`. With `callable`:
     * NULL if there is none, and never NULL for END and LINE */
    PyObject *written;
    PyObject *self; /* only calls with this first argument; NULL: all */
};

/* `text`: of a spec that diag_spec_validate has accepted. `point`: END and LINE look for the
 * function as written, and refuse what has none. `is_importing`: modules whose code still runs
 * count as not imported. */
void diag_target_resolve(const char *text, enum diag_point point, bool is_importing,
                         struct diag_target *out);
void diag_target_done(struct diag_target *target);

/* The same of an object, whatever leads to it; `text` is for messages. FOUND or REFUSED. */
void diag_target_resolve_object(PyObject *object, const char *text, enum diag_point point,
                                struct diag_target *out);

/* True if resolving the text may walk the heap (code_users.h), not only a few dicts. */
bool diag_target_walks_heap(const char *text);

/* DIAG_OK if `line` begins code of one of the (one or more) code objects; the `def` line does not,
 * unless code of the body is on it, and lines of inner functions do not. Else DIAG_ERR_INVALID,
 * naming the nearest lines that do, and the first and last line of the function if it is outside.
 */
DIAG_MUST_CHECK enum diag_status diag_target_check_line(PyCodeObject *const *codes,
                                                        size_t code_count, int line,
                                                        struct diag_error *err);

#endif
