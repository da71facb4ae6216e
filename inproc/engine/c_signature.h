/* SPDX-License-Identifier: MIT */
/* c_signature - what the arguments of a callable that is implemented in C are called: read from the
 * signature that its documentation begins with (__text_signature__), of a Cython function from
 * its code object, or of a wrapper (functools.lru_cache) from the function that it wraps.
 *
 * Threading: the GIL. Runs no code of the program. */
#ifndef DIAG_INPROC_ENGINE_C_SIGNATURE_H
#define DIAG_INPROC_ENGINE_C_SIGNATURE_H

#include "inproc/engine/pycompat.h"

/* A new tuple of the names (str) of the parameters, as diag_scope.names wants them: `has_self`:
 * that of diag_call.self first. NULL: not known; no exception is set. Ends before *args: what comes
 * after them has no fixed place. */
PyObject *diag_c_signature(PyObject *callable, bool has_self);

#endif
