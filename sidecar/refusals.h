/* SPDX-License-Identifier: MIT */
/* refusals - the processes that were refused for want of room, so that people can be told of them.
 *
 * A refused process tries again at least each second for as long as it lives; one that has not
 * done so for a while is forgotten.
 *
 * Threading: one thread. */
#ifndef DIAG_SIDECAR_REFUSALS_H
#define DIAG_SIDECAR_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/uid.h"

DIAG_DECLS_BEGIN

#define DIAG_REFUSALS_MAX 64 /* further ones are not noted */
#define DIAG_REFUSALS_KEPT_NS UINT64_C(4000000000)

struct diag_refusal {
    char uid[DIAG_UID_SIZE];
    uint64_t forget_at_ns; /* CLOCK_MONOTONIC */
};

/* All zero: none. */
struct diag_refusals {
    struct diag_refusal items[DIAG_REFUSALS_MAX];
    size_t count;
};

enum diag_refusals_result {
    DIAG_REFUSALS_NEW,   /* to be told */
    DIAG_REFUSALS_KNOWN, /* has been told */
    DIAG_REFUSALS_FULL,  /* too many */
};

/* `uid` has been refused, possibly once more. */
enum diag_refusals_result diag_refusals_note(struct diag_refusals *refusals, const char *uid,
                                             uint64_t now_ns);

/* Forgets `uid`, which is served now, if it was there. */
void diag_refusals_forget(struct diag_refusals *refusals, const char *uid);

/* Forgets one that has not come back for too long, and writes its uid. False: there is none. */
bool diag_refusals_expire(struct diag_refusals *refusals, uint64_t now_ns, char uid[DIAG_UID_SIZE]);

/* When the next one expires; UINT64_MAX: there is none. */
uint64_t diag_refusals_next_ns(const struct diag_refusals *refusals);

DIAG_DECLS_END

#endif
