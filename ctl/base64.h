/* SPDX-License-Identifier: MIT */
/* base64 - RFC 4648's standard alphabet, with padding.
 *
 * Threading: any thread. */
#ifndef DIAG_CTL_BASE64_H
#define DIAG_CTL_BASE64_H

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

/* Freed by the caller; never NULL. */
char *diag_base64_encode(struct diag_bytes bytes);

/* Appends the bytes that diag_base64_encode made `encoded` of. */
void diag_base64_decode(struct diag_buffer *out, struct diag_bytes encoded);

DIAG_DECLS_END

#endif
