/* SPDX-License-Identifier: MIT */
/* yaml_json - a YAML document (JSON is one too) as JSON, by libyaml, read as Kubernetes reads
 * manifests.
 *
 * Plain scalars are typed: null, bool, int (0644 and 0o644 are octal), float, else text; quoted
 * ones are text. Refused, with file and line: aliases, duplicate keys, keys that are not scalars,
 * nesting deeper than DIAG_YAML_JSON_DEPTH_MAX, more than one document, none at all.
 *
 * Threading: any thread. */
#ifndef DIAG_DEPLOY_WEBHOOK_YAML_JSON_H
#define DIAG_DEPLOY_WEBHOOK_YAML_JSON_H

#include <jansson.h>

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

#define DIAG_YAML_JSON_DEPTH_MAX 32

/* *out is a new reference. `name` is what messages call the text.
 * DIAG_ERR_INVALID: "NAME:LINE: what is wrong". */
DIAG_MUST_CHECK enum diag_status diag_yaml_json_read(const char *name, struct diag_bytes text,
                                                     json_t **out, struct diag_error *err);

DIAG_DECLS_END

#endif
