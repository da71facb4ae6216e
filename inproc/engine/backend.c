/* SPDX-License-Identifier: MIT */
#include "inproc/engine/backend.h"

#include "inproc/engine/pycompat.h"

#ifdef Py_GIL_DISABLED
#error "free-threaded builds of Python are not supported"
#endif
#ifdef Py_DEBUG
#error "debug builds of Python are not supported"
#endif

enum diag_status diag_backend_check_interpreter(struct diag_error *err) {
    if (PyInterpreterState_Get() != PyInterpreterState_Main())
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0, "sub-interpreters are not supported");
    /* These load extensions of release builds, too, but not all of their structures are the same;
     * free-threaded ones do not. */
    if (PySys_GetObject("gettotalrefcount") != NULL)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "debug builds of Python are not supported");
    return DIAG_OK;
}
