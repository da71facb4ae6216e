/* SPDX-License-Identifier: MIT */
/* message - one encoded message, immutable and shared: fan-out sends the same bytes to many
 * streams without copying them.
 *
 * Threading: the loop's thread (see loop.h), but making, reading and dropping a message that no
 *            stream has yet may be done by any one thread.
 * Ownership: reference counted. */
#ifndef DIAG_LIB_RPC_MESSAGE_H
#define DIAG_LIB_RPC_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

struct diag_rpc_message;

/* All three return NULL when out of memory. */
struct diag_rpc_message *diag_rpc_message_pack(const ProtobufCMessage *message);
struct diag_rpc_message *diag_rpc_message_copy(struct diag_bytes encoded);
struct diag_rpc_message *diag_rpc_message_ref(struct diag_rpc_message *message);

/* NULL is fine. */
void diag_rpc_message_unref(struct diag_rpc_message *message);

/* Borrowed from the message. */
struct diag_bytes diag_rpc_message_bytes(const struct diag_rpc_message *message);

/* Unpacks with a cap on what it may allocate: 16 times the size of `encoded` plus 64 KiB, since a
 * mebibyte of empty submessages would otherwise cost 44. Also refuses text that is not UTF-8 or has
 * a NUL in it. NULL: malformed or over the cap. To be freed by
 * protobuf_c_message_free_unpacked(message, NULL). */
ProtobufCMessage *diag_rpc_unpack(const ProtobufCMessageDescriptor *descriptor,
                                  struct diag_bytes encoded);

DIAG_DECLS_END

#endif
