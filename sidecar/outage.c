/* SPDX-License-Identifier: MIT */
#include "sidecar/outage.h"

#include <stdio.h>
#include <string.h>

static struct diag_outage_reason *find(struct diag_outage *outage, int code, const char *message) {
    for (size_t i = 0; i < outage->count; i++)
        if (outage->reasons[i].code == code && strcmp(outage->reasons[i].message, message) == 0)
            return &outage->reasons[i];
    return NULL;
}

static struct diag_outage_reason *find_oldest(struct diag_outage *outage) {
    struct diag_outage_reason *oldest = &outage->reasons[0];

    for (size_t i = 1; i < outage->count; i++)
        if (outage->reasons[i].said_ns < oldest->said_ns)
            oldest = &outage->reasons[i];
    return oldest;
}

bool diag_outage_note(struct diag_outage *outage, int code, const char *message, uint64_t now_ns) {
    struct diag_outage_reason made = {.code = code, .said_ns = now_ns}, *place;

    snprintf(made.message, sizeof made.message, "%s", message);
    place = find(outage, code, made.message);
    if (place == NULL && outage->count < DIAG_OUTAGE_REASONS_MAX) {
        outage->reasons[outage->count++] = made;
        return true;
    }
    if (place == NULL)
        place = find_oldest(outage);
    if (now_ns - place->said_ns < DIAG_OUTAGE_REPEAT_NS)
        return false;
    *place = made;
    return true;
}
