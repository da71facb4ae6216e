/* SPDX-License-Identifier: MIT */
/* json_patch - the operations of a JSON Patch (RFC 6902), as a JSON list.
 *
 * Threading: one thread at a time. */
#ifndef DIAG_DEPLOY_WEBHOOK_JSON_PATCH_H
#define DIAG_DEPLOY_WEBHOOK_JSON_PATCH_H

#include <jansson.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

#define DIAG_JSON_PATH_MAX 1024 /* bytes of a path, with its NUL */

/* Appends {"op": "add", "path": ..., "value": ...}. Takes ownership of `value` in any case; NULL
 * counts as out of memory, so that what makes a value can be written in place. The path is a JSON
 * Pointer (RFC 6901) made of `format`. DIAG_ERR_NO_MEMORY, DIAG_ERR_TOO_LARGE: nothing appended. */
DIAG_MUST_CHECK enum diag_status diag_json_patch_add(json_t *operations, json_t *value,
                                                     struct diag_error *err, const char *format,
                                                     ...) DIAG_PRINTF(4, 5);

/* Writes `key` into `escaped` as a segment of a JSON Pointer, cut to fit `size` bytes. */
void diag_json_pointer_escape(const char *key, char *escaped, size_t size);

DIAG_DECLS_END

#endif
