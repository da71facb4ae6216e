/* SPDX-License-Identifier: MIT */
/* spec_view - specs and their summaries as documents and rows of tables.
 *
 * A spec's document is its manifest, plus what the server knows of it under `status`, so that it
 * may be applied again.
 *
 * Threading: any thread. */
#ifndef DIAG_CTL_SPEC_VIEW_H
#define DIAG_CTL_SPEC_VIEW_H

#include "ctl/document.h"
#include "ctl/time_text.h"
#include "diagnose/v1/specs_service.pb-c.h"

DIAG_DECLS_BEGIN

/* As Apply answers. The caller owns it, here and below. */
struct diag_document *diag_spec_view_spec(const Diagnose__V1__Spec *spec);

/* As List answers: `status` has the counts too. */
struct diag_document *diag_spec_view_summary(const Diagnose__V1__SpecSummary *summary);

/* As Get answers: `status` has the processes too. */
struct diag_document *diag_spec_view_detail(const Diagnose__V1__GetResponse *response);

/* ProcessInfo. */
void diag_spec_view_put_process(struct diag_document *map,
                                const Diagnose__V1__ProcessInfo *process);

/* One word for the whole fleet: Expired, Waiting (no process has it to do), Failed (in at least
 * one process), Pending or Armed (in all). */
const char *diag_spec_view_state(const Diagnose__V1__SpecSummary *summary);

/* "9m50s", "expired", or "-" when it never does. */
void diag_spec_view_expires(char text[DIAG_TIME_TEXT_SIZE],
                            const Diagnose__V1__SpecSummary *summary, uint64_t now_unix_nanos);

/* The instrument's event, which is "return" when the spec leaves it out. */
const char *diag_spec_view_event(const Diagnose__V1__Spec *spec);

/* `key` and `key`_unix_nanos; null and 0 for a time that is not set. */
void diag_spec_view_put_time(struct diag_document *map, const char *key, uint64_t unix_nanos);

DIAG_DECLS_END

#endif
