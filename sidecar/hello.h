/* SPDX-License-Identifier: MIT */
/* hello - the first message on a Sync stream: who the sidecar is, and what it holds.
 *
 * Threading: the loop's thread. */
#ifndef DIAG_SIDECAR_HELLO_H
#define DIAG_SIDECAR_HELLO_H

#include "lib/rpc/message.h"
#include "sidecar/labels.h"
#include "sidecar/spec_table.h"

DIAG_DECLS_BEGIN

/* An encoded SyncRequest; the caller drops it. NULL: out of memory. */
struct diag_rpc_message *diag_hello_make(const char *sidecar_uid, const char *host,
                                         const struct diag_sidecar_labels *labels,
                                         const struct diag_spec_table *specs);

DIAG_DECLS_END

#endif
