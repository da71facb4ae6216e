/* SPDX-License-Identifier: MIT */
/* inject_probe - the constants that injected code tests for truth, and what they lead to.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_INJECT_PROBE_H
#define DIAG_INPROC_ENGINE_INJECT_PROBE_H

#include "inproc/engine/observer.h"
#include "inproc/engine/pycompat.h"

#if PY_VERSION_HEX < 0x030C0000

enum diag_inject_event {
    DIAG_INJECT_START,
    DIAG_INJECT_RETURNED,
    DIAG_INJECT_RAISED,
    DIAG_INJECT_SUSPENDED,
    DIAG_INJECT_RESUMED,
    DIAG_INJECT_LINE,
};

/* What all injected versions of one code object share. */
struct diag_inject_link {
    Py_ssize_t reference_count;
    struct diag_observer *observer; /* borrowed; NULL: detached, nothing is called any more */
    PyCodeObject *original;
    unsigned version; /* of the newest code; frames that run older code ask the observer's mask */
};

/* One reference; NULL: out of memory. */
struct diag_inject_link *diag_inject_link_new(PyCodeObject *original,
                                              struct diag_observer *observer);
void diag_inject_link_unref(struct diag_inject_link *link);

/* A new constant for the version that comes next, `link->version + 1`. NULL with an exception: out
 * of memory. */
PyObject *diag_inject_probe_new(struct diag_inject_link *link, enum diag_inject_event event,
                                int line);

/* Of the link that injected code leads to; NULL: the code is not injected. */
struct diag_inject_link *diag_inject_link_of(PyCodeObject *code);

/* True if another copy of this engine has injected the code. */
bool diag_inject_is_foreign(PyCodeObject *code);

/* False: out of memory. */
bool diag_inject_probe_init(void);

#endif
#endif
