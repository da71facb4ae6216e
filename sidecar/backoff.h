/* SPDX-License-Identifier: MIT */
/* backoff - how long to wait before the next attempt: doubling, with jitter, so that the sidecars
 * of a fleet do not all come back at once.
 *
 * Threading: one thread. */
#ifndef DIAG_SIDECAR_BACKOFF_H
#define DIAG_SIDECAR_BACKOFF_H

#include <stdint.h>

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

#define DIAG_BACKOFF_MIN_MS 100
#define DIAG_BACKOFF_MAX_MS 2000

/* All zero: no attempt has failed yet. */
struct diag_backoff {
    uint64_t bound_ms;
};

/* The last attempt failed: how long to wait, between half the bound and the bound. */
uint64_t diag_backoff_next_ms(struct diag_backoff *backoff);

/* An attempt was successful. */
static inline void diag_backoff_reset(struct diag_backoff *backoff) {
    backoff->bound_ms = 0;
}

DIAG_DECLS_END

#endif
