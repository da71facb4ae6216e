/* SPDX-License-Identifier: MIT */
/* json_cost - how much memory jansson may take for a text, before it is given the text.
 *
 * A few megabytes of JSON can become hundreds of megabytes of objects. Limiting the allocator would
 * be no remedy: when an allocation fails, jansson 2.14 reads beyond the text that it could not
 * keep.
 *
 * Threading: any thread. */
#ifndef DIAG_DEPLOY_WEBHOOK_JSON_COST_H
#define DIAG_DEPLOY_WEBHOOK_JSON_COST_H

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

/* An upper bound, in bytes, of what the parsed text takes at once; of any bytes, JSON or not. */
size_t diag_json_cost(struct diag_bytes text);

DIAG_DECLS_END

#endif
