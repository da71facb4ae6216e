/* SPDX-License-Identifier: MIT */
/* inject_rewrite - puts the tests of probes into the instructions of a code object.
 *
 * Threading: none needed. */
#ifndef DIAG_INPROC_ENGINE_INJECT_REWRITE_H
#define DIAG_INPROC_ENGINE_INJECT_REWRITE_H

#include "inproc/engine/inject_body.h"
#include "inproc/engine/inject_probe.h"

#if PY_VERSION_HEX < 0x030C0000

/* A probe that the new instructions load. */
struct diag_inject_constant {
    enum diag_inject_event event;
    int line; /* LINE */
};

struct diag_inject_constants {
    struct diag_inject_constant *items;
    int count;
    int capacity;
};

void diag_inject_constants_done(struct diag_inject_constants *constants);

/* Fills the empty *to with *from and what `observer` wants to be told, and *constants with the
 * probes for it: the first is the code's constant number `first_constant`. DIAG_ERR_UNSUPPORTED:
 * the code does not look like anything that the compiler makes. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status
diag_inject_rewrite(const struct diag_inject_body *from, const struct diag_observer *observer,
                    int first_constant, struct diag_inject_body *to,
                    struct diag_inject_constants *constants, struct diag_error *err);

#endif
#endif
