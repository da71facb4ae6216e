/* SPDX-License-Identifier: MIT */
#include "ctl/tag_view.h"

#include "ctl/escape.h"
#include "ctl/memory.h"
#include "lib/base/wire.h"

/* Field numbers of diagnose.v1.Tag. */
enum { TAG_KEY = 1, TAG_VALUE = 2 };

enum diag_status diag_tag_view_read(struct diag_bytes encoded, struct diag_document *tags) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_bytes key = {NULL, 0}, value = {NULL, 0};
    struct diag_wire_field field;
    struct diag_document *tag;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        if (field.number == TAG_KEY)
            key = field.bytes;
        if (field.number == TAG_VALUE)
            value = field.bytes;
    }
    if (status != DIAG_ERR_CLOSED)
        return status;
    tag = diag_document_add(tags, diag_document_map());
    diag_document_put(tag, "key", diag_document_bytes(key));
    diag_document_put(tag, "value", diag_document_bytes(value));
    return DIAG_OK;
}

static void append_plain(struct diag_buffer *out, const struct diag_document *tag,
                         const char *key) {
    const struct diag_document *item = diag_document_get(tag, key);

    diag_escape_plain(out, diag_bytes_make(item->text, item->text_size));
}

void diag_tag_view_append_text(struct diag_buffer *out, const struct diag_document *tags) {
    for (size_t i = 0; i < tags->item_count; i++) {
        diag_memory_append_text(out, i == 0 ? " {" : ",");
        append_plain(out, tags->items[i], "key");
        diag_memory_append_text(out, "=");
        append_plain(out, tags->items[i], "value");
    }
    if (tags->item_count > 0)
        diag_memory_append_text(out, "}");
}
