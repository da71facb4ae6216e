/* SPDX-License-Identifier: MIT */
/* event_check - is this an encoded diagnose.v1.Event? Structure and UTF-8 only, nothing is built.
 *
 * Sidecar and controller forward events as bytes that an application's process wrote; one that no
 * protobuf parser takes would end the streams of its innocent readers.
 *
 * Threading: any thread. */
#ifndef DIAG_LIB_EVENT_EVENT_CHECK_H
#define DIAG_LIB_EVENT_EVENT_CHECK_H

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

#define DIAG_EVENT_DEPTH_MAX 16 /* of nested values */

/* DIAG_ERR_TOO_LARGE: over DIAG_EVENT_MAX bytes. DIAG_ERR_PROTOCOL: not an event. `spec_id`
 * (optional) receives a borrowed view of the id. */
DIAG_MUST_CHECK enum diag_status diag_event_check(struct diag_bytes event,
                                                  struct diag_bytes *spec_id);

DIAG_DECLS_END

#endif
