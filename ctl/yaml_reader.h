/* SPDX-License-Identifier: MIT */
/* yaml_reader - YAML (and so JSON) text to documents, by libyaml, for text that nobody vouches for.
 *
 * Refused, with file, line and the path of the field: anchors, aliases and tags (a few bytes of
 * them grow into gigabytes), duplicate keys, keys that are not scalars, nesting deeper than
 * DIAG_YAML_DEPTH_MAX, integers beyond 64 bits, NULs and text that is not UTF-8.
 * Scalars are typed by YAML 1.2's core schema: null, bool, int, float, else text; quoted ones are
 * text. Keys are always text.
 *
 * Threading: any thread. */
#ifndef DIAG_CTL_YAML_READER_H
#define DIAG_CTL_YAML_READER_H

#include "ctl/document.h"

DIAG_DECLS_BEGIN

#define DIAG_YAML_DEPTH_MAX 32

/* Reads all documents of `text`; *out is a list of them, owned by the caller, with lines set.
 * `name` is what messages call the file. DIAG_ERR_INVALID: "NAME:LINE: path: what is wrong". */
DIAG_MUST_CHECK enum diag_status diag_yaml_read(const char *name, struct diag_bytes text,
                                                struct diag_document **out, struct diag_error *err);

/* What a plain scalar is by the core schema. DIAG_ERR_TOO_LARGE: an int beyond 64 bits. */
DIAG_MUST_CHECK enum diag_status diag_yaml_resolve(struct diag_bytes scalar,
                                                   struct diag_document **out);

DIAG_DECLS_END

#endif
