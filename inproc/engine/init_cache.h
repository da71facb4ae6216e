/* SPDX-License-Identifier: MIT */
/* init_cache - has 3.13 forget what it noted about an __init__.
 *
 * Once calls of a class are specialised (CALL_ALLOC_AND_ENTER_INIT), 3.13 enters the function that
 * the class has noted as its __init__, as long as the class has not been modified: it looks neither
 * at the function's type nor at its version. Other versions note nothing of that kind.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_INIT_CACHE_H
#define DIAG_INPROC_ENGINE_INIT_CACHE_H

#include "inproc/engine/pycompat.h"
#include "lib/base/error.h"

/* To be called when `function` is no plain function any more, so that nobody notes it again.
 * Runs no code of the program. DIAG_ERR_NO_MEMORY. */
#if PY_VERSION_HEX >= 0x030D0000
DIAG_MUST_CHECK enum diag_status diag_init_cache_forget(const PyObject *function,
                                                        struct diag_error *err);
#else
DIAG_MUST_CHECK static inline enum diag_status diag_init_cache_forget(const PyObject *function,
                                                                      struct diag_error *err) {
    (void)function;
    (void)err;
    return DIAG_OK;
}
#endif

#endif
