/* SPDX-License-Identifier: MIT */
/* spec_status - what became of a spec in one process.
 *
 * Threading: none needed; plain data. */
#ifndef DIAG_LIB_SPEC_SPEC_STATUS_H
#define DIAG_LIB_SPEC_SPEC_STATUS_H

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

struct diag_spec_status {
    char spec_id[DIAG_SPEC_ID_MAX + 1];
    uint64_t spec_revision;
    enum diag_spec_state state;
    char message[DIAG_SPEC_STATUS_MESSAGE_MAX + 1];
    char mechanism[DIAG_SPEC_STATUS_MECHANISM_MAX + 1];
    uint32_t functions;
    uint64_t hits;
    uint64_t errors;
    uint64_t dropped;
};

/* "PENDING", "ARMED", ... Static. */
const char *diag_spec_state_name(enum diag_spec_state state);

DIAG_DECLS_END

#endif
