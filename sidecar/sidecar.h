/* SPDX-License-Identifier: MIT */
/* sidecar - the program put together: the loop's thread (session, reporter, health) and the local
 * thread. They share the mailbox, and nothing else.
 *
 * Threading: main thread. SIGTERM and SIGINT must be blocked before.
 * Ownership: borrows the options. */
#ifndef DIAG_SIDECAR_SIDECAR_H
#define DIAG_SIDECAR_SIDECAR_H

#include "sidecar/options.h"

DIAG_DECLS_BEGIN

/* Serves until SIGTERM or SIGINT, then stops gracefully. Any error: it could not start. */
DIAG_MUST_CHECK enum diag_status diag_sidecar_run(const struct diag_sidecar_options *options,
                                                  struct diag_error *err);

DIAG_DECLS_END

#endif
