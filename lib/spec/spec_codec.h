/* SPDX-License-Identifier: MIT */
/* spec_codec - the only converter between specs and their protobuf encoding (diagnose.v1.Spec and
 * SpecSnapshot). Works on the wire format itself, so that the instrumented process needs no
 * protobuf library.
 *
 * A spec with a field that this release does not know is refused: dropping a restriction
 * silently would arm more than was asked for (see proto/README.md). Text must be UTF-8 without
 * NUL.
 *
 * Threading: any thread. */
#ifndef DIAG_LIB_SPEC_SPEC_CODEC_H
#define DIAG_LIB_SPEC_SPEC_CODEC_H

#include "lib/base/bytes.h"
#include "lib/spec/spec.h"

DIAG_DECLS_BEGIN

/* Decodes one diagnose.v1.Spec. Defaults are filled in (event, name); nothing else is validated:
 * see diag_spec_validate. The caller owns *out. DIAG_ERR_INVALID names the field, DIAG_ERR_VERSION
 * an unknown one. */
DIAG_MUST_CHECK enum diag_status diag_spec_decode(struct diag_bytes encoded, struct diag_spec **out,
                                                  struct diag_error *err);

struct diag_spec_snapshot {
    uint64_t snapshot;
    uint64_t ttl_ms;
    struct diag_bytes *specs; /* encoded; the array is owned, the bytes are borrowed */
    size_t spec_count;
};

/* Splits a SpecSnapshot; the specs stay encoded, so that one that does not decode can be reported
 * by itself. Release with diag_spec_snapshot_done. */
DIAG_MUST_CHECK enum diag_status diag_spec_snapshot_decode(struct diag_bytes encoded,
                                                           struct diag_spec_snapshot *out,
                                                           struct diag_error *err);
void diag_spec_snapshot_done(struct diag_spec_snapshot *snapshot);

/* Reads only id and revision of an encoded spec, also when the rest does not decode. `id` is
 * "" when there is none. */
void diag_spec_peek(struct diag_bytes encoded, char id[DIAG_SPEC_ID_MAX + 1], uint64_t *revision);

DIAG_DECLS_END

#endif
