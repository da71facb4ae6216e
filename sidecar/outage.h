/* SPDX-License-Identifier: MIT */
/* outage - what the log says while there is no controller: each reason when it is new, and again
 * every few minutes, but not at each attempt.
 *
 * Threading: one thread. */
#ifndef DIAG_SIDECAR_OUTAGE_H
#define DIAG_SIDECAR_OUTAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

#define DIAG_OUTAGE_REASONS_MAX 8    /* a further one waits until one of these is due again */
#define DIAG_OUTAGE_MESSAGE_SIZE 512 /* messages are told apart by so many bytes, with the NUL */
#define DIAG_OUTAGE_REPEAT_NS UINT64_C(300000000000)

struct diag_outage_reason {
    int code;
    char message[DIAG_OUTAGE_MESSAGE_SIZE];
    uint64_t said_ns; /* CLOCK_MONOTONIC */
};

/* All zero: nothing has been said, as after each connection. */
struct diag_outage {
    struct diag_outage_reason reasons[DIAG_OUTAGE_REASONS_MAX];
    size_t count;
};

/* An attempt has failed. True: the reason is to be said now. */
bool diag_outage_note(struct diag_outage *outage, int code, const char *message, uint64_t now_ns);

DIAG_DECLS_END

#endif
