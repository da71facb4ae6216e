/* SPDX-License-Identifier: MIT */
/* listener - a listening TCP socket.
 *
 * Threading: any thread. */
#ifndef DIAG_DEPLOY_WEBHOOK_LISTENER_H
#define DIAG_DEPLOY_WEBHOOK_LISTENER_H

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

#define DIAG_LISTENER_ADDRESS_MAX 80 /* bytes of "[v6]:PORT", with the NUL */

/* `address`: "HOST:PORT" or "[v6]:PORT"; [::] takes IPv4 too, and becomes 0.0.0.0 where the kernel
 * has no IPv6. Port 0 is any that is free: `bound` gets the address with the real one. *fd is the
 * caller's, close-on-exec and non-blocking.
 * DIAG_ERR_INVALID: not an address; DIAG_ERR_IO. */
DIAG_MUST_CHECK enum diag_status diag_listener_open(const char *address, int *fd,
                                                    char bound[DIAG_LISTENER_ADDRESS_MAX],
                                                    struct diag_error *err);

DIAG_DECLS_END

#endif
