/* SPDX-License-Identifier: MIT */
/* spec_target - the form of a target, for spec.c only.
 *
 * Threading: any thread. */
#ifndef DIAG_LIB_SPEC_SPEC_TARGET_H
#define DIAG_LIB_SPEC_SPEC_TARGET_H

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

/* Whether there is such a function is for the process to say. `target`: not empty, UTF-8.
 * DIAG_ERR_INVALID; the message begins with "target: ". */
DIAG_MUST_CHECK enum diag_status diag_spec_target_check(const char *target, struct diag_error *err);

DIAG_DECLS_END

#endif
