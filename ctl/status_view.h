/* SPDX-License-Identifier: MIT */
/* status_view - what one process says of one spec, as a document and in words.
 *
 * Threading: any thread. */
#ifndef DIAG_CTL_STATUS_VIEW_H
#define DIAG_CTL_STATUS_VIEW_H

#include "ctl/document.h"
#include "diagnose/v1/spec.pb-c.h"

DIAG_DECLS_BEGIN

/* All fields. The caller owns it. */
struct diag_document *diag_status_view_document(const Diagnose__V1__SpecStatus *status);

/* "Pending", "Armed", ... */
const char *diag_status_view_state(Diagnose__V1__SpecState state);

/* "yes" or "no"; "" for a spec that is not armed. */
const char *diag_status_view_pure(const Diagnose__V1__SpecStatus *status);

/* Calls that made no hit, whatever the cause. */
uint64_t diag_status_view_skipped(const Diagnose__V1__SpecStatus *status);

/* What a person should know besides the numbers, as text to be freed by the caller: whether an
 * armed spec with no hits was not called (`event`: the instrument's), the message, the skips by
 * cause, and what is not seen. "" if there is nothing. */
char *diag_status_view_note(const Diagnose__V1__SpecStatus *status, const char *event);

DIAG_DECLS_END

#endif
