/* SPDX-License-Identifier: MIT */
#include "sidecar/backoff.h"

#include <sys/random.h>

uint64_t diag_backoff_next_ms(struct diag_backoff *backoff) {
    uint32_t random = 0;
    uint64_t half;
    /* Without random bits there is no jitter, which is bearable. */
    ssize_t got = getrandom(&random, sizeof random, GRND_NONBLOCK);

    (void)got;
    if (backoff->bound_ms == 0)
        backoff->bound_ms = DIAG_BACKOFF_MIN_MS;
    else if (backoff->bound_ms < DIAG_BACKOFF_MAX_MS / 2)
        backoff->bound_ms *= 2;
    else
        backoff->bound_ms = DIAG_BACKOFF_MAX_MS;
    half = backoff->bound_ms / 2;
    return half + random % (half + 1);
}
