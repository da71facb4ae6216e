/* SPDX-License-Identifier: MIT */
#include "inproc/engine/backend.h"

#include "inproc/engine/pycompat.h"

enum diag_status diag_backend_check_interpreter(struct diag_error *err) {
#ifdef Py_GIL_DISABLED
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                          "free-threaded builds of Python are not supported yet");
#elif defined(Py_DEBUG)
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0, "debug builds of Python are not supported");
#else
    if (PyInterpreterState_Get() != PyInterpreterState_Main())
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "sub-interpreters are not supported yet");
    return DIAG_OK;
#endif
}
