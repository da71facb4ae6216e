/* SPDX-License-Identifier: MIT */
/* Values as Python shows them. */
#include <math.h>
#include <stdlib.h>

#include "ctl/base64.h"
#include "ctl/escape.h"
#include "ctl/memory.h"
#include "ctl/value_codec.h"

static struct diag_bytes text_of(const struct diag_document *document) {
    return diag_bytes_make(document->text, document->text_size);
}

static void append_float(struct diag_buffer *out, double number) {
    char text[DIAG_DOCUMENT_FLOAT_SIZE];

    if (isnan(number)) {
        diag_memory_append_text(out, "nan");
    } else if (isinf(number)) {
        diag_memory_append_text(out, number < 0 ? "-inf" : "inf");
    } else {
        diag_document_format_float(text, number);
        diag_memory_append_text(out, text);
    }
}

static void append_pairs(struct diag_buffer *out, const struct diag_document *pairs) {
    diag_memory_append_text(out, "{");
    for (size_t i = 0; i < pairs->item_count; i++) {
        diag_memory_append_text(out, i == 0 ? "" : ", ");
        diag_value_append_text(out, pairs->items[i]->items[0]);
        diag_memory_append_text(out, ": ");
        diag_value_append_text(out, pairs->items[i]->items[1]);
    }
    diag_memory_append_text(out, "}");
}

static void append_base64(struct diag_buffer *out, const struct diag_document *encoded) {
    struct diag_buffer bytes = {0};

    diag_base64_decode(&bytes, text_of(encoded));
    diag_memory_append_text(out, "b\"");
    diag_escape_bytes(out, diag_buffer_bytes(&bytes));
    diag_memory_append_text(out, "\"");
    diag_buffer_done(&bytes);
}

static void append_map(struct diag_buffer *out, const struct diag_document *map) {
    const struct diag_document *special;

    if ((special = diag_document_get(map, "$cut")) != NULL) {
        diag_value_append_text(out, special);
        diag_memory_append_format(out, "...(of %llu)",
                                  (unsigned long long)diag_document_get_uint(map, "original_size"));
        return;
    }
    if ((special = diag_document_get(map, "$repr")) != NULL) {
        diag_escape_plain(out, text_of(diag_document_get(special, "text")));
        return;
    }
    if ((special = diag_document_get(map, "$bytes")) != NULL) {
        append_base64(out, special);
        return;
    }
    if ((special = diag_document_get(map, "$dict")) != NULL) {
        append_pairs(out, special);
        return;
    }
    diag_memory_append_text(out, "{");
    for (size_t i = 0; i < map->item_count; i++) {
        diag_memory_append_text(out, i == 0 ? "" : ", ");
        diag_escape_quoted(out, diag_bytes_from_text(map->keys[i]));
        diag_memory_append_text(out, ": ");
        diag_value_append_text(out, map->items[i]);
    }
    diag_memory_append_text(out, "}");
}

void diag_value_append_text(struct diag_buffer *out, const struct diag_document *value) {
    switch (value->kind) {
    case DIAG_DOCUMENT_NULL:
        diag_memory_append_text(out, "None");
        break;
    case DIAG_DOCUMENT_BOOL:
        diag_memory_append_text(out, value->boolean ? "True" : "False");
        break;
    case DIAG_DOCUMENT_INT:
        diag_memory_append_format(out, "%lld", (long long)value->integer);
        break;
    case DIAG_DOCUMENT_UINT:
        diag_memory_append_format(out, "%llu", (unsigned long long)value->count);
        break;
    case DIAG_DOCUMENT_FLOAT:
        append_float(out, value->number);
        break;
    case DIAG_DOCUMENT_TEXT:
        diag_escape_quoted(out, text_of(value));
        break;
    case DIAG_DOCUMENT_LIST:
        diag_memory_append_text(out, "[");
        for (size_t i = 0; i < value->item_count; i++) {
            diag_memory_append_text(out, i == 0 ? "" : ", ");
            diag_value_append_text(out, value->items[i]);
        }
        diag_memory_append_text(out, "]");
        break;
    case DIAG_DOCUMENT_MAP:
        append_map(out, value);
        break;
    }
}
