/* SPDX-License-Identifier: MIT */
/* message_builder - writes an encoded protobuf message that grows, so that stored specs, statuses
 * and events travel as the bytes that they came in as.
 *
 * Running out of memory is remembered: further writes do nothing, and taking the message fails.
 *
 * Threading: none needed; one owner at a time.
 * Ownership: copies what it is given. */
#ifndef DIAG_CONTROLLER_MESSAGE_BUILDER_H
#define DIAG_CONTROLLER_MESSAGE_BUILDER_H

#include <stdbool.h>

#include "lib/base/bytes.h"
#include "lib/rpc/message.h"

DIAG_DECLS_BEGIN

/* All zero is an empty message. */
struct diag_message_builder {
    struct diag_buffer buffer;
    bool has_failed;
};

void diag_message_builder_done(struct diag_message_builder *builder);

/* Zero and empty text are left out, as proto3 has it. */
void diag_message_builder_put_uint(struct diag_message_builder *builder, uint32_t number,
                                   uint64_t value);
void diag_message_builder_put_text(struct diag_message_builder *builder, uint32_t number,
                                   const char *text);
/* Bytes, text or an encoded message; written also when empty. */
void diag_message_builder_put_bytes(struct diag_message_builder *builder, uint32_t number,
                                    struct diag_bytes bytes);
void diag_message_builder_put_fixed64(struct diag_message_builder *builder, uint32_t number,
                                      uint64_t value);
/* Fields that are encoded already. */
void diag_message_builder_put_raw(struct diag_message_builder *builder, struct diag_bytes encoded);
/* What `inner` holds, as one field; fails if `inner` has. */
void diag_message_builder_put_message(struct diag_message_builder *builder, uint32_t number,
                                      const struct diag_message_builder *inner);

/* One entry of a map<string, string>. */
void diag_message_builder_put_entry(struct diag_message_builder *builder, uint32_t number,
                                    const char *key, const char *value);

/* Borrowed until the next write. */
static inline struct diag_bytes
diag_message_builder_bytes(const struct diag_message_builder *builder) {
    return diag_buffer_bytes(&builder->buffer);
}

/* The caller owns *out. DIAG_ERR_NO_MEMORY, also for an earlier write that failed. */
DIAG_MUST_CHECK enum diag_status
diag_message_builder_take(const struct diag_message_builder *builder, struct diag_rpc_message **out,
                          struct diag_error *err);

DIAG_DECLS_END

#endif
