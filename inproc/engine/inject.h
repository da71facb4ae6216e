/* SPDX-License-Identifier: MIT */
/* inject - code objects of CPython 3.11 that tell an observer what happens in their frames.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_INJECT_H
#define DIAG_INPROC_ENGINE_INJECT_H

#include "inproc/engine/pycompat.h"
#include "lib/base/error.h"

#if PY_VERSION_HEX < 0x030C0000

#include "inproc/engine/inject_probe.h"

/* The code as it was written, borrowed; `code` itself if it is not injected. */
PyCodeObject *diag_injection_original(PyCodeObject *code);

/* A new code object in *out: `link`'s original, with what its observer wants to be told. Code that
 * it takes the place of is an older version from now on. DIAG_ERR_UNSUPPORTED: the code does not
 * look like anything that the compiler makes. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_inject(struct diag_inject_link *link, PyCodeObject **out,
                                             struct diag_error *err);

#else

static inline PyCodeObject *diag_injection_original(PyCodeObject *code) {
    return code;
}

#endif
#endif
