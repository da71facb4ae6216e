/* SPDX-License-Identifier: MIT */
/* event - a notice as a Kubernetes Event (events.k8s.io/v1), in JSON.
 *
 * Threading: any thread. */
#ifndef DIAG_DEPLOY_WEBHOOK_EVENT_H
#define DIAG_DEPLOY_WEBHOOK_EVENT_H

#include "deploy/webhook/review.h"

DIAG_DECLS_BEGIN

/* Appends the Event to `body`. `instance`: which replica says so, cut at 128 bytes; `unix_ns`:
 * when. DIAG_ERR_INVALID: the notice has no namespace. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_event_make(const struct diag_review_notice *notice,
                                                 const char *instance, uint64_t unix_ns,
                                                 struct diag_buffer *body, struct diag_error *err);

DIAG_DECLS_END

#endif
