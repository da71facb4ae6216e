/* SPDX-License-Identifier: MIT */
/* message_check - is this an encoded message of such fields? Structure and UTF-8 only.
 *
 * Each message type is a row of fields with the wire type that each must have. Unknown fields are
 * let through, as any protobuf parser would: a message of a newer library is still one.
 *
 * Threading: any thread. */
#ifndef DIAG_LIB_EVENT_MESSAGE_CHECK_H
#define DIAG_LIB_EVENT_MESSAGE_CHECK_H

#include "lib/base/wire.h"

DIAG_DECLS_BEGIN

typedef enum diag_status diag_message_check_fn(struct diag_bytes message, unsigned depth);

/* Of a nested message that must not come twice: parsers would have to merge the two, and protobuf-c
 * refuses some that it should merge. */
#define DIAG_FIELD_SINGLE (UINT32_C(1) << 31)

/* What a known field must be. */
struct diag_field_rule {
    uint32_t number; /* may have DIAG_FIELD_SINGLE in it */
    enum diag_wire_type type;
    bool is_text;                 /* must be UTF-8 */
    diag_message_check_fn *check; /* of a nested message or packed numbers; or NULL */
};

/* DIAG_ERR_PROTOCOL: it is not, or nested too deep. */
DIAG_MUST_CHECK enum diag_status diag_message_check(struct diag_bytes message,
                                                    const struct diag_field_rule *rules,
                                                    size_t rule_count, unsigned depth);

/* Of an event or an aggregate: the first field must be the spec's id, not empty. `spec_id`
 * (optional) receives a borrowed view of it. */
DIAG_MUST_CHECK enum diag_status diag_message_check_keyed(struct diag_bytes message,
                                                          const struct diag_field_rule *rules,
                                                          size_t rule_count,
                                                          struct diag_bytes *spec_id);

/* A diagnose.v1.Tag. */
DIAG_MUST_CHECK enum diag_status diag_tag_check(struct diag_bytes message, unsigned depth);

DIAG_DECLS_END

#endif
