/* SPDX-License-Identifier: MIT */
/* value_codec - diagnose.v1.Value to and from documents and text.
 *
 * As a document, a value is itself where JSON has the like of it: null, true, 5, 0.25, "text",
 * a list, or a map for a dict whose keys are all different texts that do not begin with "$".
 * Everything else is a map with one key that begins with "$":
 *
 *     {"$bytes": "AAEC"}                              bytes, in base64
 *     {"$repr": {"type": "decimal.Decimal", "text": "Decimal('1.5')"}}
 *     {"$dict": [[KEY, VALUE], ...]}                  any other dict
 *     {"$cut": VALUE, "original_size": 90000}         a value that was cut; its size before
 *
 * A float that is not finite is "nan", "inf" or "-inf" in JSON and .nan, .inf or -.inf in YAML.
 *
 * Values are read from the wire and not from unpacked messages, as a Python str may have NULs in
 * it and a C string may not.
 *
 * Threading: any thread. */
#ifndef DIAG_CTL_VALUE_CODEC_H
#define DIAG_CTL_VALUE_CODEC_H

#include "ctl/document.h"
#include "diagnose/v1/value.pb-c.h"
#include "lib/base/wire.h"

DIAG_DECLS_BEGIN

/* Nested deeper than this is malformed. */
#define DIAG_VALUE_DEPTH_MAX 64

/* An encoded Value. DIAG_ERR_PROTOCOL: it is none. The caller owns *out. */
DIAG_MUST_CHECK enum diag_status diag_value_decode(struct diag_bytes encoded,
                                                   struct diag_document **out);

/* A DictValue that a message holds, as of diagnose.v1.Instrument.custom. */
DIAG_MUST_CHECK enum diag_status diag_value_from_dict(const Diagnose__V1__DictValue *dict,
                                                      struct diag_document **out);

/* A map of a manifest as a message, to be freed with the message that it is put into; or by
 * diagnose__v1__dict_value__free_unpacked(dict, NULL). */
Diagnose__V1__DictValue *diag_value_to_dict(const struct diag_document *map);

/* Appends a value as Python shows it, on one line and fit for a terminal: 0.25, "text", None,
 * [1, 2], {"a": 1}; a cut one ends with "...(of SIZE)". */
void diag_value_append_text(struct diag_buffer *out, const struct diag_document *value);

DIAG_DECLS_END

#endif
