/* SPDX-License-Identifier: MIT */
/* tag_view - tags of events and aggregates, as documents and as text.
 *
 * Threading: any thread. */
#ifndef DIAG_CTL_TAG_VIEW_H
#define DIAG_CTL_TAG_VIEW_H

#include "ctl/document.h"

DIAG_DECLS_BEGIN

/* Adds {key, value} of an encoded diagnose.v1.Tag to the list. DIAG_ERR_PROTOCOL: it is none. */
DIAG_MUST_CHECK enum diag_status diag_tag_view_read(struct diag_bytes encoded,
                                                    struct diag_document *tags);

/* Appends ` {region=eu,hot=}`; nothing if there are none. */
void diag_tag_view_append_text(struct diag_buffer *out, const struct diag_document *tags);

DIAG_DECLS_END

#endif
