/* SPDX-License-Identifier: MIT */
/* json_read - looking into JSON of which nobody knows whether it has the right types.
 *
 * Wherever something is missing or of another type, the answer is NULL, false or nothing; NULL goes
 * in as "missing" everywhere.
 *
 * Threading: any thread.
 * Ownership: results are borrowed from the JSON. */
#ifndef DIAG_DEPLOY_WEBHOOK_JSON_READ_H
#define DIAG_DEPLOY_WEBHOOK_JSON_READ_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

/* The text; NULL for anything else, and for text that has a NUL in it. */
const char *diag_json_text(const json_t *value);

/* The text of an object's member. */
const char *diag_json_member_text(const json_t *object, const char *key);

bool diag_json_is_text(const json_t *value, const char *text);

/* True for what an API server takes as "not given": a missing member, or null. */
bool diag_json_is_absent(const json_t *value);

/* The last object of `list` whose member `key` is `text`; its place goes to *index unless NULL. */
const json_t *diag_json_find(const json_t *list, const char *key, const char *text, size_t *index);

DIAG_DECLS_END

#endif
