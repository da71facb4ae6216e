/* SPDX-License-Identifier: MIT */
/* spec_status - what became of a spec in one process.
 *
 * Threading: none needed; plain data. */
#ifndef DIAG_LIB_SPEC_SPEC_STATUS_H
#define DIAG_LIB_SPEC_SPEC_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compiler.h"
#include "lib/spec/spec.h"

DIAG_DECLS_BEGIN

/* The values of diagnose.v1.SpecState.
 *
 *     (new) --> PENDING --> ARMED --> EXPIRED | REMOVED
 *        \---------\----------\-----> FAILED | TRIPPED --(edited)--> (new)        */
enum diag_spec_state {
    DIAG_SPEC_STATE_UNSPECIFIED = 0,
    DIAG_SPEC_STATE_PENDING = 1,
    DIAG_SPEC_STATE_ARMED = 2,
    DIAG_SPEC_STATE_FAILED = 3,
    DIAG_SPEC_STATE_EXPIRED = 4,
    DIAG_SPEC_STATE_REMOVED = 5,
    DIAG_SPEC_STATE_TRIPPED = 6,
};

#define DIAG_SPEC_STATUS_MESSAGE_MAX 1024
#define DIAG_SPEC_STATUS_MECHANISM_MAX 64
#define DIAG_SPEC_STATUS_EXCLUDED_MAX 512

/* Why a call of an armed target made no hit. */
enum diag_skip {
    DIAG_SKIP_REENTRANT = 0, /* made while an instrument ran on the same thread */
    DIAG_SKIP_IN_FLIGHT = 1, /* began before the probe was armed, so that its start was not seen */
    DIAG_SKIP_UNBOUND = 2,   /* a name that the expression uses had no value */
    DIAG_SKIP_FILTERED = 3,  /* of another instance than the target's */
    DIAG_SKIP_COUNT = 4,
};

struct diag_spec_status {
    char spec_id[DIAG_SPEC_ID_MAX + 1];
    uint64_t spec_revision;
    enum diag_spec_state state;
    char message[DIAG_SPEC_STATUS_MESSAGE_MAX + 1];
    char mechanism[DIAG_SPEC_STATUS_MECHANISM_MAX + 1];
    char excluded[DIAG_SPEC_STATUS_EXCLUDED_MAX + 1]; /* what is not seen, and why */
    uint32_t functions;
    uint32_t codes;
    bool is_pure; /* the expressions provably have no side effects */
    uint64_t hits;
    uint64_t errors;
    uint64_t dropped;
    uint64_t skips[DIAG_SKIP_COUNT];
};

/* "reentrant", "in flight", ... Static. */
const char *diag_skip_name(enum diag_skip skip);

/* "PENDING", "ARMED", ... Static. */
const char *diag_spec_state_name(enum diag_spec_state state);

DIAG_DECLS_END

#endif
