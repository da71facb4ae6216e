/* SPDX-License-Identifier: MIT */
#include "sidecar/refusals.h"

#include <string.h>

static struct diag_refusal *find(struct diag_refusals *refusals, const char *uid) {
    for (size_t i = 0; i < refusals->count; i++)
        if (strcmp(refusals->items[i].uid, uid) == 0)
            return &refusals->items[i];
    return NULL;
}

static void erase(struct diag_refusals *refusals, struct diag_refusal *refusal) {
    *refusal = refusals->items[--refusals->count];
}

enum diag_refusals_result diag_refusals_note(struct diag_refusals *refusals, const char *uid,
                                             uint64_t now_ns) {
    struct diag_refusal *refusal = find(refusals, uid);
    enum diag_refusals_result result = DIAG_REFUSALS_KNOWN;

    if (refusal == NULL) {
        if (refusals->count == DIAG_REFUSALS_MAX)
            return DIAG_REFUSALS_FULL;
        refusal = &refusals->items[refusals->count++];
        memcpy(refusal->uid, uid, DIAG_UID_SIZE);
        result = DIAG_REFUSALS_NEW;
    }
    refusal->forget_at_ns = now_ns + DIAG_REFUSALS_KEPT_NS;
    return result;
}

void diag_refusals_forget(struct diag_refusals *refusals, const char *uid) {
    struct diag_refusal *refusal = find(refusals, uid);

    if (refusal != NULL)
        erase(refusals, refusal);
}

bool diag_refusals_expire(struct diag_refusals *refusals, uint64_t now_ns,
                          char uid[DIAG_UID_SIZE]) {
    for (size_t i = 0; i < refusals->count; i++) {
        if (now_ns < refusals->items[i].forget_at_ns)
            continue;
        memcpy(uid, refusals->items[i].uid, DIAG_UID_SIZE);
        erase(refusals, &refusals->items[i]);
        return true;
    }
    return false;
}

uint64_t diag_refusals_next_ns(const struct diag_refusals *refusals) {
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < refusals->count; i++)
        if (refusals->items[i].forget_at_ns < next)
            next = refusals->items[i].forget_at_ns;
    return next;
}
