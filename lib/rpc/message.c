/* SPDX-License-Identifier: MIT */
#include "lib/rpc/message.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/wire.h"

/* As deep as a message may nest; protobuf-c recurses, and has no limit of its own. */
#define NESTING_MAX 64

#define UNPACKED_FACTOR 16
#define UNPACKED_EXTRA (64u << 10)

/* The references are counted atomically, since gRPC drops its own from threads of its own. */
struct diag_rpc_message {
    size_t references;
    size_t size;
    uint8_t data[];
};

static struct diag_rpc_message *message_new(size_t size) {
    struct diag_rpc_message *message;

    if (size > SIZE_MAX - sizeof *message)
        return NULL;
    message = malloc(sizeof *message + size);
    if (message == NULL)
        return NULL;
    message->references = 1;
    message->size = size;
    return message;
}

struct diag_rpc_message *diag_rpc_message_pack(const ProtobufCMessage *message) {
    struct diag_rpc_message *packed = message_new(protobuf_c_message_get_packed_size(message));

    if (packed != NULL)
        protobuf_c_message_pack(message, packed->data);
    return packed;
}

struct diag_rpc_message *diag_rpc_message_copy(struct diag_bytes encoded) {
    struct diag_rpc_message *message = message_new(encoded.size);

    if (message != NULL && encoded.size > 0)
        memcpy(message->data, encoded.data, encoded.size);
    return message;
}

struct diag_rpc_message *diag_rpc_message_ref(struct diag_rpc_message *message) {
    __atomic_fetch_add(&message->references, 1, __ATOMIC_RELAXED);
    return message;
}

void diag_rpc_message_unref(struct diag_rpc_message *message) {
    /* release: our use of it comes before the free; acquire: so does that of all others */
    if (message != NULL && __atomic_sub_fetch(&message->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(message);
}

struct diag_bytes diag_rpc_message_bytes(const struct diag_rpc_message *message) {
    return diag_bytes_make(message->data, message->size);
}

static bool is_text(struct diag_bytes bytes) {
    return bytes.size == 0 ||
           (memchr(bytes.data, 0, bytes.size) == NULL && diag_bytes_is_utf8(bytes));
}

/* Walks the encoded message: protobuf-c checks no UTF-8, and cuts text at a NUL without a word. */
static bool is_well_formed(const ProtobufCMessageDescriptor *descriptor, struct diag_bytes encoded,
                           unsigned nesting) {
    struct diag_wire_reader reader;
    struct diag_wire_field field;
    enum diag_status status;

    if (encoded.size == 0)
        return true;
    reader = diag_wire_reader_make(encoded);
    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        const ProtobufCFieldDescriptor *known;

        if (field.type != DIAG_WIRE_BYTES)
            continue;
        known = protobuf_c_message_descriptor_get_field(descriptor, field.number);
        if (known == NULL)
            continue;
        if (known->type == PROTOBUF_C_TYPE_STRING && !is_text(field.bytes))
            return false;
        if (known->type == PROTOBUF_C_TYPE_MESSAGE &&
            (nesting == NESTING_MAX ||
             !is_well_formed(known->descriptor, field.bytes, nesting + 1)))
            return false;
    }
    return status == DIAG_ERR_CLOSED;
}

static void *budget_alloc(void *context, size_t size) {
    size_t *budget = context;

    if (size > *budget)
        return NULL;
    *budget -= size;
    return malloc(size);
}

static void budget_free(void *context, void *pointer) {
    (void)context;
    free(pointer);
}

ProtobufCMessage *diag_rpc_unpack(const ProtobufCMessageDescriptor *descriptor,
                                  struct diag_bytes encoded) {
    size_t budget;
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};

    if (encoded.size > (SIZE_MAX - UNPACKED_EXTRA) / UNPACKED_FACTOR)
        return NULL;
    budget = encoded.size * UNPACKED_FACTOR + UNPACKED_EXTRA;
    if (!is_well_formed(descriptor, encoded, 1))
        return NULL;
    return protobuf_c_message_unpack(descriptor, &allocator, encoded.size, encoded.data);
}
