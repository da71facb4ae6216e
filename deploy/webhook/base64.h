/* SPDX-License-Identifier: MIT */
/* base64 - bytes as text, as in RFC 4648 section 4: the standard alphabet, padded.
 *
 * Threading: any thread. */
#ifndef DIAG_DEPLOY_WEBHOOK_BASE64_H
#define DIAG_DEPLOY_WEBHOOK_BASE64_H

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

/* NUL-terminated, to be freed by the caller; NULL when out of memory. */
char *diag_base64_encode(struct diag_bytes bytes);

DIAG_DECLS_END

#endif
