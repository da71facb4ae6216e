/* SPDX-License-Identifier: MIT */
/* spec_status_codec - the only converter between statuses and their protobuf encoding
 * (diagnose.v1.SpecStatus). Works on the wire format itself, so that the instrumented process
 * needs no protobuf library.
 *
 * A status is read leniently: fields, states and causes that this release does not know are
 * passed over. Whoever hands statuses on keeps the bytes.
 *
 * Threading: any thread. */
#ifndef DIAG_LIB_SPEC_SPEC_STATUS_CODEC_H
#define DIAG_LIB_SPEC_SPEC_STATUS_CODEC_H

#include "lib/base/wire.h"
#include "lib/spec/spec_status.h"

DIAG_DECLS_BEGIN

/* Bytes of an encoded status, of a newer release too. As many statuses as a process may have must
 * fit into one message: see sidecar/status_set.c. */
#define DIAG_SPEC_STATUS_ENCODED_MAX 1950

/* Appends `status` as field `number` of the message that `writer` is in. Text that is not UTF-8
 * gets a "?" for each byte that does not belong. */
void diag_spec_status_encode(struct diag_wire_writer *writer, uint32_t number,
                             const struct diag_spec_status *status);

/* DIAG_ERR_PROTOCOL names the field: malformed, not UTF-8, over its limit, or no spec_id. */
DIAG_MUST_CHECK enum diag_status diag_spec_status_decode(struct diag_bytes encoded,
                                                         struct diag_spec_status *out,
                                                         struct diag_error *err);

/* What a SkipCause stands for. False: nothing that this release knows. */
bool diag_spec_status_skip_of_cause(uint64_t cause, enum diag_skip *out);

/* Reads a field `skips`. The cause is a SkipCause, maybe of a newer release. False: malformed. */
bool diag_spec_status_read_skip(const struct diag_wire_field *field, uint64_t *cause,
                                uint64_t *count);

/* True for the fields that count hits, skips and the like: they change all the time. */
bool diag_spec_status_is_counter(uint32_t number);

DIAG_DECLS_END

#endif
