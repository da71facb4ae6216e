/* SPDX-License-Identifier: MIT */
#include "ctl/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/memory.h"

static struct diag_document *new_of(enum diag_document_kind kind) {
    struct diag_document *document = diag_memory_new(1, sizeof *document);

    document->kind = kind;
    return document;
}

struct diag_document *diag_document_null(void) {
    return new_of(DIAG_DOCUMENT_NULL);
}

struct diag_document *diag_document_bool(bool value) {
    struct diag_document *document = new_of(DIAG_DOCUMENT_BOOL);

    document->boolean = value;
    return document;
}

struct diag_document *diag_document_int(int64_t value) {
    struct diag_document *document = new_of(DIAG_DOCUMENT_INT);

    document->integer = value;
    return document;
}

struct diag_document *diag_document_uint(uint64_t value) {
    struct diag_document *document = new_of(DIAG_DOCUMENT_UINT);

    document->count = value;
    return document;
}

struct diag_document *diag_document_float(double value) {
    struct diag_document *document = new_of(DIAG_DOCUMENT_FLOAT);

    document->number = value;
    return document;
}

struct diag_document *diag_document_text(const char *text) {
    return diag_document_bytes(diag_bytes_from_text(text));
}

struct diag_document *diag_document_bytes(struct diag_bytes text) {
    struct diag_document *document = new_of(DIAG_DOCUMENT_TEXT);

    document->text = diag_memory_new(text.size + 1, 1);
    if (text.size > 0)
        memcpy(document->text, text.data, text.size);
    document->text_size = text.size;
    return document;
}

struct diag_document *diag_document_list(void) {
    return new_of(DIAG_DOCUMENT_LIST);
}

struct diag_document *diag_document_map(void) {
    return new_of(DIAG_DOCUMENT_MAP);
}

void diag_document_free(struct diag_document *document) {
    if (document == NULL)
        return;
    if (document->kind == DIAG_DOCUMENT_TEXT)
        free(document->text);
    if (document->kind == DIAG_DOCUMENT_LIST || document->kind == DIAG_DOCUMENT_MAP) {
        for (size_t i = 0; i < document->item_count; i++) {
            diag_document_free(document->items[i]);
            if (document->kind == DIAG_DOCUMENT_MAP)
                free(document->keys[i]);
        }
        free(document->items);
        free(document->keys);
    }
    free(document);
}

static void make_room(struct diag_document *document) {
    if (document->item_count < document->capacity)
        return;
    document->capacity = document->capacity == 0 ? 8 : document->capacity * 2;
    document->items =
        diag_memory_resize(document->items, document->capacity, sizeof *document->items);
    if (document->kind == DIAG_DOCUMENT_MAP)
        document->keys =
            diag_memory_resize(document->keys, document->capacity, sizeof *document->keys);
}

struct diag_document *diag_document_add(struct diag_document *list, struct diag_document *item) {
    make_room(list);
    list->items[list->item_count++] = item;
    return item;
}

struct diag_document *diag_document_put(struct diag_document *map, const char *key,
                                        struct diag_document *item) {
    make_room(map);
    map->keys[map->item_count] = diag_memory_text(key);
    map->items[map->item_count++] = item;
    return item;
}

const struct diag_document *diag_document_get(const struct diag_document *document,
                                              const char *key) {
    if (document == NULL || document->kind != DIAG_DOCUMENT_MAP)
        return NULL;
    for (size_t i = 0; i < document->item_count; i++)
        if (strcmp(document->keys[i], key) == 0)
            return document->items[i];
    return NULL;
}

const char *diag_document_get_text(const struct diag_document *document, const char *key) {
    const struct diag_document *item = diag_document_get(document, key);

    return item != NULL && item->kind == DIAG_DOCUMENT_TEXT ? item->text : "";
}

uint64_t diag_document_get_uint(const struct diag_document *document, const char *key) {
    const struct diag_document *item = diag_document_get(document, key);

    if (item != NULL && item->kind == DIAG_DOCUMENT_UINT)
        return item->count;
    if (item != NULL && item->kind == DIAG_DOCUMENT_INT && item->integer > 0)
        return (uint64_t)item->integer;
    return 0;
}

const char *diag_document_kind_name(enum diag_document_kind kind) {
    switch (kind) {
    case DIAG_DOCUMENT_NULL:
        return "null";
    case DIAG_DOCUMENT_BOOL:
        return "a bool";
    case DIAG_DOCUMENT_INT:
    case DIAG_DOCUMENT_UINT:
    case DIAG_DOCUMENT_FLOAT:
        return "a number";
    case DIAG_DOCUMENT_TEXT:
        return "text";
    case DIAG_DOCUMENT_LIST:
        return "a list";
    case DIAG_DOCUMENT_MAP:
        return "a map";
    }
    return "nothing known";
}

void diag_document_format_float(char text[DIAG_DOCUMENT_FLOAT_SIZE], double value) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, DIAG_DOCUMENT_FLOAT_SIZE, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (strpbrk(text, ".e") == NULL)
        strcat(text, ".0");
}
