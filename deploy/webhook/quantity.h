/* SPDX-License-Identifier: MIT */
/* quantity - Kubernetes' quantities ("500m", "1.5Gi") as whole numbers that can be compared.
 *
 * Threading: any thread. */
#ifndef DIAG_DEPLOY_WEBHOOK_QUANTITY_H
#define DIAG_DEPLOY_WEBHOOK_QUANTITY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

/* A text or a number, in thousandths: "500m" is 500, "1Ki" 1024000. False: not a quantity, or one
 * that is rare and not needed: negative, with an exponent, finer than a thousandth, or of
 * petabytes. */
DIAG_MUST_CHECK bool diag_quantity_read(const json_t *quantity, int64_t *thousandths);

DIAG_DECLS_END

#endif
