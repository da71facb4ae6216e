/* SPDX-License-Identifier: MIT */
/* webhook - the running program: server, certificates and events, until a signal.
 *
 * Threading: main thread. */
#ifndef DIAG_DEPLOY_WEBHOOK_WEBHOOK_H
#define DIAG_DEPLOY_WEBHOOK_WEBHOOK_H

#include "deploy/webhook/options.h"

DIAG_DECLS_BEGIN

/* SIGTERM and SIGINT are blocked in all threads; they end it. DIAG_ERR_INVALID, DIAG_ERR_IO: could
 * not start. */
DIAG_MUST_CHECK enum diag_status diag_webhook_run(const struct diag_webhook_options *options,
                                                  struct diag_error *err);

DIAG_DECLS_END

#endif
