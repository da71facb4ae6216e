/* SPDX-License-Identifier: MIT */
/* uid - 128 random bits as 32 hexadecimal digits.
 *
 * Threading: any thread. Fork: safe, the kernel draws the bits. */
#ifndef DIAG_LIB_BASE_UID_H
#define DIAG_LIB_BASE_UID_H

#include <stdbool.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

#define DIAG_UID_SIZE 33 /* with the NUL */

/* DIAG_ERR_IO: the kernel has no random bits to give. */
DIAG_MUST_CHECK enum diag_status diag_uid_make(char uid[DIAG_UID_SIZE], struct diag_error *err);

/* True if `text` is exactly 32 lower-case hexadecimal digits. */
bool diag_uid_is_valid(const char *text);

DIAG_DECLS_END

#endif
